// SPDX-License-Identifier: BSD-2-Clause
// The candidates that this build found on the machine.

#include "bench/native/bench.h"

extern const struct bench_ring_ops bench_ck_inline, bench_ck_pointer, bench_dpdk_elem,
	bench_dpdk_zc, bench_dpdk_pointer, bench_boost, bench_zmq, bench_isthmus,
	bench_isthmus_zerocopy, bench_isthmus_ring, bench_isthmus_asleep;

const struct bench_ring_ops *const bench_rings[] = {
#ifdef BENCH_WITH_ISTHMUS
	&bench_isthmus,
	&bench_isthmus_zerocopy,
#endif
#ifdef BENCH_WITH_ISTHMUS_RING
	&bench_isthmus_ring,
#endif
#ifdef BENCH_WITH_CK
	&bench_ck_inline,
	&bench_ck_pointer,
#endif
#ifdef BENCH_WITH_DPDK
	&bench_dpdk_elem,
	&bench_dpdk_zc,
	&bench_dpdk_pointer,
#endif
#ifdef BENCH_WITH_BOOST
	&bench_boost,
#endif
	NULL,
};

const struct bench_ring_ops *const bench_sleepers[] = {
#ifdef BENCH_WITH_ISTHMUS
	&bench_isthmus_asleep,
#endif
#ifdef BENCH_WITH_ZMQ
	&bench_zmq,
#endif
	NULL,
};

#ifndef BENCH_WITH_ISTHMUS
int bench_idle_peers(unsigned int count)
{
	return count ? -1 : 0;
}
#endif

const char bench_missing[] = BENCH_MISSING;
