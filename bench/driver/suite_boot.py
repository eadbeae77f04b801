# SPDX-License-Identifier: BSD-2-Clause
"""Boot: from the exec of QEMU to the app's first line, against an image that only writes one byte."""

import os
import pathlib
import platform
import select
import shutil
import statistics
import subprocess
import tempfile
import time

from .guests import BenchError, start

APP = "hello"
FIRST_WORDS = b"Hello from"
OVMF = pathlib.Path("/usr/share/qemu/OVMF.fd")
SIZE_LIMIT_KIB = 112
MEMORY_LIMIT_MIB = 8
MEMORY_STEPS = (2, 3, 4, 5, 6, 7, 8, 12, 16, 32, 64)
TIMEOUT = 60

PLACES = {
    "q35 SeaBIOS": ("q35", ()),
    "pc SeaBIOS": ("pc", ()),
    "pc qboot": ("pc", ("-bios", "qboot.rom")),
    "microvm": ("microvm,acpi=on,pcie=on", ()),
}


def qemu(machine, kernel, memory=64, extra=()):
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-machine", machine, "-accel", "tcg,thread=multi",
            "-smp", "1,maxcpus=2", "-m", str(memory), "-kernel", str(kernel),
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *extra]


def first_sign(command, channel, words, timeout=TIMEOUT):
    """Seconds from the exec until `words` have come out of channel (-serial or -debugcon), or None."""
    begin = time.monotonic()
    child = start([*command, channel, "stdio"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen = b""
    try:
        while words not in seen:
            left = begin + timeout - time.monotonic()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                return None
            piece = os.read(child.stdout.fileno(), 65536)
            if not piece:
                return None
            seen += piece
        return time.monotonic() - begin
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def measure(context, results, sides, rounds, place):
    """Runs the sides in turn; returns the median of each, in ms."""
    took = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (command, channel, words) in sides.items():
            seconds = first_sign(command, channel, words)
            if seconds is None:
                raise BenchError(f"boot, {place}: no sign of life of {name} within {TIMEOUT} s")
            took[name].append(seconds * 1e3)
    medians = {}
    for name, values in took.items():
        medians[name] = statistics.median(values)
        results.add({"bench": "boot", "side": name, "case": "first-line", "metric": "p50",
                     "unit": "ms", "value": medians[name], "min": min(values),
                     "max": max(values), "samples": len(values), "machine": place})
    return medians


def row(results, place, medians, limit, theirs):
    results.row(f"boot: {APP} / {theirs}, {place}", medians[APP] / medians[theirs], limit, False,
                f"{medians[APP]:.0f} ms", f"{medians[theirs]:.0f} ms")


def minimal_initramfs(folder):
    """A Linux userland of one static program that says hello, as a cpio archive; None: no compiler."""
    source = folder / "init.c"
    source.write_text("#include <stdio.h>\n#include <unistd.h>\n"
                      f"int main(void) {{ puts(\"{FIRST_WORDS.decode()} Linux.\"); pause(); }}\n")
    if subprocess.run(["gcc", "-static", "-Os", "-s", "-o", folder / "init", source],
                      capture_output=True).returncode:
        return None
    entries = [("dev", 0o040755, (0, 0), b""), ("dev/console", 0o020600, (5, 1), b""),
               ("init", 0o100755, (0, 0), (folder / "init").read_bytes()),
               ("TRAILER!!!", 0, (0, 0), b"")]
    archive = b""
    for inode, (name, mode, device, data) in enumerate(entries):
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        archive += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        archive += b"\0" * (-len(archive) % 4) + data
        archive += b"\0" * (-len(archive) % 4)
    path = folder / "initramfs"
    path.write_bytes(archive)
    return path


def linux_kernel():
    """Path of a kernel and None, or None and why there is none."""
    named = os.environ.get("ISTHMUS_BENCH_LINUX")
    if named:
        return (named, None) if os.path.exists(named) else (None, f"no {named}")
    found = subprocess.run([pathlib.Path(__file__).parent.parent / "linux.sh"],
                           capture_output=True, text=True)
    if found.returncode:
        return None, (found.stderr.strip() or "bench/linux.sh failed").splitlines()[-1]
    return found.stdout.strip(), None


def linux_side(folder):
    """Linux on the smallest userland and None, or None and why there is none."""
    if platform.machine() != "x86_64":
        return None, f"this host is {platform.machine()}"
    kernel, why = linux_kernel()
    if not kernel:
        return None, why
    initramfs = minimal_initramfs(folder)
    if not initramfs:
        return None, "no compiler for its userland"
    command = qemu("q35", kernel, memory=256, extra=(
        "-initrd", str(initramfs), "-append", "console=ttyS0 quiet"))
    return (command, "-serial", FIRST_WORDS), None


def pvh(context, results, folder, image, rounds):
    byte = context.build / "bench" / "byte.elf"
    for place, (machine, extra) in PLACES.items():
        sides = {"floor": (qemu(machine, byte, extra=extra), "-serial", b"!"),
                 APP: (qemu(machine, image, extra=extra), "-serial", FIRST_WORDS)}
        row(results, place, measure(context, results, sides, rounds, place), 1.15, "floor")
    linux, why = linux_side(folder)
    if linux:
        medians = measure(context, results,
                          {APP: (qemu("q35", image), "-serial", FIRST_WORDS), "linux": linux},
                          2 if context.quick else 3, "q35 SeaBIOS, with Linux")
        row(results, "q35 SeaBIOS", medians, None, "linux")
    else:
        results.missing(f"boot: {APP} / linux", None, False, why)


def uefi(context, results, folder, rounds):
    what = f"boot: {APP} / empty program, q35 UEFI"
    empty = context.build / "boot" / "bench-empty.efi"
    program = folder / f"{APP}.efi"
    tool = context.build / "bin" / "isthmus"
    if not OVMF.exists() or not empty.exists():
        results.missing(what, 1.1, False, "no OVMF, or built without gnu-efi")
        return
    made = subprocess.run([tool, "image", APP, "-o", program], capture_output=True, text=True)
    if made.returncode:
        raise BenchError(f"isthmus image: {made.stderr.strip()}")
    firmware = ("-bios", str(OVMF))
    sides = {"empty program": (qemu("q35", empty, 128, firmware), "-debugcon", b"!"),
             APP: (qemu("q35", program, 128, firmware), "-serial", FIRST_WORDS)}
    row(results, "q35 UEFI", measure(context, results, sides, rounds, "q35 UEFI"), 1.1,
        "empty program")


def size_and_memory(results, folder, image):
    stripped = folder / "stripped"
    if subprocess.run(["strip", "-o", stripped, image], capture_output=True).returncode == 0:
        kib = stripped.stat().st_size / 1024
        results.add({"bench": "boot", "side": APP, "case": "image", "metric": "size",
                     "unit": "KiB", "value": kib})
        results.row(f"size: {APP} stripped, with printf", kib, SIZE_LIMIT_KIB, False,
                    f"{kib:.1f} KiB", "")
    for mib in MEMORY_STEPS:
        if first_sign(qemu("q35", image, memory=mib), "-serial", FIRST_WORDS, 10):
            results.add({"bench": "boot", "side": APP, "case": "memory", "metric": "least",
                         "unit": "MiB", "value": mib})
            results.row(f"memory: least that {APP} boots with, q35", mib, MEMORY_LIMIT_MIB, False,
                        f"{mib} MiB", "")
            return
    results.missing(f"memory: least that {APP} boots with, q35", MEMORY_LIMIT_MIB, False,
                    "boots with none")


def run(context, results):
    image = context.build / "apps" / f"{APP}.elf"
    if not image.exists():
        raise BenchError(f"no {image}; build the project first")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="isthmus-bench-"))
    try:
        pvh(context, results, folder, image, 3 if context.quick else 11)
        uefi(context, results, folder, 1 if context.quick else 3)
        size_and_memory(results, folder, image)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
