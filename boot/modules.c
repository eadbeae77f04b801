// SPDX-License-Identifier: BSD-2-Clause
#include "boot/modules.h"

#include <isthmus/guest.h>
#include "mm/mm.h"

static const struct boot_info *kept;

void boot_keep_modules(const struct boot_info *info)
{
	kept = info;
}

void *guest_module(unsigned index, size_t *size)
{
	const struct boot_module *module;

	if (!kept || index >= kept->module_count)
		return NULL;
	module = &kept->modules[index];
	*size = module->size;
	return mm_map(module->base, module->size, MM_WRITE_BACK);
}
