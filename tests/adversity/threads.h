/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of threads.c that lie in other files. */
#ifndef TESTS_ADVERSITY_THREADS_H
#define TESTS_ADVERSITY_THREADS_H

/* Peers that call, publish, work and gather. */
void threads_patterns(void);

#endif
