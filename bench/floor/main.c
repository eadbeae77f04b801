// SPDX-License-Identifier: BSD-2-Clause
// floor.elf: "-append 'doorbell count=10000'", two guests on one region.

#include "bench/floor/floor.h"

/* Xen's hvm_start_info, version 1 (xen/include/public/arch-x86/hvm/start_info.h). */
#define PVH_MAGIC 0x336ec578u
struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t modules;
	uint64_t module_list;
	uint64_t command_line;
};

void floor_main(const struct pvh_start_info *info);

static const struct floor_bench *const benches[] = {
	&floor_bench_doorbell,
	&floor_bench_flag,
	&floor_bench_copy,
	&floor_bench_ring,
};

static bool same(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a == *b;
}

static const struct floor_bench *bench_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		if (same(name, benches[i]->name))
			return benches[i];
	}
	floor_die("no benchmark named '%s'; there are doorbell, flag, copy and ring", name);
}

void floor_main(const struct pvh_start_info *info)
{
	static struct floor_pair pair;
	const struct floor_bench *bench;

	floor_args_init(info->magic == PVH_MAGIC ? (const char *)(uintptr_t)info->command_line :
						   NULL);
	floor_machine_init();
	bench = bench_find(floor_arg_word());
	if (!floor_device_find(&pair.device))
		floor_die("no ivshmem device (1af4:1110); add -device ivshmem-doorbell or -plain");
	if (bench->needs_doorbell && !pair.device.has_doorbell)
		floor_die("'%s' needs ivshmem-doorbell", bench->name);
	if (bench->needs_peer)
		floor_pair_meet(&pair, bench->needs_doorbell);
	bench->run(&pair);
	floor_exit(0);
}
