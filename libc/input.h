/* SPDX-License-Identifier: BSD-2-Clause */
/* What read() and select() share: whether standard input has something. */
#ifndef LIBC_INPUT_H
#define LIBC_INPUT_H

#include <stdbool.h>

#define INPUT_POLL_NS 5000000ull /* between two looks at the console the CPU sleeps */

/* Whether read() would return at once, with a byte or with the end of the input. */
bool input_waits(void);

#endif
