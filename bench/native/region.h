/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_NATIVE_REGION_H
#define BENCH_NATIVE_REGION_H

/* Where the channels' region is, in the words of msg_attach: as told by --region, else a memory file
 * made before the processes part. */
const char *bench_region(void);
void bench_region_prepare(const char *where);

#endif
