// SPDX-License-Identifier: BSD-2-Clause
#include "host/inspect/show.h"
#include "host/launch/commands.h"
#include "host/launch/outcome.h"

int command_show(int argc, char **argv)
{
	return inspect_show(argc, argv) ? 0 : EXIT_TOOL;
}
