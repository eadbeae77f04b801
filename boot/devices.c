// SPDX-License-Identifier: BSD-2-Clause
#include "boot/devices.h"
#include "ivshmem/machine.h"
#include "pci/machine.h"
#include "platform/acpi.h"
#include "platform/fw_cfg.h"

/* Weak: an app that never asks for a device doesn't carry the rooms that drive it. */
extern __typeof__(pci_set_machine) pci_set_machine __attribute__((weak));
extern __typeof__(ivshmem_set_max_cpus) ivshmem_set_max_cpus __attribute__((weak));

static void tell_pci(const struct boot_info *info)
{
	const struct acpi_platform *p;
	struct pci_machine machine = { .map = info->ranges, .map_count = info->range_count };

	acpi_find_config_space();
	p = acpi_platform();
	for (unsigned i = 0; i < p->ecam_count && i < PCI_MACHINE_ECAMS; i++) {
		machine.ecam[i] = (struct pci_ecam){
			.base = p->ecams[i].base,
			.segment = p->ecams[i].segment,
			.first_bus = p->ecams[i].first_bus,
			.last_bus = p->ecams[i].last_bus,
		};
		machine.ecam_count = i + 1;
	}
	if (!p->gpe0.in_memory)
		machine.gpe_port = (uint16_t)p->gpe0.address;
	pci_set_machine(&machine);
}

void boot_tell_devices(const struct boot_info *info)
{
	if (pci_set_machine)
		tell_pci(info);
	if (ivshmem_set_max_cpus)
		ivshmem_set_max_cpus(fw_cfg_max_cpus());
}
