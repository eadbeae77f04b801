#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the guest finds on the buses against what QEMU says (QMP's query-pci): functions, bus numbers,
sizes and addresses, with firmware that assigns (SeaBIOS) and firmware that doesn't (qboot, microvm)."""
import json
import os
import socket
import struct

import vms


def query_pci(path):
    """QEMU's buses, as {(bus, slot, function): device}."""
    with socket.socket(socket.AF_UNIX) as qmp:
        qmp.connect(path)
        stream = qmp.makefile("rw", encoding="utf-8")
        json.loads(stream.readline())
        for command in ("qmp_capabilities", "query-pci"):
            stream.write(json.dumps({"execute": command}) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
            while "return" not in answer:
                answer = json.loads(stream.readline())
    found = {}

    def walk(devices):
        for device in devices:
            found[device["bus"], device["slot"], device["function"]] = device
            walk(device.get("pci_bridge", {}).get("devices", ()))

    for bus in answer["return"]:
        walk(bus["devices"])
    return found


def guest_list(text):
    """What the guest printed, in the same form: {(bus, slot, function): (ids, buses, bars)}."""
    found, last = {}, None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["function"]:
            bus, slot, function, vendor, device, first, final = map(int, words[1:])
            last = found[bus, slot, function] = ((vendor, device), (first, final), {})
        elif words[:1] == ["bar"]:
            n, base, size, _ = map(int, words[1:])
            last[2][n] = (base, size)
    return found


def compare(scene, devices, **options):
    qmp = os.path.join(scene.folder, f"qmp.{len(os.listdir(scene.folder))}")
    guest = scene.guest("pci_list", devices=list(devices) + ["-qmp", f"unix:{qmp},server,nowait"],
                        **options)
    guest.wait_output("^listed")
    qemu, ours = query_pci(qmp), guest_list(guest.output())
    guest.send("\n")
    guest.end()
    if set(qemu) != set(ours):
        raise vms.Failure(f"the guest found {sorted(ours)}, QEMU has {sorted(qemu)}")
    used = []
    for place, device in qemu.items():
        ids, buses, bars = ours[place]
        if ids != (device["id"]["vendor"], device["id"]["device"]):
            raise vms.Failure(f"{place}: ids {ids}, QEMU has {device['id']}")
        bridge = device.get("pci_bridge")
        if bridge and buses != (bridge["bus"]["secondary"], bridge["bus"]["subordinate"]):
            raise vms.Failure(f"{place}: buses {buses}, QEMU has {bridge['bus']}")
        # BAR 6 is the ROM, which the guest leaves alone.
        regions = {r["bar"]: (r["address"], r["size"]) for r in device["regions"] if r["bar"] < 6}
        if regions != bars:
            raise vms.Failure(f"{place}: BARs {bars}, QEMU has {regions}")
        used += [(r["type"], r["address"], r["size"], place) for r in device["regions"]
                 if r["bar"] < 6]
    for i, (kind, base, size, place) in enumerate(used):
        for other_kind, other, other_size, other_place in used[:i]:
            if kind == other_kind and base < other + other_size and other < base + size:
                raise vms.Failure(f"BARs of {place} and {other_place} overlap at {base:#x}")
    return ours


def plain(scene, count, where):
    """`count` plain devices of growing size; where(n) is the rest of the -device word."""
    words = []
    for n in range(count):
        words += scene.plain(scene.region(4096 << 2 * n), f"iv{n}", where(n))
    return words


def behind_bridges(scene):
    """pc: a bridge behind a bridge, devices on each bus."""
    return (["-device", "pci-bridge,id=b1,chassis_nr=1",
             "-device", "pci-bridge,id=b2,chassis_nr=2,bus=b1,addr=3",
             "-device", "e1000,bus=b2,addr=1,romfile="] +
            plain(scene, 3, lambda n: ("", ",bus=b1,addr=1", ",bus=b2,addr=2")[n]))


def behind_ports(scene):
    """q35: root ports, a switch, a conventional bridge, an empty port, a multi-function slot."""
    return (["-device", "pcie-root-port,id=r1,slot=1,chassis=1,multifunction=on,addr=4.0",
             "-device", "pcie-root-port,id=r2,slot=2,chassis=2,addr=4.1",
             "-device", "pcie-root-port,id=r3,slot=3,chassis=3,addr=4.2",
             "-device", "x3130-upstream,id=up,bus=r2",
             "-device", "xio3130-downstream,id=d1,bus=up,chassis=4,slot=4",
             "-device", "xio3130-downstream,id=d2,bus=up,chassis=5,slot=5",
             "-device", "pcie-pci-bridge,id=pb,bus=d2",
             "-device", "qemu-xhci,bus=pcie.0"] +
            plain(scene, 4, lambda n: (",bus=r1", ",bus=d1", ",bus=pb,addr=1", "")[n]))


def test_pc(scene):
    compare(scene, behind_bridges(scene), machine="pc")


def test_pc_qboot(scene):
    found = compare(scene, behind_bridges(scene), machine="pc", bios="qboot.rom")
    if max(bus for bus, _, _ in found) != 2:
        raise vms.Failure("two buses behind bridges were not numbered 1 and 2")


def test_q35(scene):
    compare(scene, behind_ports(scene))


def test_q35_qboot(scene):
    compare(scene, behind_ports(scene), bios="qboot.rom")


def test_microvm(scene):
    """No firmware numbers the buses here: the guest does, depth first."""
    found = compare(scene, behind_ports(scene), machine="microvm,acpi=on,pcie=on")
    numbers = [buses for ids, buses, _ in found.values() if any(buses)]
    if sorted(first for first, _ in numbers) != list(range(1, len(numbers) + 1)):
        raise vms.Failure(f"bridges lead to buses {numbers}")
    if max(last for _, last in numbers) != len(numbers):
        raise vms.Failure(f"bridges end at buses {numbers}")


def test_extra_root(scene):
    """A root bus of its own, which no bridge leads to."""
    extra = ["-device", "pxb-pcie,id=pxb,bus_nr=64",
             "-device", "pcie-root-port,id=r1,slot=1,chassis=1,bus=pxb"]
    found = compare(scene, extra + plain(scene, 2, lambda n: (",bus=pcie.0", ",bus=r1")[n]))
    if not any(bus > 64 for bus, _, _ in found):
        raise vms.Failure("nothing was found behind the extra root bus")


def test_wrong_ecam(scene):
    """An MCFG that points at nothing, at RAM, or is too short: the ports still lead to everything."""
    for base, length in ((0xd0000000, 24), (0x100000, 24), (0xd0000000, 20)):
        path = os.path.join(scene.folder, "mcfg")
        with open(path, "wb") as file:
            file.write(struct.pack("<QQHBBI", 0, base, 0, 0, 255, 0)[:length])
        found = compare(scene, ["-acpitable", f"sig=MCFG,data={path}"] + behind_bridges(scene),
                        machine="pc")
        if len(found) < 8:
            raise vms.Failure(f"only {sorted(found)} were found")
        warned = "where it isn't; using ports" in scene.guests[-1].output()
        if length == 24 and not warned:
            raise vms.Failure("nothing was said of an ECAM that isn't there")


def test_high_windows(scene):
    """A large region behind a port and behind a bridge, which opens its window above 4 GiB."""
    for machine, port in (("q35", "pcie-root-port,id=p,slot=1,chassis=1"),
                          ("pc", "pci-bridge,id=p,chassis_nr=1")):
        for bios in (None, "qboot.rom"):
            where = ",bus=p" + (",addr=1" if machine == "pc" else "")
            region = scene.plain(scene.region(1 << 32), "iv0", where)
            found = compare(scene, ["-device", port] + region, machine=machine, bios=bios)
            base = next(bars[2][0] for ids, _, bars in found.values() if ids == (0x1af4, 0x1110))
            if base < 1 << 32:
                raise vms.Failure(f"{machine}: 4 GiB at {base:#x}?")


if __name__ == "__main__":
    vms.main(globals())
