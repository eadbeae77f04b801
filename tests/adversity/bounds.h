/* SPDX-License-Identifier: BSD-2-Clause */
/* See bounds.inc. The linker puts bounds.c between the program and mmap and munmap. */
#ifndef TESTS_ADVERSITY_BOUNDS_H
#define TESTS_ADVERSITY_BOUNDS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Aborts with a line unless [p, p + len) lies in one mapped region and p is aligned. */
void bounds_check(const void *p, size_t len, size_t align);

/* The same for a copy, which may also be of private memory (that, the sanitizer looks at): but not of
 * what lies beside a region. */
void bounds_check_copy(const void *p, size_t len);

/* One in so many loads sees something else than what is there; 0: none does. */
extern unsigned bounds_lies;
extern uint64_t bounds_random;
extern uint64_t bounds_lied; /* how many did */
uint64_t bounds_seen(uint64_t value);

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);

#endif
