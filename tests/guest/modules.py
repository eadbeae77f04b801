# SPDX-License-Identifier: BSD-2-Clause
"""A file given with -initrd arrives in the guest whole, on machines that place it differently."""
import os
import sys
import tempfile

import boot


def main():
    boot.need_qemu()
    wrong = 0
    content = b"beginning" + bytes((i * i + i // 256) % 256 for i in range(1234567))
    total = 0
    for byte in content:
        total = (total * 3 + byte) % 256
    with tempfile.TemporaryDirectory(prefix="isthmus-modules-") as folder:
        path = os.path.join(folder, "module")
        with open(path, "wb") as file:
            file.write(content)
        for machine, memory in (("pc", "16"), ("q35", "64"), ("microvm,acpi=on,pcie=on", "32")):
            result = boot.run("modules", machine=machine, memory=memory, extra=["-initrd", path])
            found = boot.faults(result, expect=[f'^module 0: {len(content)} bytes, sum {total}, "beginning"'])
            if found:
                boot.report(result, found)
                wrong += 1
    print("FAIL" if wrong else "PASS: modules arrive whole")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
