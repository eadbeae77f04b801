#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The message layer between guests and processes, in all pairings: one program, exchange, for both.

`pairings.py` alone runs all cases, `pairings.py NAME...` some."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import vms  # noqa: E402
from vms import boot, harness  # noqa: E402

FOLDER = os.path.join(os.path.abspath(boot.build_folder()), "tests/msg")
PATIENCE = 150
ALL_CASES = "sizes wrap full batch views stream flow"
# Nobody dies there: however busy the machine is, nobody is to be taken for dead.
PATIENT = "death=20000"
# Indices that pass 2^32, and rings that wrap often.
SMALL = "ring=1024 start=0xfffff000"
TICKS = os.sysconf("SC_CLK_TCK")


class Process(vms.Guest):
    """The program as a process, handled like a guest."""

    def __init__(self, scene, append, where):
        vms.Guest.count += 1
        self.scene = scene
        self.name = f"process {vms.Guest.count}"
        self.line = [os.path.join(FOLDER, "exchange")] + append.split()
        self.path = os.path.join(scene.folder, f"output.{vms.Guest.count}")
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(
                self.line, stdin=subprocess.PIPE, stdout=output, stderr=output,
                env=dict(os.environ, ISTHMUS_REGION=where), preexec_fn=harness.die_with_parent)
        scene.guests.append(self)

    def end(self, status=0, expect=(), refuse=("^FAIL",), seconds=PATIENCE):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            code = "none in time"
        found = boot.faults(boot.Result(code, self.output(), self.line), status, expect, refuse)
        if found:
            raise vms.Failure(f"{self.name}: " + "; ".join(found))


class Ground:
    """One region and how peers come to it."""

    def __init__(self, scene, kind="doorbell", size=1 << 20):
        self.scene, self.kind = scene, kind
        if kind == "doorbell":
            self.server = scene.server(str(size), 2, "--sticky-ids")
            self.where = f"socket={self.server.path}"
        else:
            self.where = scene.region(size)

    def device(self, name="iv0"):
        if self.kind == "doorbell":
            return self.scene.doorbell(self.server, 2, name)
        return self.scene.plain(self.where, name)

    def start(self, who, append, **options):
        if who == "process":
            return Process(self.scene, append, self.where)
        return self.scene.guest("tests/msg/exchange.elf", append, self.device(), **options)


def end(*peers):
    """All ended well; shows what their waits cost, unless they are many."""
    for peer in peers:
        peer.end(0, ("^PASS exchange$",), ("^FAIL", "panic"), PATIENCE)
        for line in () if len(peers) > 6 else re.findall("^(?:waits|flow): .*$", peer.output(), re.MULTILINE):
            print(f"    {peer.name}: {line}")


def pair(scene, leader, follower, settings, cases=ALL_CASES, kind="doorbell", machines=("q35", "q35"),
         **options):
    ground = Ground(scene, kind)
    for who, role, machine in ((follower, "follow", machines[0]), (leader, "lead", machines[1])):
        more = dict(options, machine=machine) if who == "guest" else {}
        ground.start(who, f"{role} {PATIENT} {settings} {cases}", **more)
    end(*scene.guests)
    return scene.guests


def rescues(peers):
    found = [re.search(r"^waits: sleeps=(\d+) rescues=(\d+)", p.output(), re.MULTILINE) for p in peers]
    return [(int(m[1]), int(m[2])) for m in found]


def test_guests_q35(scene):
    pair(scene, "guest", "guest", f"{SMALL} count=3000 strict=1")


def test_guests_pc(scene):
    pair(scene, "guest", "guest", f"{SMALL} count=3000 strict=1", machines=("pc", "pc"))


def test_guests_mixed(scene):
    pair(scene, "guest", "guest", "count=3000 strict=1", machines=("pc", "q35"))


def test_guests_plain(scene):
    """Nobody can ring: each wait is a sleep of a millisecond and more, and so they are fewer."""
    pair(scene, "guest", "guest", f"{SMALL} count=1000", kind="plain")


def test_guests_plain_pc(scene):
    pair(scene, "guest", "guest", "count=3000", kind="plain", machines=("pc", "pc"))


def test_guest_leads_process(scene):
    pair(scene, "guest", "process", f"{SMALL} count=3000")


def test_process_leads_guest(scene):
    pair(scene, "process", "guest", "count=3000")


def test_guest_leads_process_plain(scene):
    pair(scene, "guest", "process", f"{SMALL} count=1000", kind="plain")


def test_process_leads_guest_plain(scene):
    pair(scene, "process", "guest", "count=3000", kind="plain")


def test_processes(scene):
    pair(scene, "process", "process", f"{SMALL} count=20000 strict=1")


def test_processes_plain(scene):
    pair(scene, "process", "process", "count=20000", kind="plain")


def test_guests_many(scene):
    """100,000 checked messages each way at once."""
    pair(scene, "guest", "guest", "ring=4096 start=0xfffff000 count=100000 strict=1", "flow")


def test_guests_many_plain(scene):
    pair(scene, "guest", "guest", "ring=4096 count=100000", "flow", kind="plain")


def test_guest_process_many(scene):
    pair(scene, "guest", "process", "ring=4096 count=100000", "flow")


def test_processes_many(scene):
    pair(scene, "process", "process", "ring=4096 count=1000000 strict=1", "flow")


def test_sleeps(scene):
    """Asleep at each message: no sleep is ended by the backing timer alone."""
    pair(scene, "guest", "guest", "spin=never count=5000 strict=1", "sleeps")


def test_sleeps_many(scene):
    pair(scene, "guest", "guest", "spin=never count=100000 strict=1", "sleeps")


def test_one_possible_cpu(scene):
    """-smp 1: TCG leaves out the barriers. Nothing hangs and nothing is lost; what it costs is shown."""
    peers = pair(scene, "guest", "guest", f"{SMALL} count=2000", smp="1")
    print("    sleeps, rescues:", *rescues(peers))


def test_one_possible_cpu_sleeps(scene):
    peers = pair(scene, "guest", "guest", "spin=never count=2000", "sleeps", smp="1")
    print("    sleeps, rescues:", *rescues(peers))


def test_one_possible_cpu_many(scene):
    peers = pair(scene, "guest", "guest", "ring=1024 count=100000", "flow", smp="1")
    print("    sleeps, rescues:", *rescues(peers))


def crowd(scene, who, count, messages, kind="doorbell"):
    ground = Ground(scene, kind, 16 << 20)
    hub = ground.start(who, f"hub peers={count} slots=80 {PATIENT}")
    hub.wait_output("^memory ")
    spokes = [ground.start(who, f"spoke count={messages} ring=4096 name=spoke{i}") for i in range(count)]
    end(hub, *spokes)
    hub.end(0, (rf"^hub: {count} peers, {count * messages} messages$",), (r"^event died",))


def test_crowd_processes(scene):
    crowd(scene, "process", 64, 100)


def test_crowd_plain(scene):
    crowd(scene, "process", 64, 100, "plain")


def test_crowd_guests(scene):
    crowd(scene, "guest", 4, 500)


def killed(scene, who):
    """A peer killed in the midst of its messages is seen to be dead; all it held comes back; started again
    it is a new one, and talks."""
    ground = Ground(scene)
    hub = ground.start("guest", "hub peers=3 death=1000")
    memory = r"^memory (\d+) of (\d+) bytes free, 0 channels, (\d+) peers$"
    before = hub.wait_output(memory).groups()
    epochs = []
    for n in range(3):
        last = n == 2
        victim = ground.start(who, f"spoke name=victim count={500 if last else 100000000}")
        victim.wait_output("^spoke: talks")
        epochs.append(int(re.search(r"^spoke: victim epoch=(\d+)", victim.output(), re.MULTILINE)[1]))
        hub.wait_output(rf"^event joined victim epoch={epochs[-1]}{' restarted' if n else ''}$")
        if last:
            end(victim)
        else:
            victim.kill()
            hub.wait_output(rf"^event died victim epoch={epochs[-1]}$", PATIENCE)
        hub.wait_output("(?s)(?:" + memory + r".*?){%d}" % (n + 2))
    end(hub)
    if sorted(set(epochs)) != epochs:
        raise vms.Failure(f"epochs {epochs}")
    # The last one closed its channel and had not left yet.
    after = re.findall(memory, hub.output(), re.MULTILINE)[:3]
    if after != [before] * 3:
        raise vms.Failure(f"memory before {before}, afterwards {after}")


def test_killed_guest(scene):
    killed(scene, "guest")


def test_killed_process(scene):
    killed(scene, "process")


def test_leaves_at_once(scene):
    """Who leaves is not missed for the time after which it would be dead."""
    ground = Ground(scene)
    hub = ground.start("guest", "hub peers=2 death=3000000")
    hub.wait_output("^memory ")
    for who in ("guest", "process"):
        leaver = ground.start(who, f"spoke name={who} count=10")
        end(leaver)
        if who == "guest":  # the hub ends with the second one
            hub.wait_output(r"^event left guest epoch=\d+$")
    end(hub)


def test_computes(scene):
    """A peer that computes, without any call, for longer than death takes is alive."""
    ground = Ground(scene)
    hub = ground.start("process", "hub peers=2 death=1000")
    hub.wait_output("^memory ")
    spokes = [ground.start(who, f"spoke name={who} count=20 compute=3000")
              for who in ("guest", "process")]
    end(hub, *spokes)
    hub.end(0, (), ("^event died",))


def test_several_devices(scene):
    """A guest with three devices waits for all of them at once."""
    grounds = [Ground(scene), Ground(scene, "plain"), Ground(scene)]
    hubs = [g.start("process" if n else "guest", f"hub peers=1 {PATIENT}") for n, g in enumerate(grounds)]
    devices = [word for n, g in enumerate(grounds) for word in g.device(f"iv{n}")]
    spoke = scene.guest("tests/msg/exchange.elf", "spoke regions=3 count=500", devices)
    end(spoke, *hubs)
    for hub in hubs:
        hub.end(0, ("^hub: 1 peers, 500 messages$",))


def processor_time(peer):
    with open(f"/proc/{peer.process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def test_idle(scene):
    """What a sleeping receiver costs, for information."""
    for who, kind in (("guest", "doorbell"), ("guest", "plain"), ("process", "doorbell")):
        ground = Ground(scene, kind)
        follower = ground.start(who, "follow idle")
        leader = ground.start("process", "lead idle")
        follower.wait_output("^idle begins")
        before = processor_time(follower)
        time.sleep(3)
        used = processor_time(follower) - before
        print(f"    a sleeping {who}, {kind}: {100 * used / 3:.2f} % of a core")
        end(follower, leader)


if __name__ == "__main__":
    vms.main(globals(), at_once=3)
