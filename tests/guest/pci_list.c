// SPDX-License-Identifier: BSD-2-Clause
/*
 * Prints what the pci room found, with decoding on, and waits for a line on the console, so that the test
 * can compare it with what QEMU itself says.
 */
#include <stdio.h>
#include <isthmus/pci.h>

int main(void)
{
	if (pci_init() < 0)
		return 1;
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		unsigned int what = 0;

		for (unsigned int n = 0; n < PCI_BARS; n++) {
			if (d->bar[n].size)
				what |= d->bar[n].flags & PCI_BAR_IO ? PCI_IO : PCI_MEMORY;
		}
		if (what && pci_enable(d, what) < 0)
			return 1;
		printf("function %u %u %u %u %u %u %u\n", d->bus, d->slot, d->function, d->vendor,
		       d->device, d->secondary, d->subordinate);
		for (unsigned int n = 0; n < PCI_BARS; n++) {
			const struct pci_bar *b = &d->bar[n];

			if (b->size)
				printf("bar %u %llu %llu %u\n", n, (unsigned long long)b->base,
				       (unsigned long long)b->size,
				       (unsigned int)(b->flags & PCI_BAR_IO));
		}
	}
	printf("listed\n");
	getchar();
	return 0;
}
