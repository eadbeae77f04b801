/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory types on this CPU: the PAT and the MTRRs. Private to mm. */
#ifndef MM_TYPES_H
#define MM_TYPES_H

#include <stdbool.h>

/* Sets the PAT that tables.h counts on, and the MTRRs that mm_force_write_back() made. */
void types_init_cpu(void);

/* Whether PTE_WRITE_COMBINING means it. */
bool types_has_write_combining(void);

#endif
