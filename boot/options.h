/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of the command line: the runtime's own ("isthmus.NAME=VALUE"), and main()'s. */
#ifndef BOOT_OPTIONS_H
#define BOOT_OPTIONS_H

/* What main() is called with; argv[argc] is NULL. Valid until the guest ends. */
struct boot_arguments {
	int argc;
	char **argv;
	const char *error;	/* format of a line that says what was wrong, or NULL... */
	const char *what[2];	/* ...and its two arguments */
};

/* Takes the command line apart (it is cut up in place) and applies the runtime's own options. */
struct boot_arguments boot_take_options(char *command_line, unsigned lost_bytes);

/*
 * Ends the guest with status 1, after a line that says what would be right, if that had an error.
 * Apart from the above, so that options hold for the whole boot and yet the machine can be
 * powered off when they are wrong.
 */
void boot_check_options(const struct boot_arguments *arguments);

#endif
