/* SPDX-License-Identifier: BSD-2-Clause */
/* What the ping-pong's ways of playing share: what was asked for, and how times are shown. */
#ifndef APPS_PINGPONG_H
#define APPS_PINGPONG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PINGPONG_MAX_ROUNDS 10000000u

struct pingpong_options {
	/* Round trips on the bare device, the floor. */
	uint32_t doorbell;    /* asleep in between */
	bool doorbell_forced; /* asked for by name: a device without doorbell is then an error */
	uint32_t polled;      /* by polling the region */
	/* Round trips over a channel. */
	uint32_t asleep, awake;
	bool channel_forced;  /* asked for by name: a region too small for messages is then an error */
	uint64_t timeout_ns;  /* longest silence of the partner */
	unsigned int device;  /* which ivshmem device */
};

/* Plays over a channel. Returns the exit status; has said why. */
int pingpong_channel(const struct pingpong_options *options);

/*
 * Plays on the bare device, without the message layer; in a process, which has none, only says
 * so where it was asked for by name. Returns the exit status; has said why.
 */
int pingpong_bare(const struct pingpong_options *options);

/* Prints "pingpong: NAME count=... us" of @count samples in ns, which it sorts. */
void pingpong_report(const char *name, uint64_t *samples, size_t count);

#endif
