/* SPDX-License-Identifier: BSD-2-Clause */
/* Between inspect's showing and its testing. */
#ifndef APPS_INSPECT_H
#define APPS_INSPECT_H

#include <stdbool.h>
#include <stdint.h>
#include <isthmus/ivshmem.h>
#include <isthmus/pci.h>

struct inspect_result {
	unsigned int passed, failed;
};

/* Tests a device and prints PASS or FAIL for each test. Binds its vectors; restores the region. */
void inspect_test(unsigned int index, struct ivshmem *device, struct inspect_result *result);

/* "4 MiB"; good for the next three calls. */
const char *inspect_size(uint64_t bytes);

#endif
