#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""One guest and its ivshmem devices: vectors, masks, several devices, region sizes, bad cases."""
import os
import re
import struct

import vms

ALL_PASSED = r"^inspect: \d+ passed, 0 failed$"


def inspect(scene, devices, append="", status=0, expect=(), **options):
    guest = scene.guest("inspect", append, devices, **options)
    if status:
        guest.end(status, expect, ())
    else:
        guest.end(0, (ALL_PASSED,) + tuple(expect))
    return guest


def self_tests(scene, machine):
    for vectors in (1, 8, 64, 256):
        expect = [f"^PASS ivshmem 0: doorbell to itself on each of {vectors} vectors$",
                  "^PASS ivshmem 0: vector 0, vector masked: pending, delivered once when unmasked$",
                  "^PASS ivshmem 0: vector 0, all vectors masked at once: pending, delivered once",
                  f"doorbell, id 0, {vectors} vector"]
        if vectors > 1:
            expect.append(f"^PASS ivshmem 0: vector {vectors - 1}, vector masked: pending")
        if vectors == 256:  # more than the CPU has
            expect.append("PBA at 0x1000 of BAR 1")
        inspect(scene, scene.doorbell(scene.server("1M", vectors), vectors), expect=expect,
                machine=machine)


def test_self_q35(scene):
    self_tests(scene, "q35")


def test_self_pc(scene):
    self_tests(scene, "pc")


def test_msix(scene):
    for machine, vectors in (("q35", 1), ("pc", 64), ("q35", 256)):
        server = scene.server("64K", vectors)
        scene.guest("msix", str(vectors), scene.doorbell(server, vectors), machine=machine).end(
            expect=(r"^PASS \d+ checks$",))


def test_msix_cpus(scene):
    """Vectors sent to chosen CPUs, by message and by a CPU that waits for its own."""
    for machine in ("q35", "pc", "microvm,acpi=on,pcie=on"):
        scene.guest("msix", "8 4", scene.doorbell(scene.server("64K", 8), 8), machine=machine,
                    smp="4").end(expect=(r"^PASS \d+ checks$",))


def test_two_wide_devices(scene):
    """512 vectors on a CPU that has 192: each rings, and inspect says which share."""
    devices = []
    for n in range(2):
        devices += scene.doorbell(scene.server("64K", 256), 256, f"iv{n}")
    guest = inspect(scene, devices, expect=[
        f"^PASS ivshmem {n}: doorbell to itself on each of 256 vectors$" for n in range(2)])
    shared = re.findall(r"^    CPU vector (0x[0-9a-f]+) is shared by (.*)$", guest.output(), re.M)
    entries = [e for _, who in shared for e in who.split(", ")]
    if len(shared) != len({v for v, _ in shared}) or len(entries) != len(set(entries)):
        raise vms.Failure("a vector is listed twice")
    # Every entry beyond the CPU's vectors shares with at least one other.
    if len(entries) - len(shared) < 512 - 192:
        raise vms.Failure(f"only {len(entries)} entries on {len(shared)} shared CPU vectors")


def test_several_devices(scene):
    """Plain and doorbell mixed, each with its own region, ids and vectors; one behind a bridge."""
    small, large = scene.server("64K", 8), scene.server("4M", 64)
    region = scene.region(1 << 20)
    devices = (scene.doorbell(small, 8, "iv0", ",addr=4") + scene.plain(region, "iv1", ",addr=5") +
               ["-device", "pci-bridge,id=bridge,chassis_nr=1,addr=6"] +
               scene.doorbell(large, 64, "iv2", ",bus=bridge,addr=1"))
    inspect(scene, devices, machine="pc", expect=(
        r"^inspect: \d+ functions, config space by ports, 3 ivshmem devices$",
        "ivshmem 0: .*, doorbell, id 0, 8 vectors", "ivshmem 1: .*, plain",
        "ivshmem 2: 0000:01:01.0, doorbell, id 0, 64 vectors",
        "^PASS ivshmem 2: doorbell to itself on each of 64 vectors$", "region: 4 MiB"))


def test_behind_bridges(scene):
    """Bridges that firmware left closed: the driver opens and enables all of them on the way."""
    deep = ["-device", "pcie-root-port,id=rp,slot=1,chassis=1",
            "-device", "pcie-pci-bridge,id=b1,bus=rp",
            "-device", "pci-bridge,id=b2,bus=b1,chassis_nr=2,addr=1"]
    server = scene.server("1M", 8)
    for machine, bios, bridges, where in (
            ("microvm,acpi=on,pcie=on", None, deep, ",bus=b2,addr=2"),
            ("q35", "qboot.rom", deep, ",bus=b2,addr=2"),
            ("q35", "qboot.rom", deep[:2], ",bus=rp"),
            ("pc", "qboot.rom", ["-device", "pci-bridge,id=b1,chassis_nr=1"], ",bus=b1,addr=1")):
        inspect(scene, bridges + scene.doorbell(server, 8, "iv0", where), machine=machine, bios=bios,
                expect=("^PASS ivshmem 0: doorbell to itself on each of 8 vectors$",))


def test_eight_devices(scene):
    """Eight doorbells with 64 vectors: more than twice what the CPU has; they share."""
    devices = []
    for n in range(8):
        devices += scene.doorbell(scene.server("64K", 64), 64, f"iv{n}")
    inspect(scene, devices, expect=["^PASS ivshmem 7: doorbell to itself on each of 64 vectors$"])


def test_region_words(scene):
    """What the host wrote is what the guest sees, at both ends; and the test left it as it was."""
    region = scene.region(8 << 20)
    size = os.path.getsize(region)
    words = {0: 0x1122334455667788, size // 2: 0x99aabbccddeeff00, size - 8: 0x0123456789abcdef}
    with open(region, "r+b") as file:
        for offset, word in words.items():
            file.seek(offset)
            file.write(struct.pack("<Q", word))
    before = open(region, "rb").read()
    inspect(scene, scene.plain(region), expect=(
        "first 0x1122334455667788, middle 0x99aabbccddeeff00, last 0x0123456789abcdef$",
        "^NOTE ivshmem 0: the region is in use: only its scratch area is written$"))
    if open(region, "rb").read() != before:
        raise vms.Failure("inspect didn't restore what it wrote")


def test_sizes(scene):
    """4 KiB to 16 GiB with 64 MiB of RAM, below and above 4 GiB, firmware that assigns or not."""
    for machine, bios, size, where in (
            ("q35", None, 4096, "region: 4 KiB"),
            ("pc", None, 1 << 29, "region: 512 MiB at 0xc0000000"),
            ("q35", None, 1 << 34, "region: 16 GiB at 0x[0-9a-f]{9}, mapped write-back, effectively"),
            ("q35", "qboot.rom", 1 << 34, "region: 16 GiB at 0xc000000000"),
            ("pc", "qboot.rom", 4096, "region: 4 KiB at 0xc00"),
            ("microvm,acpi=on,pcie=on", None, 1 << 30, "region: 1 GiB at 0xc000000000")):
        inspect(scene, scene.plain(scene.region(size)), expect=(where,), machine=machine, bios=bios)


def test_too_small(scene):
    """2 KiB: less than a page of a file can be, but QEMU makes such a region of plain RAM."""
    devices = ["-object", "memory-backend-ram,id=iv0,share=on,size=2048",
               "-device", "ivshmem-plain,memdev=iv0"]
    inspect(scene, devices, status=1, expect=(r"^FAIL ivshmem 0: the region has 2048 bytes, less",))
    scene.guest("pingpong", "", devices).end(
        1, ("^pingpong: the region has 2048 bytes; at least 4096 are needed$",), ())


def test_too_small_for_messages(scene):
    """What is enough for the bare device isn't for messages; and a name may be too long for them."""
    plain = scene.plain(scene.region(32768))
    scene.guest("chat", "", plain).end(1, ("error msg: region 0 has 32768 bytes; messages need at least 65536",))
    name = "n" * 48
    scene.guest("chat", f"--name {name}", scene.plain(scene.region(65536))).end(
        1, (f"error msg: the peer name {name} is longer than 47 bytes",))


def test_not_there(scene):
    """No device, no PCI: one line, status 1. Listing alone is no error."""
    inspect(scene, (), status=1, expect=("^inspect: no ivshmem device to test: give QEMU",))
    scene.guest("inspect", "--list").end(expect=("0 ivshmem devices$",))
    inspect(scene, (), status=1, machine="microvm",
            expect=("error pci: this machine has no PCI: .*-machine microvm,acpi=on,pcie=on$",))
    inspect(scene, (), "--lst", 2, ("^inspect: --lst: no such option; --help lists them$",))


def test_beyond_physical_width(scene):
    """A region that doesn't fit into 36 bits of physical addresses: a line with size and limit."""
    guest = scene.guest("inspect", "", scene.plain(scene.region(1 << 37)), bios="qboot.rom",
                        cpu="qemu64,phys-bits=36")
    guest.end(1, ("warn .*pci: .*: BAR 2 .* finds no room", r"BAR 2 \(\d+ bytes\) has no address$"))
    guest = scene.guest("inspect", "", scene.plain(scene.region(1 << 37)), cpu="qemu64,phys-bits=36")
    guest.end(1, ("error .*: the region, 131072 MiB at 0x[0-9a-f]+, lies beyond the 36 physical address "
                  "bits of this CPU",), (r"error[^\0]*\n.*error",))


def test_dead_vectors(scene):
    """More vectors than the server gives: those are dead, and inspect's test says which and fails."""
    guest = scene.guest("inspect", "", scene.doorbell(scene.server("1M", 4), 16))
    guest.end(1, ("^FAIL ivshmem 0: doorbell to itself, vector 4: no interrupt",
                  r"^inspect: \d+ passed, [1-9]\d* failed$"), ())


if __name__ == "__main__":
    vms.main(globals())
