// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/ready.h"

#include <stdio.h>
#include <string.h>

#include "host/launch/place.h"

/* Flags column of /proc/net/unix (Linux, net/unix/af_unix.c): __SO_ACCEPTCON, a listening socket.
 */
#define FLAG_LISTENS 0x10000u

bool ready_in_table(const char *table, const char *path)
{
	const char *end;

	/* Num RefCount Protocol Flags Type St Inode Path */
	for (const char *line = table; *line; line = *end ? end + 1 : end) {
		unsigned int flags;
		int at = 0;

		end = line + strcspn(line, "\n");
		if (sscanf(line, "%*[^ ] %*x %*x %x %*x %*x %*u %n", &flags, &at) != 1 || at == 0 ||
			line + at >= end || !(flags & FLAG_LISTENS))
			continue;
		if ((size_t)(end - line - at) == strlen(path) &&
			memcmp(line + at, path, strlen(path)) == 0)
			return true;
	}
	return false;
}

bool ready_listening(const char *path)
{
	struct text table = {0}, error = {0};
	bool listening = place_read("/proc/net/unix", 64u << 20, &table, &error) &&
			 ready_in_table(table.s, path);

	text_free(&table);
	text_free(&error);
	return listening;
}
