/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msg/ for a fuzzer: a region on the heap (so that the sanitizer sees the first byte outside of it),
 * peers in one thread, each with a context of its own, and a clock that goes on when it is looked at.
 */
#ifndef TESTS_FUZZ_PORT_H
#define TESTS_FUZZ_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <isthmus/msg.h>
#include "msg/port.h"

#define FUZZ_SIZE  65536u
#define FUZZ_PEERS 3
#define FUZZ_MS    1000000ull

struct fuzz_peer {
	struct msg_context *context;
	struct msg_region *region; /* NULL: not joined */
	struct msg_beat *beat;
};

extern struct fuzz_peer fuzz_peers[FUZZ_PEERS];
extern uint8_t *fuzz_region;

/* What the others do while a peer sleeps; NULL: nothing. */
extern void (*fuzz_idle)(void);

extern unsigned fuzz_loads_left;
extern uint64_t fuzz_load_flip;

/* The input, byte by byte; zeroes behind its end. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};
uint8_t fuzz_byte(struct fuzz_input *input);
uint16_t fuzz_short(struct fuzz_input *input);
uint64_t fuzz_word(struct fuzz_input *input);

/* A region of zeroes and a clock at 1 s. */
void fuzz_begin(void);
int fuzz_join(unsigned peer, const struct msg_options *options);
/* All leave; frees the region. */
void fuzz_end(void);
void fuzz_pass(uint64_t ns);
void fuzz_must(bool truth);

#endif
