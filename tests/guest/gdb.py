# SPDX-License-Identifier: BSD-2-Clause
"""gdb on a guest, as docs/debugging.md has it: stops in main, then in an exception inside an
interrupt handler, and finds its way back through both."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import boot

COMMANDS = ("hbreak main", "continue", "break trap_handle", "continue", "bt", "kill")
TRACE = (r"#0 +(0x\w+ in )?trap_handle \(.*signal handler called.*#2 +(0x\w+ in )?read_through \(.*"
         r"in vector_dispatch \(.*signal handler called.*in wait_for_handler \(")


def main():
    boot.need_qemu()
    if not shutil.which("gdb"):
        boot.skip("no gdb (Debian: gdb)")
    image = boot.find_image("traps")
    with tempfile.TemporaryDirectory(prefix="isthmus-gdb-") as folder:
        path = os.path.join(folder, "gdb")
        line = boot.qemu_line(image, append="handler", extra=[
            "-S", "-gdb", f"unix:{path},server=on,wait=off"])
        qemu = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 20
            while not os.path.exists(path) and time.monotonic() < deadline:
                time.sleep(0.05)
            command = ["gdb", "-batch", "-nx", "-ex", f"target remote {path}"]
            for word in COMMANDS:
                command += ["-ex", word]
            gdb = subprocess.run(command + [image], stdin=subprocess.DEVNULL, capture_output=True,
                                 text=True, timeout=90)
        finally:
            qemu.kill()
            qemu.wait()
    if not re.search(r"Breakpoint 1, main \(", gdb.stdout):
        print(gdb.stdout, gdb.stderr, "FAIL: gdb didn't stop in main", sep="\n")
        return 1
    if not re.search(TRACE, gdb.stdout, re.S):
        print(gdb.stdout, gdb.stderr, "FAIL: the way back isn't the one it came", sep="\n")
        return 1
    print("PASS: gdb finds its way through an exception and an interrupt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
