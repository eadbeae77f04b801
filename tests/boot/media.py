# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of boot paths share: media made by `isthmus image`, and QEMU lines that boot them."""
import os
import shutil
import subprocess
import sys

BUILD = os.environ.get("ISTHMUS_BUILD", "build/dev")
TOOL = os.path.join(BUILD, "bin", "isthmus")
STUB = os.path.join(BUILD, "boot", "stub.efi")
QEMU = os.environ.get("ISTHMUS_QEMU", "qemu-system-x86_64")
ACCEL = os.environ.get("ISTHMUS_ACCEL", "tcg,thread=multi")
OVMF = "/usr/share/ovmf/OVMF.fd"
SECURE_CODE = "/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd"
SECURE_VARS = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"
SNAKEOIL_KEY = "/usr/share/ovmf/PkKek-1-snakeoil.key"
SNAKEOIL_CERT = "/usr/share/ovmf/PkKek-1-snakeoil.pem"
SUCCESS = 33
TAILS = {"pvh": ".elf", "uefi": ".efi", "disk": ".img", "iso": ".iso"}


def skip(reason):
    print("SKIP:", reason)
    sys.exit(77)


def lacks(kind, bios):
    """Why that can't be booted here, or None."""
    if not shutil.which(QEMU):
        return "no qemu-system-x86_64 (Debian: qemu-system-x86)"
    if bios == "ovmf" and not os.path.exists(OVMF):
        return "no OVMF (Debian: ovmf)"
    if kind in ("uefi", "disk") and not os.path.exists(STUB):
        return "the build has no UEFI stub (Debian: gnu-efi)"
    if kind == "disk" and not shutil.which("mformat"):
        return "no mtools"
    if kind == "iso":
        for program, package in (("grub-mkrescue", "grub-common"), ("xorriso", "xorriso"),
                                 ("mformat", "mtools")):
            if not shutil.which(program):
                return f"no {program} (Debian: {package})"
        for folder, package in (("i386-pc", "grub-pc-bin"), ("x86_64-efi", "grub-efi-amd64-bin")):
            if not os.path.isdir("/usr/lib/grub/" + folder):
                return f"no GRUB modules (Debian: {package})"
    return None


def image(*args):
    """Runs `isthmus image`; raises with its line if it fails."""
    done = subprocess.run([TOOL, "image", *args], capture_output=True, text=True, timeout=60,
                          check=False)
    if done.returncode:
        raise AssertionError(f"isthmus image {' '.join(args)}: {done.stderr}")


def boot_options(kind, medium, arguments, bios):
    """QEMU's options to boot a medium; arguments only where it has none in it."""
    options = {"ovmf": ["-bios", OVMF], "qboot": ["-bios", "qboot.rom"], "seabios": []}[bios]
    if kind in ("pvh", "uefi"):
        return options + ["-kernel", medium, "-append", arguments]
    what = ("media=cdrom,readonly=on", "ide-cd") if kind == "iso" else ("snapshot=on", "ide-hd")
    return options + ["-drive", f"if=none,id=boot,format=raw,{what[0]},file={medium}",
                      "-device", f"{what[1]},drive=boot,bootindex=0"]


def base_line(machine, memory, cpu=None):
    return [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", {"microvm": "microvm,acpi=on,pcie=on"}.get(machine, machine),
            "-accel", ACCEL, "-smp", "1,maxcpus=2", "-m", memory, "-serial", "stdio",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4"] + (["-cpu", cpu] if cpu else [])
