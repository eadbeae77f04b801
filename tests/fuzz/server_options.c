// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any command line of ivshmem-server: the input is its arguments, one a line. Whatever they are,
 * the outcome is a usable set of options or one line that says what is wrong.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/server/options.h"
#include "host/server/size.h"

#define ARGUMENTS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[ARGUMENTS_MAX + 2], *text = malloc(size + 1), *rest = text;
	struct options options;
	char error[256];
	int argc = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	argv[argc++] = (char *)"ivshmem-server";
	while (rest && *rest && argc <= ARGUMENTS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	argv[argc] = NULL;
	switch (options_parse(argc, argv, &options, error)) {
	case OPTIONS_RUN:
		must(options.size >= SIZE_SMALLEST && options.size <= SIZE_LARGEST);
		must((options.size & (options.size - 1)) == 0);
		must(options.vectors <= 256);
		must(strlen(options.socket_path) >= 1 && strlen(options.socket_path) <= 107);
		must(*options.pid_file && *options.shm_name && options.ready_fd >= -1);
		must(!options.verbose || options.foreground);
		must(options.region != OPTIONS_REGION_DIR || options.shm_dir);
		break;
	case OPTIONS_BAD:
		must(*error && strlen(error) < sizeof(error));
		break;
	case OPTIONS_HELP:
		must(!*error);
		break;
	}
	free(text);
	return 0;
}
