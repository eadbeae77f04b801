/* SPDX-License-Identifier: BSD-2-Clause */
/* A picture on standard output. */
#ifndef HOST_INSPECT_PRINT_H
#define HOST_INSPECT_PRINT_H

#include "host/inspect/picture.h"

/* For people: tables. */
void print_text(const struct picture *p);

/* For programs: one JSON object a line, the region's first. Fields are added, never renamed. */
void print_json(const struct picture *p);

#endif
