/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ground of golden images: a port whose clock, tokens and order of events are the same in every
 * run, so that a region comes out the same, byte by byte. All peers live in one thread, each with a
 * context of its own; who waits lets the others run.
 */
#ifndef TESTS_MSG_GOLDEN_H
#define TESTS_MSG_GOLDEN_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msg/port.h"

#define GOLDEN_SIZE 65536
#define MS          1000000ull

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

/* A new peer of the one region; index below 8, each used once. */
struct msg_region *golden_join(unsigned index, const char *name, uint32_t id, uint32_t vectors);

/* The next wait of anybody runs this, once. */
void golden_meanwhile(void (*other)(void));

/* Time passes, and hearts beat. */
void golden_pass(uint64_t ns);

/* Its heart stops. */
void golden_stop_heart(unsigned index);

/* A deadline in ms from now. */
uint64_t golden_in_ms(uint64_t ms);

/* Runs the script and compares the region with the file (or writes it there): the result of main.
 * Usage: PROGRAM [--write] FILE. */
int golden_main(int argc, char **argv, void (*script)(void));

#endif
