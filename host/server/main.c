// SPDX-License-Identifier: BSD-2-Clause
/* ivshmem-server: shared memory, ids and interrupts for QEMU's ivshmem-doorbell devices. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "listener.h"
#include "options.h"
#include "report.h"
#include "server.h"
#include "shm.h"
#include "size.h"

/* A caller may have closed 0, 1 or 2; nothing that we open may end up there. */
static void fill_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int tell_ready(const struct options *options)
{
	if (options->ready_fd < 0)
		return 0;
	if (write(options->ready_fd, "\n", 1) != 1) {
		report_error("--ready-fd %d: %s", options->ready_fd, strerror(errno));
		return -1;
	}
	if (options->ready_fd > STDERR_FILENO)
		close(options->ready_fd);
	return 0;
}

/* All is made: opens the door, serves, and returns when told to end. */
static int serve(
	const struct options *options, struct listener *listener, struct shm *shm, int daemon)
{
	struct server server;
	char size[32];
	int err;

	if (server_init(&server, listener, shm->fd, options->vectors, options->sticky_ids,
		    daemon >= 0) < 0)
		return -1;
	err = listener_listen(listener);
	if (!err)
		err = tell_ready(options);
	if (!err) {
		report_info("listening on %s: %s, %u vectors", options->socket_path,
			size_format(options->size, size), options->vectors);
		if (daemon >= 0)
			daemon_ready(daemon);
		shm->created =
			true; /* from here on even a region that was found is ours to remove */
		err = server_run(&server);
	}
	server_release(&server);
	return err;
}

static int run(struct options *options, int daemon)
{
	struct listener listener;
	struct shm shm;
	int err;

	/* The socket first: it is the sign that a living server owns the rest. */
	if (listener_bind(&listener, options->socket_path) < 0)
		return -1;
	err = shm_open_region(&shm, options);
	if (!err) {
		if (daemon >= 0)
			err = pid_file_write(options->pid_file);
		if (!err) {
			err = serve(options, &listener, &shm, daemon);
			if (daemon >= 0)
				pid_file_remove(options->pid_file);
		}
		shm_close_region(&shm, shm.created);
	}
	listener_close(&listener);
	return err;
}

int main(int argc, char **argv)
{
	struct options options;
	char error[256];
	int daemon = -1;

	fill_standard_files();
	switch (options_parse(argc, argv, &options, error)) {
	case OPTIONS_HELP:
		options_print_help(stdout, argv[0] ? argv[0] : "ivshmem-server");
		if (fflush(stdout) == 0 && !ferror(stdout))
			return EXIT_SUCCESS;
		report_error("the output could not be written: %s", strerror(errno));
		return EXIT_FAILURE;
	case OPTIONS_BAD:
		report_error("%s", error);
		return EXIT_FAILURE;
	case OPTIONS_RUN:
		break;
	}
	report_set_verbose(options.verbose);
	if (shm_check(&options) < 0)
		return EXIT_FAILURE;
	server_hold_signals(!options.foreground);
	if (!options.foreground) {
		daemon = daemon_start();
		if (daemon < 0)
			return EXIT_FAILURE;
	}
	server_raise_file_limit();
	return run(&options, daemon) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
