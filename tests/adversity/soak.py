#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A mixed run for a long time: a hub, processes and VMs that talk with it while they are killed, reset,
stopped and rung at without end; beside them, in turn, everything else of this folder on regions of its
own. Messages must go on, nobody may complain, and memory and descriptors of all that lives throughout
must stay flat.

Usage: soak.py [DURATION]     3600, 90s, 10m, 1h; default 1h"""
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vm_kills  # noqa: E402
from vm_kills import BUILD, qmp, vms  # noqa: E402

HERE = os.path.join(BUILD, "tests/adversity")
PROCESSES, GUESTS = 3, 2
SAMPLE_S = 2


def seconds(text):
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if not match or not int(match.group(1)):
        sys.exit(f"soak: how long is {text!r}? Say 90s, 10m or 1h")
    return int(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


class Watched:
    """A process that must stay as large as it is, but for so much; None: only its descriptors must."""

    def __init__(self, name, pid, grows_by_kib):
        self.name, self.pid, self.allowed = name, pid, grows_by_kib
        self.memory, self.files = [], []

    def sample(self):
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            found = re.search(r"^Private_Dirty: *(\d+) kB$", file.read(), re.MULTILINE)
        self.memory.append(int(found.group(1)))
        self.files.append(len(os.listdir(f"/proc/{self.pid}/fd")))

    def check(self):
        """The least of the second fifth of the run against that of the last: peaks come and go."""
        n = max(1, len(self.memory) // 5)
        if len(self.memory) < 5:
            return f"{self.name}: too short to tell"
        memory = [min(self.memory[n:2 * n]), min(self.memory[-n:])]
        files = [min(self.files[n:2 * n]), min(self.files[-n:])]
        text = (f"{self.name}: memory {memory[0]} -> {memory[1]} KiB (most {max(self.memory)}), "
                f"descriptors {files[0]} -> {files[1]} (most {max(self.files)})")
        if files[1] > files[0] + 16 or (self.allowed and memory[1] > memory[0] + self.allowed):
            raise vms.Failure(f"grows: {text}")
        return text


class Sideshow:
    """The other programs of this folder, one after the other, as often as there is time."""

    SHOWS = [
        ("kills", ["tests/msg/msg_kills"], {"KILLS": "200"}),
        ("pattern kills", ["tests/adversity/pattern_kills"], {"KILLS": "200"}),
        ("hostile", ["tests/adversity/hostile"], {"HOSTILE_WRITES": "20000000"}),
        ("ground", ["tests/adversity/ground"], {}),
        ("points", ["tests/adversity/points"], {"POINT_STEP": "7"}),
        ("threads", ["tests/adversity/threads"], {}),
    ]

    def __init__(self, folder):
        self.folder, self.runs, self.process, self.next = folder, {}, None, 0
        self.failures = []

    def step(self):
        if self.process and self.process.poll() is None:
            return
        if self.process:
            self.finish()
        self.name, program, more = self.SHOWS[self.next % len(self.SHOWS)]
        self.next += 1
        self.output = open(os.path.join(self.folder, "sideshow"), "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen([os.path.join(BUILD, program[0])], stdout=self.output,
                                        stderr=self.output, env={**os.environ, "ISTHMUS_BUILD": BUILD, **more},
                                        preexec_fn=vms.harness.die_with_parent)

    def finish(self):
        code = self.process.wait(300)
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        if code:
            lines = [line for line in text.splitlines() if not line.startswith("isthmus:")]
            # Told at once; the hour goes on, since its other figures are worth having.
            self.failures.append(self.name)
            print(f"{self.name} failed:\n" + "\n".join(lines[-60:]), flush=True)
        self.runs[self.name] = self.runs.get(self.name, 0) + 1
        self.process = None


class Cast:
    """Who talks with the hub and may be harmed."""

    def __init__(self, scene, server):
        self.scene, self.server, self.seed = scene, server, 100
        self.where = f"socket={server.path}"
        self.done = dict.fromkeys(("process killed", "process stopped", "VM killed", "VM reset", "VM stopped",
                                   "storm"), 0)
        self.processes = [self.process() for _ in range(PROCESSES)]
        self.guests = [vm_kills.Victim.start(scene, server, self.fresh()) for _ in range(GUESTS)]
        self.resume = []
        self.stood_still, self.went_on = set(), []

    def explains(self, line):
        """Whoever stood still for longer than the death time may end the copy that it was at when its land
        is another's (docs/reliability.md): is that why a message changed?"""
        at, seed, word = re.match(r"changed at=(\d+) seed=(\d+) word=(0x\w+):", line).groups()
        # A ring's own words: cleared for the next header, or the header of a message alone (msg/ring.h).
        of_ring = int(word, 16) == 0 or int(word, 16) >> 32 & 0xff == 0x11
        print(line, flush=True)
        return (of_ring or int(seed) in self.stood_still) and \
            any(-0.1 < int(at) / 1000 - t < 2 for t in self.went_on)

    def goes_on(self, seed):
        self.stood_still.add(seed % 0x4000)
        self.went_on.append(time.monotonic())

    def fresh(self):
        self.seed += 1
        return self.seed

    def process(self):
        log = open(os.path.join(self.scene.folder, "talker.log"), "a", encoding="utf-8")
        with log:
            process = subprocess.Popen([os.path.join(HERE, "talker"), str(self.fresh()), "0", "0", self.where],
                                       stdout=log, stderr=log, preexec_fn=vms.harness.die_with_parent)
        process.seed = self.seed
        return process

    def check(self):
        with open(os.path.join(self.scene.folder, "talker.log"), encoding="utf-8") as log:
            text = log.read()
        if "FAIL" in text:
            raise vms.Failure(f"a talker complains: {text[-600:]}")
        for guest in self.guests:
            guest.check()

    def harm(self, chance):
        now = time.monotonic()
        for item in [r for r in self.resume if r[0] <= now]:
            self.resume.remove(item)
            item[1]()
        kind = chance.choice(list(self.done))
        busy = {r[2] for r in self.resume}
        which = chance.randrange(PROCESSES)
        guest = chance.randrange(GUESTS)
        if kind.startswith("process") and ("p", which) not in busy:
            process = self.processes[which]
            if kind == "process killed":
                process.kill()
                process.wait()
                self.processes[which] = self.process()
            else:
                process.send_signal(signal.SIGSTOP)
                self.resume.append((now + 1 + 4 * chance.random(),
                                    lambda: self.wake(process), ("p", which)))
        elif kind.startswith("VM") and ("g", guest) not in busy:
            victim = self.guests[guest]
            if kind == "VM killed":
                victim.kill()
                os.unlink(victim.guest.path)
                self.scene.guests.remove(victim.guest)
                victim.guest.process.stdin.close()
                self.guests[guest] = vm_kills.Victim.start(self.scene, self.server, self.fresh())
            else:
                with qmp.Qmp(victim.control) as control:
                    if kind == "VM reset":
                        control.command("set-action", reboot="reset")
                        control.command("system_reset")
                    else:
                        control.command("stop")
                        self.resume.append((now + 1 + 4 * chance.random(), lambda: self.go_on(victim),
                                            ("g", guest)))
        elif kind == "storm" and ("s", 0) not in busy and chance.random() < 0.3:
            ringer = subprocess.Popen([os.path.join(HERE, "ringer"), self.server.path, "1000"],
                                      stdout=subprocess.DEVNULL, preexec_fn=vms.harness.die_with_parent)
            self.resume.append((now + 20, lambda: self.calm(ringer), ("s", 0)))
        else:
            return
        self.done[kind] += 1

    def wake(self, process):
        self.goes_on(process.seed)
        process.send_signal(signal.SIGCONT)

    def go_on(self, victim):
        self.goes_on(victim.seed)
        with qmp.Qmp(victim.control) as control:
            control.command("cont")

    @staticmethod
    def calm(ringer):
        if ringer.wait(60):
            raise vms.Failure("the ringer could not join")

    def end(self):
        for item in self.resume:
            item[1]()
        for process in self.processes:
            process.kill()
            process.wait()
        for guest in self.guests:
            guest.kill()


def soak(scene, duration):
    chance = random.Random(7)
    # Ids come back: there are 65536, and an hour has more joins.
    server = scene.server("8M", 2, "--sticky-ids")
    hub = vm_kills.Hub(scene, f"socket={server.path}", 3000)
    cast = Cast(scene, server)
    hub.explains = cast.explains
    steady = subprocess.Popen([os.path.join(HERE, "talker"), "1", "0", "0", f"socket={server.path}"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              preexec_fn=vms.harness.die_with_parent)
    # A VM that lives throughout; QEMU's own memory is no affair of ours, its guest's is fixed.
    long_lived = vm_kills.Victim.start(scene, server, 2)
    watched = [Watched("hub", hub.process.pid, 1024), Watched("server", server.process.pid, 2048),
               Watched("talker", steady.pid, 1024), Watched("VM", long_lived.guest.process.pid, None)]
    shows = Sideshow(scene.folder)
    start = sampled = reported = time.monotonic()
    end, messages, rates = start + duration, 0, []
    while time.monotonic() < end:
        time.sleep(0.3 * chance.random())
        cast.harm(chance)
        shows.step()
        now = time.monotonic()
        if now - sampled >= SAMPLE_S:
            sampled = now
            for process in watched:
                process.sample()
        if now - reported >= min(60, duration / 5):
            figures = hub.figures()
            rates.append((figures["messages"] - messages) / (now - reported))
            if figures["messages"] == messages:
                raise vms.Failure(f"no message for {now - reported:.0f} s: {figures}")
            messages, reported = figures["messages"], now
            cast.check()
            long_lived.check()
            print(f"{now - start:6.0f} s: {figures['messages']} messages, {figures['died']} deaths, "
                  f"{cast.done}, beside: {shows.runs}", flush=True)
    if long_lived.guest.process.poll() is not None or steady.poll() is not None:
        raise vms.Failure("who should have lived throughout is gone")
    if shows.process:
        shows.finish()
    cast.check()
    cast.end()
    long_lived.kill()
    steady.kill()
    steady.wait()
    figures = hub.end()
    print(f"{duration} s: {figures}")
    print(f"harm done: {cast.done}; beside it: {shows.runs}")
    print(f"messages a second: {statistics.median(rates):.0f} (median of minutes), least {min(rates):.0f}")
    for process in watched:
        print(process.check())
    print(f"messages that others changed who had stood still: {figures['changed']}")
    if figures["faults"]:
        raise vms.Failure("somebody was blamed who only died")
    if shows.failures:
        raise vms.Failure(f"failed beside it, see above: {', '.join(shows.failures)}")


if __name__ == "__main__":
    length = seconds(sys.argv[1] if len(sys.argv) > 1 else "1h")
    sys.argv[1:] = ["soak"]
    vms.main({"test_soak": lambda scene: soak(scene, length)})
