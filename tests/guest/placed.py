# SPDX-License-Identifier: BSD-2-Clause
"""placed.py IMAGE: the image, byte for byte but for its load addresses, at other places in memory."""
import os
import struct
import sys
import tempfile

import boot

PT_LOAD, PT_NOTE = 1, 4
LINKED_AT = 0x200000


def moved(elf, delta):
    """The ELF with p_paddr of its segments, and the entry in its PVH note, higher by delta."""
    elf = bytearray(elf)
    offset, size, count = (struct.unpack_from("<Q", elf, 32)[0],) + struct.unpack_from("<HH", elf, 54)
    for header in range(offset, offset + size * count, size):
        kind, _, at, _, physical = struct.unpack_from("<IIQQQ", elf, header)
        if kind in (PT_LOAD, PT_NOTE):
            struct.pack_into("<Q", elf, header + 24, physical + delta)
        if kind == PT_NOTE:
            entry = struct.unpack_from("<Q", elf, at + 16)[0]
            struct.pack_into("<Q", elf, at + 16, entry + delta)
    return bytes(elf)


def main():
    boot.need_qemu()
    with open(boot.find_image(sys.argv[1]), "rb") as file:
        elf = file.read()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="isthmus-placed-") as folder:
        for machine, place in (("q35", 0x400000), ("pc", 0x2a00000), ("q35", 0x3000000),
                               ("microvm,acpi=on,pcie=on", 0x1200000)):
            image = os.path.join(folder, "image.elf")
            with open(image, "wb") as file:
                file.write(moved(elf, place - LINKED_AT))
            result = boot.run(image, machine=machine, append="isthmus.log=debug moved")
            found = boot.faults(result, expect=[f"image at {place:#x}", "^Hello from hello moved"])
            if found:
                boot.report(result, found)
                wrong += 1
    print("FAIL" if wrong else "PASS: the image runs where it is put")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
