/* SPDX-License-Identifier: BSD-2-Clause */
/* One lie of an input's: a value that makes sense or none, somewhere in the region. */
#ifndef TESTS_FUZZ_LIE_H
#define TESTS_FUZZ_LIE_H

#include "msg/layout.h"
#include "tests/fuzz/port.h"

void fuzz_lie(struct fuzz_input *input, const struct geometry *geo);

#endif
