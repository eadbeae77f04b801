# SPDX-License-Identifier: BSD-2-Clause
"""Boots an image from a CD under Bochs, an emulator that shares no code with QEMU, and whose processors have
what QEMU's lack (x2APIC, TSC-deadline). It has no ivshmem and no isa-debug-exit: the guest's status is its
last line on the serial port.

bochs.py IMAGE [--cpu MODEL] [--status N | --panic] [--expect REGEX]... [-- ARGUMENTS]; 77 skipped."""
import argparse
import os
import pty
import re
import select
import shutil
import signal
import sys
import tempfile
import time

import media

BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGA_BIOS = "/usr/share/bochs/VGABIOS-lgpl-latest"
LAST_LINE = re.compile(r"^isthmus: (exit|panic) (\d+)\r?\n\Z", re.MULTILINE)

# A VGA without graphics modes: the terminal that is its screen here can't show those GRUB would take.
CONFIGURATION = """\
config_interface: textconfig
display_library: term
megs: 64
romimage: file={bios}
vgaromimage: file={vga_bios}
vga: extension=none
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="{cd}", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="{serial}"
cpu: model={cpu}, count={cpus}, ips=50000000, reset_on_triple_fault=0
clock: sync=none
panic: action=fatal
error: action=ignore
log: "{log}"
"""


def lacks():
    if not shutil.which("bochs") or not os.path.exists(BIOS):
        return "no bochs (Debian: bochs, bochsbios)"
    if not os.path.exists("/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so"):
        return "no terminal for bochs (Debian: bochs-term)"
    return media.lacks("iso", "seabios")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def run(folder, seconds):
    """Runs it until the guest's last line; what the serial port said, and what Bochs did."""
    serial = os.path.join(folder, "serial")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp("bochs", ["bochs", "-q", "-f", os.path.join(folder, "configuration"),
                            "-rc", os.path.join(folder, "commands")])
    end, said = time.monotonic() + seconds, b""
    try:
        while time.monotonic() < end and not LAST_LINE.search(read(serial)):
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    said = (said + os.read(terminal, 65536))[-2000:]
                except OSError:
                    break       # it has ended
        return read(serial), said.decode("utf-8", "replace")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("--cpu", default="corei7_haswell_4770")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--panic", action="store_true")
    parser.add_argument("--expect", action="append", default=[], metavar="REGEX")
    parser.add_argument("--timeout", type=float, default=200)
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    a = parser.parse_args(words[:cut])
    why = lacks()
    if why:
        media.skip(why)

    image = os.path.join(media.BUILD, "tests", "guest", a.image + ".elf")
    with tempfile.TemporaryDirectory(prefix="isthmus-bochs-") as folder:
        cd, log = os.path.join(folder, "guest.iso"), os.path.join(folder, "log")
        media.image(image if os.path.exists(image) else a.image, "-o", cd, "--", *words[cut + 1:])
        with open(os.path.join(folder, "configuration"), "w", encoding="utf-8") as f:
            f.write(CONFIGURATION.format(bios=BIOS, vga_bios=VGA_BIOS, cd=cd, cpu=a.cpu, cpus=a.cpus,
                                         log=log, serial=os.path.join(folder, "serial")))
        with open(os.path.join(folder, "commands"), "w", encoding="utf-8") as f:
            f.write("continue\n")       # Debian's Bochs has a debugger in it, which waits for a word
        output, said = run(folder, a.timeout)
        messages = "".join(line for line in read(log).splitlines(True) if re.match(r"\d+[ep]", line))

    found, last = [], LAST_LINE.search(output)
    if not last:
        found.append("the guest has no last line")
    elif (last[1] == "panic") != a.panic or not a.panic and int(last[2]) != a.status:
        found.append(f"the guest ended with {last[1]} {last[2]}")
    found += [f"the output has nothing like {x!r}" for x in a.expect
              if not re.search(x, output, re.MULTILINE)]
    if found:
        print(output, messages[-3000:], said, sep="\n")
    for sentence in found:
        print("FAIL:", sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
