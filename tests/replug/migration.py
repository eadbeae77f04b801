#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests with an ivshmem device that move to another QEMU with another backing file, and that don't."""
import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "system"))
import vms  # noqa: E402
from qmp import Qmp, QmpError  # noqa: E402

BYTES = 4 << 20
ROUND = BYTES // 8 - 1
MASK = (1 << 64) - 1
MASTER = ",master=on"
IMAGE = "migrant"


def pattern(step):
    """What migrant.c writes in that step."""
    return (step * 0x9e3779b97f4a7c15 + 1) & MASK


def check_region(path, at_least=0):
    """Holds a region against its first word; returns the number of steps in it."""
    with open(path, "rb") as file:
        words = struct.unpack(f"={BYTES // 8}Q", file.read())
    steps = words[0]
    if steps < at_least:
        raise vms.Failure(f"{path} has {steps} steps, at least {at_least} were made")
    for place in range(ROUND):
        last = steps - 1 - (steps - 1 - place) % ROUND  # the last step that wrote there
        expected = pattern(last) if last >= 0 else 0
        # The step that is half done (word written, count not yet) is allowed.
        if words[1 + place] != expected and not (
                place == steps % ROUND and words[1 + place] == pattern(steps)):
            raise vms.Failure(f"{path}: word {1 + place} is {words[1 + place]:#x}, "
                              f"not {expected:#x} of step {last}")
    return steps


def lines_at(guest):
    """(step, clock) of each "at" line."""
    return [(int(a), int(b)) for a, b in re.findall(r"^at (\d+) (\d+)$", guest.output(), re.M)]


class Place:
    """A QEMU for the migrant: the first one, or one that waits for it."""
    count = 0

    def __init__(self, scene, machine, devices, append="region", come_from=None, more=()):
        Place.count += 1
        self.qmp_path = os.path.join(scene.folder, f"qmp.{Place.count}")
        extra = list(devices) + ["-qmp", f"unix:{self.qmp_path},server=on,wait=off"] + list(more)
        if come_from:
            extra += ["-incoming", come_from]
        self.guest = scene.guest(IMAGE, append, extra, machine=machine)
        self.qmp = Qmp(self.qmp_path)

    def end_of_source(self):
        """QEMU stays after its guest has gone; its serial output has nothing wrong in it."""
        self.qmp.command("quit")
        self.guest.process.wait(vms.PATIENCE)
        if "FAIL" in self.guest.output():
            raise vms.Failure("the guest noticed something before it moved")


def travel(source, target, uri):
    """From here to there, in the middle of its work. Under TCG it stands still while it is copied: QEMU's translator
    loses track of pages that are written meanwhile (one move in twenty on a busy host)."""
    still = not source.qmp.command("query-kvm")["enabled"]
    if still:
        source.qmp.command("stop")
    source.qmp.migrate(uri)
    target.qmp.wait_until("it has arrived",
                          lambda: target.qmp.command("query-status")["status"] != "inmigrate")
    if still:
        target.qmp.command("cont")


def after(guest, step):
    """Waits until the guest says that it has got further than that."""
    vms.harness.wait_for(f"{guest.name} past step {step}",
                         lambda: any(s > step for s, _ in lines_at(guest)), vms.PATIENCE)


def move(scene, machine, from_devices, to_devices, region_from, region_to):
    """Moves a guest while it works and holds both regions, its sequence and its clock against it."""
    uri = "unix:" + os.path.join(scene.folder, "move")
    source = Place(scene, machine, from_devices)
    # Further than one round, so that every word has been written.
    after(source.guest, ROUND)
    target = Place(scene, machine, to_devices, come_from=uri)
    travel(source, target, uri)
    left = check_region(region_from)
    after(target.guest, left)
    target.qmp.command("stop")  # so that the region stands still while it is read
    check_region(region_to, left)
    target.qmp.command("cont")
    if check_region(region_from) != left:
        raise vms.Failure("the region that the guest left was written to afterwards")
    source.end_of_source()
    target.guest.send("q")
    target.guest.end(0, (r"^PASS \d+ steps",))
    check_region(region_to, left + ROUND)
    said = lines_at(source.guest) + lines_at(target.guest)
    if said != sorted(said) or len({s for s, _ in said}) != len(said):
        raise vms.Failure(f"steps or clock went back: {said}")


def plain_moves(scene, machine):
    here, there = scene.region(BYTES), scene.region(BYTES)
    with open(there, "r+b") as file:  # what is there is overwritten
        file.write(b"\xa5" * BYTES)
    move(scene, machine, scene.plain(here, more=MASTER),
         scene.plain(there, more=MASTER), here, there)


def test_plain_q35(scene):
    plain_moves(scene, "q35")


def test_plain_pc(scene):
    plain_moves(scene, "pc")


def doorbell_moves(scene, machine):
    """The first of each server, id 0. Its doorbell works at the destination's server too."""
    here, there = (scene.server("4M", 2, "--sticky-ids") for _ in range(2))
    move(scene, machine, scene.doorbell(here, 2, more=MASTER),
         scene.doorbell(there, 2, more=MASTER), here.shm_path(), there.shm_path())


def test_doorbell_q35(scene):
    doorbell_moves(scene, "q35")


def test_doorbell_pc(scene):
    doorbell_moves(scene, "pc")


def test_back_and_forth(scene):
    """Six moves between two machines' files; the guest counts on."""
    regions = [scene.region(BYTES) for _ in range(2)]
    at = Place(scene, "q35", scene.plain(regions[0], more=MASTER))
    after(at.guest, ROUND)
    for turn in range(6):
        uri = "unix:" + os.path.join(scene.folder, f"move.{turn}")
        there = Place(scene, "q35", scene.plain(regions[(turn + 1) % 2], more=MASTER),
                      come_from=uri)
        travel(at, there, uri)
        left = check_region(regions[turn % 2])
        after(there.guest, left)
        at.end_of_source()
        at = there
    at.guest.send("q")
    at.guest.end(0, (r"^PASS \d+ steps",))


def refused(action, *arguments, **named):
    try:
        action(*arguments, **named)
    except QmpError as error:
        if "ivshmem" not in str(error):
            raise vms.Failure(f"refused for another reason: {error}") from None
        return
    raise vms.Failure("was not refused")


def test_refused(scene):
    """master=off, the default, and auto where the id isn't 0: QEMU refuses, and the guest goes on."""
    server = scene.server("4M", 2, "--sticky-ids")
    zero = Place(scene, "q35", scene.doorbell(server, 2))
    after(zero.guest, 0)
    # One more on the same region would upset the pattern: this one stays in its firmware.
    other = Place(scene, "q35", scene.doorbell(server, 2, more=",master=auto"), more=["-S"])
    refused(other.qmp.migrate, "unix:" + os.path.join(scene.folder, "nobody"))
    other.qmp.command("quit")
    plain = Place(scene, "pc", scene.plain(scene.region(BYTES)))
    for place in (zero, plain):
        refused(place.qmp.migrate, "unix:" + os.path.join(scene.folder, "nobody"))
        answer = place.qmp.command("human-monitor-command", command_line="savevm x")
        if "ivshmem" not in answer:
            raise vms.Failure(f"savevm was not refused for the device: {answer!r}")
        place.guest.send("q")
        place.guest.end(0, (r"^PASS \d+ steps",))


def test_not_mastered_twice(scene):
    """master=on is for id 0 alone: QEMU says so at its start."""
    server = scene.server("4M", 2, "--sticky-ids")
    first = Place(scene, "q35", scene.doorbell(server, 2))
    after(first.guest, 0)
    second = scene.guest(IMAGE, "region", scene.doorbell(server, 2, more=",master=on"))
    if second.process.wait(vms.PATIENCE) != 1 or "master" not in second.output():
        raise vms.Failure(f"a second master was not refused: {second.output()!r}")
    first.guest.send("q")
    first.guest.end(0)


def snapshot_drive(scene, machine):
    """A QEMU with a qcow2 file that QEMU itself makes, to hold snapshots."""
    path = os.path.join(scene.folder, "snapshots")
    with open(path, "wb"):
        pass
    place = Place(scene, machine, (), "ram", more=[
        "-blockdev", f"file,node-name=raw,filename={path}"])
    place.qmp.job("blockdev-create", options={
        "driver": "qcow2", "file": "raw", "size": 1 << 20})
    place.qmp.command("blockdev-add", driver="qcow2", node_name="disk", file="raw")
    return place


def snapshots(scene, machine):
    """A guest without the device goes back to where it was and on from there."""
    place = snapshot_drive(scene, machine)
    after(place.guest, 0)
    place.qmp.job("snapshot-save", tag="here", vmstate="disk", devices=["disk"])
    saved = max(lines_at(place.guest))
    after(place.guest, saved[0] + 100000)
    place.qmp.job("snapshot-load", tag="here", vmstate="disk", devices=["disk"])
    if not place.qmp.command("query-status")["running"]:
        place.qmp.command("cont")
    seen = len(lines_at(place.guest))
    vms.harness.wait_for("the restored guest", lambda: len(lines_at(place.guest)) > seen + 2,
                         vms.PATIENCE)
    steps = [s for s, _ in lines_at(place.guest)]
    if not any(b < a for a, b in zip(steps, steps[1:])):
        raise vms.Failure(f"the guest was not put back: {steps}")
    place.guest.send("q")
    place.guest.end(0, (r"^PASS \d+ steps",))


def test_snapshot_q35(scene):
    snapshots(scene, "q35")


def test_snapshot_pc(scene):
    snapshots(scene, "pc")


if __name__ == "__main__":
    vms.main(globals())
