// SPDX-License-Identifier: BSD-2-Clause
/* Lists of capabilities (PCI 3.0, 6.7; PCI Express Base 3.0, 7.9), which a device may have wrong. */
#include <isthmus/pci.h>

#include "pci/registers.h"

/* Extended capability header: id in 15:0, version in 19:16, next in 31:20. */
#define EXTENDED_FIRST 0x100u
#define EXTENDED_NEXT(header) ((header) >> 20 & 0xffcu)

unsigned int pci_capabilities(const struct pci_device *device, uint8_t offsets[PCI_CAPABILITIES_MAX])
{
	uint64_t seen = 0; /* one bit per dword: a second visit ends the walk */
	unsigned int count = 0;
	uint8_t at;

	if (!(pci_read16(device, PCI_REG_STATUS) & PCI_STATUS_CAPABILITIES))
		return 0;
	at = pci_read8(device, PCI_REG_CAPABILITIES) & 0xfc;
	while (at >= PCI_CAPABILITY_FIRST && !(seen >> (at / 4) & 1) &&
	       count < PCI_CAPABILITIES_MAX) {
		seen |= 1ull << (at / 4);
		if (pci_read8(device, at) == 0xff)
			break; /* the device went away */
		offsets[count++] = at;
		at = pci_read8(device, at + PCI_REG_CAPABILITY_NEXT) & 0xfc;
	}
	return count;
}

unsigned int pci_find_capability(const struct pci_device *device, uint8_t id)
{
	uint8_t offsets[PCI_CAPABILITIES_MAX];
	unsigned int count = pci_capabilities(device, offsets);

	for (unsigned int i = 0; i < count; i++) {
		if (pci_read8(device, offsets[i]) == id)
			return offsets[i];
	}
	return 0;
}

unsigned int pci_extended_capabilities(const struct pci_device *device,
				       uint16_t offsets[PCI_EXTENDED_CAPABILITIES_MAX])
{
	unsigned int at = EXTENDED_FIRST, count = 0;

	/* Only Express functions have this space; a conventional one may mirror the first 256 bytes. */
	if (!pci_find_capability(device, PCI_CAPABILITY_EXPRESS))
		return 0;
	while (at >= EXTENDED_FIRST && count < PCI_EXTENDED_CAPABILITIES_MAX) {
		uint32_t header = pci_read32(device, at);

		if (!header || header == UINT32_MAX)
			break;
		for (unsigned int i = 0; i < count; i++) {
			if (offsets[i] == at)
				return count;
		}
		offsets[count++] = (uint16_t)at;
		at = EXTENDED_NEXT(header);
	}
	return count;
}
