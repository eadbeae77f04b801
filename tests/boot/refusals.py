# SPDX-License-Identifier: BSD-2-Clause
"""Guests that can't start under UEFI: each ends with a sentence, and the launcher's status for it.

refusals.py NAME... runs some; 77 skipped where the firmware or a tool isn't there."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import media

EXIT_FIRMWARE = 119
HELLO = "^Hello from hello"


class Failure(Exception):
    pass


def run(*args, status, says):
    """`isthmus run`: its exit status, and a text in what it prints."""
    done = subprocess.run([media.TOOL, "run", *args, "--timeout", "100"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)
    said = done.stdout + done.stderr
    if done.returncode != status or says not in said:
        raise Failure(f"isthmus run {' '.join(args)}: status {done.returncode}, expected {status} and "
                      f"'{says}':\n{said}")


def broken(folder, name, change):
    """An .efi whose ELF was changed by change(bytearray, offset of the ELF)."""
    path = os.path.join(folder, name)
    media.image("hello", "-o", path)
    with open(path, "rb") as f:
        data = bytearray(f.read())
    change(data, data.rindex(b"\x7fELF"))    # the stub has these bytes in its code too
    with open(path, "wb") as f:
        f.write(data)
    return path


def need_secure():
    if not os.path.exists(media.SECURE_CODE):
        media.skip("no OVMF with Secure Boot (Debian: ovmf)")


def signed(folder, name):
    if not shutil.which("sbsign"):
        media.skip("no sbsign (Debian: sbsigntool)")
    phrase = os.path.join(folder, "phrase")
    with open(phrase, "w", encoding="ascii") as f:
        f.write("snakeoil\n")
    path = os.path.join(folder, name)
    media.image("hello", "-o", path, "--sign", media.SNAKEOIL_KEY, media.SNAKEOIL_CERT,
                "--passphrase", phrase, "--", "signed")
    return path


def bare_stub(_):
    run(media.STUB, status=EXIT_FIRMWARE, says="the firmware didn't start the guest: this is the bare boot stub")


def damaged_elf(folder):
    def magic(data, at):
        data[at] = 0

    def offset(data, at):
        struct.pack_into("<Q", data, at + 64 + 8, 1 << 40)

    run(broken(folder, "a.efi", magic), status=EXIT_FIRMWARE,
        says="the firmware didn't start the guest: the guest in this program is no ELF file")
    run(broken(folder, "b.efi", offset), status=EXIT_FIRMWARE, says="is cut short or damaged: make it again")


def too_large(folder):
    """A guest of 200 MiB in a VM of 128."""
    def size(data, at):
        segments = struct.unpack_from("<H", data, at + 56)[0]
        last = max((struct.unpack_from("<Q", data, at + 64 + 56 * i + 24)[0], i) for i in range(segments))[1]
        struct.pack_into("<Q", data, at + 64 + 56 * last + 40, 200 << 20)

    run(broken(folder, "a.efi", size), status=EXIT_FIRMWARE,
        says="in one piece for the guest: give the VM more memory (out of memory)")


def too_many_arguments(folder):
    path = os.path.join(folder, "a.efi")
    media.image("hello", "-o", path, "--", "x" * 4000)
    run(path, "--", "y" * 100, status=EXIT_FIRMWARE, says="the guest's arguments are longer than 4095 bytes")


def empty_disk(folder):
    path = os.path.join(folder, "a.img")
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    run(path, status=EXIT_FIRMWARE, says="it finds no EFI/BOOT/BOOTX64.EFI")


def unsigned_kernel(_):
    need_secure()
    run("hello", "--bios", "ovmf-secure", status=EXIT_FIRMWARE, says="Secure Boot is on, and the image isn't signed")


def unsigned_disk(folder):
    need_secure()
    path = os.path.join(folder, "a.img")
    media.image("hello", "-o", path)
    run(path, "--bios", "ovmf-secure", status=EXIT_FIRMWARE,
        says="Secure Boot is on, and the image isn't signed")


def signed_kernel(folder):
    need_secure()
    run(signed(folder, "a.efi"), "--bios", "ovmf-secure", "--", "too", status=0,
        says="Hello from hello signed")


def signed_disk(folder):
    need_secure()
    run(signed(folder, "a.img"), "--bios", "ovmf-secure", status=0, says="Hello from hello signed.")


CASES = {f.__name__: f for f in (bare_stub, damaged_elf, too_large, too_many_arguments, empty_disk,
                                 unsigned_kernel, unsigned_disk, signed_kernel, signed_disk)}


def run_cases(cases):
    """Those named on the command line, or all; the exit status."""
    failed = 0
    for name in sys.argv[1:] or cases:
        with tempfile.TemporaryDirectory(prefix="isthmus-boot-") as folder:
            try:
                cases[name](folder)
                print("PASS:", name)
            except (Failure, AssertionError, subprocess.TimeoutExpired) as e:
                print(f"FAIL: {name}: {e}")
                failed = 1
    return failed


def main():
    why = media.lacks("disk", "ovmf")
    if why:
        media.skip(why)
    return run_cases(CASES)


if __name__ == "__main__":
    sys.exit(main())
