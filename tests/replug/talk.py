# SPDX-License-Identifier: BSD-2-Clause
"""Conversations that outlive an unplug: a guest that moves, a process or a guest that stays. Every
message's number and payload are checked at both ends, which demand each exactly once (talk.c)."""
import os
import re
import signal
import subprocess
import time

import plugs
import vms
import harness

TALK = os.path.join(vms.boot.build_folder(), "tests/replug")


class Process:
    """The peer on the host."""

    def __init__(self, scene, where, *args, app="replug_talk"):
        self.path = os.path.join(scene.folder, f"process.{time.monotonic_ns()}")
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen([os.path.join(TALK, app), "stays", where, *args], stdout=output,
                                            stderr=output, stdin=subprocess.DEVNULL,
                                            preexec_fn=harness.die_with_parent)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.kill()
        if error:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                print(f"--- process:\n{file.read()}")

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait()

    def end(self):
        try:
            code = self.process.wait(plugs.PATIENCE)
        except subprocess.TimeoutExpired:
            raise vms.Failure("the process goes on") from None
        with open(self.path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if code or "PASS" not in text:
            raise vms.Failure(f"the process ended with {code}")
        return text


def place(scene, kind_of_device):
    if kind_of_device == "plain":
        path = scene.region(1 << 20)
        return {"path": path}, path
    server = scene.server("1M", 1, "--sticky-ids")
    return {"server": server, "vectors": 1}, f"socket={server.path}"


def balance(a, b):
    """What one says it sent is what the other says it received."""
    figures = [re.search(r"PASS sent (\d+), received (\d+)", text) for text in (a, b)]
    if not all(figures) or figures[0].groups() != figures[1].groups()[::-1]:
        raise vms.Failure(f"the totals differ: {[f and f.group(0) for f in figures]}")


def cycles(scene, kind, device="doorbell", rounds=3, mover="", stayer=(), messages=100,
           app="replug_talk"):
    where, name = place(scene, device)
    with Process(scene, name, *stayer, app=app) as process:
        vm = plugs.Replug(scene, app,
                          f"moves --rounds {rounds} --messages {messages} {mover}", kind, **where)
        for n in range(1, rounds):
            vm.lines(f"attached {n} .*", 1)
            vm.lines("connected", n)
            time.sleep(0.15)  # talk for a while
            vm.unplug()
            vm.lines("left", n)
            vm.plug()
        vm.guest.end(expect=("^PASS",))
        balance(vm.guest.output(), process.end())


def test_native(scene):
    cycles(scene, "native")


def test_native_plain(scene):
    cycles(scene, "native", device="plain")


def test_native_no_events(scene):
    cycles(scene, "native", mover="--no-events")


def test_native_delay(scene):
    cycles(scene, "native", mover="--delay 400")


def test_acpi(scene):
    cycles(scene, "acpi")


def test_pc(scene):
    cycles(scene, "pc")


def test_pc_plain(scene):
    cycles(scene, "pc", device="plain")


def test_pc_no_events(scene):
    cycles(scene, "pc", mover="--no-events")


def test_pc_delay(scene):
    cycles(scene, "pc", mover="--delay 400")


CHANNELS = "replug_channels"


def test_channels_native(scene):
    """Without a link: what was not released is the app's to find, and to send again."""
    cycles(scene, "native", app=CHANNELS)


def test_channels_pc_no_events(scene):
    cycles(scene, "pc", mover="--no-events", app=CHANNELS)


def test_channels_native_blocked(scene):
    cycles(scene, "native", mover="--no-events", stayer=("--deaf",), rounds=2, app=CHANNELS)


def test_channels_pc_blocked(scene):
    cycles(scene, "pc", mover="--no-events", stayer=("--deaf",), rounds=2, app=CHANNELS)


def test_native_blocked(scene):
    """The guest's send is blocked, since the other side doesn't receive."""
    cycles(scene, "native", mover="--no-events", stayer=("--deaf",), rounds=2)


def test_pc_blocked(scene):
    cycles(scene, "pc", mover="--no-events", stayer=("--deaf",), rounds=2)


def test_native_20(scene):
    cycles(scene, "native", rounds=21)


def test_acpi_20(scene):
    cycles(scene, "acpi", rounds=21)


def test_pc_20(scene):
    cycles(scene, "pc", rounds=21)


def test_native_plain_20(scene):
    cycles(scene, "native", device="plain", rounds=21)


def test_pc_plain_20(scene):
    cycles(scene, "pc", device="plain", rounds=21)


def test_guests(scene):
    """Both are guests; one of them moves."""
    where, _ = place(scene, "doorbell")
    stays = scene.guest("replug_talk", "stays 0", scene.doorbell(where["server"], 1))
    stays.wait_output("^listening")
    vm = plugs.Replug(scene, "replug_talk", "moves --rounds 3 --messages 100", "native", **where)
    for n in range(1, 3):
        vm.lines("connected", n)
        time.sleep(0.15)
        vm.unplug()
        vm.lines("left", n)
        vm.plug()
    vm.guest.end(expect=("^PASS",))
    stays.end(expect=("^PASS",))
    balance(vm.guest.output(), stays.output())


def connecting(scene, kind):
    """Nobody listens: the guest is in the middle of its handshake when the device is taken."""
    where, name = place(scene, "doorbell")
    vm = plugs.Replug(scene, "replug_talk", "moves --rounds 2 --messages 50", kind, **where)
    vm.lines("attached 1 .*", 1)
    vm.unplug()
    vm.plug()
    vm.lines("attached 2 .*", 1)
    with Process(scene, name) as process:
        vm.guest.end(expect=("^PASS",))
        balance(vm.guest.output(), process.end())


def test_native_connecting(scene):
    connecting(scene, "native")


def test_pc_connecting(scene):
    connecting(scene, "pc")


def attaching(scene, kind):
    """The device is asked for as soon as it is there, before, in or after the attach."""
    where, name = place(scene, "doorbell")
    vm = plugs.Replug(scene, "replug_talk", "moves --ask", kind, **where)
    vm.lines("attached 1 .*", 1)
    vm.unplug()
    for n in range(3):
        vm.plug()
        time.sleep(0.02 * n)
        vm.unplug()
    vm.plug()
    with Process(scene, name) as process:
        vm.lines("connected", 1)
        time.sleep(0.1)
        vm.guest.send("q")
        vm.guest.end(expect=("^PASS",))
        balance(vm.guest.output(), process.end())


def test_native_attaching(scene):
    attaching(scene, "native")


def test_pc_attaching(scene):
    attaching(scene, "pc")


def bereft(scene, kind, kill_server):
    """The peer is dead, or the server: the device leaves all the same, and the next one works. The peer there
    knows nothing of the conversation: it is told what was not received, and a new one begins."""
    where, name = place(scene, "doorbell")
    vm = plugs.Replug(scene, "replug_talk", "moves --ask --anew", kind, **where)
    with Process(scene, name) as process:
        vm.lines("connected", 1)
        if kill_server:
            scene.servers.remove(where["server"])
            where["server"].stop(signal.SIGKILL)
        else:
            process.kill()
        vm.unplug()
        vm.lines("left", 1)
    if kill_server:
        where["server"].clear()
        vm.server = scene.server("1M", 1, "--sticky-ids")
        name = f"socket={vm.server.path}"
    vm.plug()
    vm.lines("attached 2 .*", 1)
    with Process(scene, name, "--anew") as process:
        vm.lines("reset, .*", 1)
        vm.lines("connected", 2)
        time.sleep(0.1)
        vm.guest.send("q")
        vm.guest.end(expect=("^PASS",))
        balance(vm.guest.output(), process.end())


def test_native_peer_dead(scene):
    bereft(scene, "native", False)


def test_pc_peer_dead(scene):
    bereft(scene, "pc", False)


def test_native_server_dead(scene):
    bereft(scene, "native", True)


def test_pc_server_dead(scene):
    bereft(scene, "pc", True)


def restored(scene, kind, load=""):
    """A guest that is put back to a snapshot made without its device joins in a new life. The peer that stayed
    and the guest find that their memories differ, lose nothing without a word, and what the
    former self still had in the region is not touched: each checks all that it gets."""
    where, name = place(scene, "doorbell")
    disk = os.path.join(scene.folder, "snapshots")
    with open(disk, "wb"):
        pass
    with Process(scene, name, "--anew") as process:
        vm = plugs.Replug(scene, "replug_talk", f"moves --ask --anew {load}", kind, **where,
                          more=["-blockdev", f"file,node-name=raw,filename={disk}"])
        vm.job("blockdev-create", options={"driver": "qcow2", "file": "raw", "size": 1 << 20})
        vm.monitor.run("blockdev-add", **{"driver": "qcow2", "node-name": "disk", "file": "raw"})
        vm.lines("connected", 1)
        time.sleep(0.2)
        vm.unplug()
        vm.lines("left", 1)
        vm.job("snapshot-save", tag="here", vmstate="disk", devices=["disk"])
        vm.plug()
        vm.lines("connected", 2)
        time.sleep(0.2)
        vm.unplug()
        vm.lines("left", 2)
        vm.job("snapshot-load", tag="here", vmstate="disk", devices=["disk"])
        if not vm.monitor.run("query-status")["running"]:
            vm.monitor.run("cont")
        vm.plug()
        vm.lines("attached 2 .*", 2)
        vm.lines("reset, .*", 1)
        vm.lines("connected", 3)
        time.sleep(0.1)
        vm.guest.send("q")
        vm.guest.end(expect=("^PASS",))
        text = process.end()
        balance(vm.guest.output(), text)
        # What the former self had sent was received to the last; only what nobody had is told as lost.
        told = re.findall(r"^reset, (\d+) of (\d+) not received, (\d+) received", text, re.M)
        before = re.findall(r"^reset, (\d+) of (\d+) not received, (\d+) received", vm.guest.output(),
                            re.M)
        if len(told) != 1 or len(before) != 1:
            raise vms.Failure(f"told {told} at one end and {before} at the other")
        if not int(before[0][1]) - int(before[0][0]) <= int(told[0][2]):
            raise vms.Failure(f"known to be received and wasn't: {before}, {told}")
        epochs = [int(e) for e in re.findall(r"^attached \d+ epoch (\d+)", vm.guest.output(), re.M)]
        if epochs != sorted(set(epochs)) or len(epochs) != 3:
            raise vms.Failure(f"lives that are no new ones: {epochs}")


def test_native_restored(scene):
    restored(scene, "native")


def test_pc_restored(scene):
    restored(scene, "pc")


def test_native_restored_full(scene):
    restored(scene, "native", "--full")


if __name__ == "__main__":
    vms.main(globals())
