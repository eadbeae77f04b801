# SPDX-License-Identifier: BSD-2-Clause
"""What else UEFI can do to a guest: start it from its shell, give it a RAM disk, put it above 4 GiB.

uefi.py NAME... runs some; 77 skipped where the firmware isn't there."""
import os
import re
import struct
import subprocess
import sys

import media
import refusals


def boot(line, says):
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != media.SUCCESS or not re.search(says, output, re.MULTILINE):
        raise refusals.Failure(f"QEMU's exit status {done.returncode}, expected {media.SUCCESS} and '{says}':\n"
                               f"{output}\n{' '.join(line)}")


def shell_line(folder, app, *commands, built_in=(), disk=b""):
    """QEMU's line for the UEFI shell, which runs the commands beside guest.efi."""
    root = os.path.join(folder, "root")
    os.mkdir(root)
    media.image(app, "-o", os.path.join(root, "guest.efi"), "--", *built_in)
    with open(os.path.join(root, "disk"), "wb") as f:
        f.write(disk)
    with open(os.path.join(root, "startup.nsh"), "w", encoding="ascii") as f:
        f.write("\r\n".join(("@echo -off", "fs0:", *commands, "")))
    return media.base_line("q35", "128") + [
        "-bios", media.OVMF, "-drive", f"if=none,id=boot,format=raw,file=fat:rw:{root}",
        "-device", "ide-hd,drive=boot"]


def shell(folder):
    """The shell's command line begins with the program's name, and keeps the quotes."""
    boot(shell_line(folder, "hello", 'guest.efi one "two  three" four', built_in=["zero"]),
         r"^Hello from hello zero one two  three four\.")


def module(folder):
    """The RAM disk that the shell puts up reaches the guest."""
    data = b"contents " + bytes(i % 251 for i in range(300000))
    total = 0
    for byte in data:
        total = (total * 3 + byte) % 256
    boot(shell_line(folder, os.path.join(media.BUILD, "tests", "guest", "modules.elf"),
                    "initrd fs0:\\disk", "guest.efi", disk=data),
         f'^module 0: {len(data)} bytes, sum {total}, "contents "')


def above_4_gib(folder):
    """A guest that finds no room below: its bss is made 400 MiB, on a machine with 256 there."""
    def grow(data, at):
        segments = struct.unpack_from("<H", data, at + 56)[0]
        last = max((struct.unpack_from("<Q", data, at + 64 + 56 * i + 24)[0], i) for i in range(segments))[1]
        struct.pack_into("<Q", data, at + 64 + 56 * last + 40, 400 << 20)

    efi = refusals.broken(folder, "a.efi", grow)
    boot(media.base_line("q35,max-ram-below-4g=256M", "1500M") +
         ["-bios", media.OVMF, "-kernel", efi, "-append", "isthmus.log=debug"],
         r"UEFI, image at 0x1[0-9a-f]{8}, (.|\n)*^Hello from hello\.")


CASES = {f.__name__: f for f in (shell, module, above_4_gib)}


def main():
    why = media.lacks("uefi", "ovmf")
    if why:
        media.skip(why)
    return refusals.run_cases(CASES)


if __name__ == "__main__":
    sys.exit(main())
