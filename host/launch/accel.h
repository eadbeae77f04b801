/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_LAUNCH_ACCEL_H
#define ISTHMUS_LAUNCH_ACCEL_H

#include <stdbool.h>

/*
 * Whether KVM really accelerates here: /dev/kvm opens *and* the processor has vmx or svm. Nested
 * machines often have the first without the second, and a guest then crawls or hangs.
 * `kvm_device` and `cpuinfo` are the files to look at, NULL for the system's.
 */
bool accel_kvm_works(const char *kvm_device, const char *cpuinfo);

/* The value for -accel where the user gave none: $ISTHMUS_ACCEL, else what works here. */
const char *accel_default(void);

#endif
