/* SPDX-License-Identifier: BSD-2-Clause */
/* `isthmus show`: the command line, and looking again and again. */
#ifndef HOST_INSPECT_SHOW_H
#define HOST_INSPECT_SHOW_H

#include <stdbool.h>

/* Words after the command's name. False: it couldn't do what was asked, and said why on stderr. */
bool inspect_show(int argc, char **argv);

#endif
