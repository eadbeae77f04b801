/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two pinned processes, one shared arena, and candidates that carry messages between them. A
 * candidate is one struct bench_ring_ops; everything else (who runs, when, how often, what the
 * machine was like meanwhile) is the same for all of them.
 */
#ifndef BENCH_NATIVE_BENCH_H
#define BENCH_NATIVE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_LINE 64
#define BENCH_RING_MAX ((size_t)2 << 20)	 /* bytes of payload room in the largest ring */
#define BENCH_ARENA_RING ((size_t)8 << 20)	 /* memory a candidate has for each direction */
#define BENCH_BUFFER (BENCH_RING_MAX / 2)	 /* private memory of each process */
#define BENCH_SIZES(X) X(8) X(48) X(64) X(256) X(1024) X(4096) X(65536)

/* One sample's work. */
struct bench_load {
	uint32_t size;	/* bytes of a message */
	uint32_t batch; /* messages handed over at once, at most */
	size_t ring;	/* bytes of payload room, a power of two */
	uint64_t count; /* messages, or round trips */
	uint32_t think_ns; /* before each answer: until then the other side has fallen asleep */
};

/* One process's end while a sample runs. */
struct bench_end {
	struct bench_load load;
	int side;	 /* 0 measures, 1 is the other process */
	void *ring[2];	 /* [0] carries from side 0 to side 1, [1] back */
	uint8_t *buffer; /* private, BENCH_BUFFER bytes, page-aligned */
	void *state;	 /* the candidate's own, between open and close */
};

/*
 * A candidate. create runs in side 0 before each sample, on fresh memory of BENCH_ARENA_RING bytes
 * for each direction; open and close run in both processes around the sample and may be NULL. All
 * return 0 or -1 (which ends the benchmark). The four loops do the work and check the payload.
 */
struct bench_ring_ops {
	const char *name;
	bool batches; /* has an operation on several messages at once */
	int (*create)(void *const ring[2], const struct bench_load *load);
	int (*open)(struct bench_end *end);
	void (*close)(struct bench_end *end);
	void (*produce)(struct bench_end *end);
	void (*consume)(struct bench_end *end);
	void (*ping)(struct bench_end *end);
	void (*pong)(struct bench_end *end);
};

/* Spins for that long. */
void bench_think(uint32_t ns);

/* Ends both processes with one line; for a candidate that lost or spoiled something. */
#ifdef __cplusplus
[[noreturn]]
#else
_Noreturn
#endif
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The candidates that this build has, ended by NULL. */
extern const struct bench_ring_ops *const bench_rings[];
extern const struct bench_ring_ops *const bench_sleepers[];

/* Joins the channels' region count times and returns; 0 or a negative errno value. */
int bench_idle_peers(unsigned int count);

/* Debian packages of the candidates that it hasn't, separated by spaces. */
extern const char bench_missing[];

#ifdef __cplusplus
}
#endif

#endif
