/* SPDX-License-Identifier: BSD-2-Clause */
/* Where log lines go: set once by boot, which knows the console and the clock. */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include <isthmus/log.h>
#include <stddef.h>
#include <stdint.h>

struct log_sink {
	/*
	 * Write all of the text as one piece: no other text may come between its bytes, also not
	 * an interrupt handler's. Must work with interrupts off, in handlers and in a panic.
	 */
	void (*write)(const char *text, size_t size);
	/* Nanoseconds for the time stamp; NULL or 0 while there is no clock. */
	uint64_t (*now_ns)(void);
};

/* The sink must outlive its use. NULL drops all lines, which is how the log starts. */
void log_set_sink(const struct log_sink *sink);
const struct log_sink *log_get_sink(void);

/* "error", "warn", "info" or "debug" to its level: 0, or -1 for another word. */
int log_parse_level(const char *word, enum log_level *level);

#endif
