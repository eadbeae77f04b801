/* SPDX-License-Identifier: BSD-2-Clause */
/* The tool's subcommands. To add one: write its function, declare it here, add its row in main.c.
 */
#ifndef ISTHMUS_LAUNCH_COMMANDS_H
#define ISTHMUS_LAUNCH_COMMANDS_H

/* Each gets the words after its own name and returns the tool's exit status. */
int command_run(int argc, char **argv);
int command_list(int argc, char **argv);
int command_show(int argc, char **argv);
int command_image(int argc, char **argv);
int command_plug(int argc, char **argv);
int command_unplug(int argc, char **argv);
int command_migrate(int argc, char **argv);

#endif
