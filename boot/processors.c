// SPDX-License-Identifier: BSD-2-Clause
// What smp.c asks for. Only in images that start other CPUs: nothing else refers to it.
#include "cpu/smp.h"
#include "mm/mm.h"
#include "platform/acpi.h"

static const uint32_t *find_cpus(unsigned *count)
{
	*count = acpi_platform()->cpu_count;
	return acpi_platform()->cpus;
}

static int take_ground(struct smp_ground *ground)
{
	uint64_t tables;
	int error = mm_take_start_ground(&ground->page, &tables);

	if (error)
		return error;
	ground->at = mm_phys_to_virt(ground->page);
	ground->cr3 = (uint32_t)tables;
	return 0;
}

static void give_ground(const struct smp_ground *ground)
{
	mm_give_start_ground(ground->page);
}

const struct smp_machine smp_machine = {
	.find_cpus = find_cpus,
	.alloc_stack = mm_alloc_stack,
	.take_ground = take_ground,
	.give_ground = give_ground,
	.init_memory = mm_init_cpu,
};
