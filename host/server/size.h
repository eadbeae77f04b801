/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes as people type them, and as QEMU's device can use them. */
#ifndef HOST_SERVER_SIZE_H
#define HOST_SERVER_SIZE_H

#include <stdint.h>

#define SIZE_SMALLEST 4096                /* a page: a smaller BAR could not be mapped */
#define SIZE_LARGEST  (UINT64_C(1) << 62) /* the largest power of two that fits off_t */

/*
 * Reads "4194304", "4M", "1.5g", "0x1000": digits, an optional fraction, and one of the suffixes
 * b k m g t p e in either case (powers of 1024). Nothing may stand before or after.
 * Returns 0 and *@bytes; -EINVAL if it isn't a size; -ERANGE if it is beyond 64 bits.
 */
int size_parse(const char *text, uint64_t *bytes);

/*
 * The size of the region for a wish of @bytes: the next power of two (QEMU aborts on others), at
 * least a page. 0 when there is none: @bytes is 0 or above SIZE_LARGEST.
 */
uint64_t size_round(uint64_t bytes);

/* Writes @bytes as "4 MiB", or as "5000 bytes" where no unit fits exactly. Returns @text. */
char *size_format(uint64_t bytes, char text[32]);

#endif
