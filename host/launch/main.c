// SPDX-License-Identifier: BSD-2-Clause
/* The host tool `isthmus`: one row per subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/launch/commands.h"
#include "host/launch/outcome.h"

static int command_help(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
	const char *about;
} commands[] = {
	{"run", command_run, "run APP|TOPOLOGY [-n N] [options] [-- ARG...]",
		"boot guests that share memory; see run --help"},
	{"image", command_image, "image APP -o FILE [options] [-- ARG...]",
		"write an .elf, .efi, .img or .iso that boots APP; see image --help"},
	{"plug", command_plug, "plug DIR/GUEST REGION [--vectors N]",
		"plug a region into a running guest of run --dir DIR"},
	{"unplug", command_unplug, "unplug DIR/GUEST [DEVICE] [--timeout S]",
		"let a running guest give a device back"},
	{"migrate", command_migrate, "migrate DIR/GUEST TO/GUEST [--stay] [--live]",
		"move a running guest to one that waits: run --incoming"},
	{"show", command_show, "show REGION [--json] [--watch SECONDS]",
		"who is in a region and what they do; see show --help"},
	{"list", command_list, "list", "the apps and topologies that can be run"},
	{"help", command_help, "help", "this text"},
};

/* Known here only to be listed: the entry script builds and runs these. */
static const struct command script_commands[] = {
	{"test", NULL, "test [--all] [--accel kvm|tcg] [ctest options]", "every test of the project"},
	{"bench", NULL, "bench [NAME...]", "the benchmarks"},
	{"build", NULL, "build", "build and do nothing else"},
};

static int command_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("usage: isthmus COMMAND ...\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		printf("  %-46s %s\n", commands[i].usage, commands[i].about);
	puts("\nThrough the entry script ./isthmus also:\n");
	for (size_t i = 0; i < sizeof(script_commands) / sizeof(script_commands[0]); i++)
		printf("  %-46s %s\n", script_commands[i].usage, script_commands[i].about);
	return 0;
}

/* Nobody shall take half a list for a whole one. */
static int told(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "isthmus: the output could not be written: %s\n", strerror(errno));
	return status ? status : EXIT_TOOL;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "help";
	int fd;

	/* A closed stdin, stdout or stderr must not be filled by the next file that is opened. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return told(commands[i].run(argc - 2, argv + 2));
	}
	fprintf(stderr, "isthmus: there is no command '%s'; `isthmus help` lists them\n", name);
	return EXIT_TOOL;
}
