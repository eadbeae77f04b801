# SPDX-License-Identifier: BSD-2-Clause
# Images for tests/system/: what they show needs a server, or QEMU's word beside it.
isthmus_test_image(msix msix.c)
isthmus_test_image(pci_list pci_list.c)
