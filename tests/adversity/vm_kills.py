#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""VMs that are killed and reset while they talk: 50 times, at any moment from QEMU's first instruction
on; and a VM that is stopped for longer than the death time, through QMP.

Usage: vm_kills.py [TEST]...      KILLS=N: so many times"""
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
for folder in ("system", "replug"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", folder))
import vms  # noqa: E402
import qmp  # noqa: E402

BUILD = os.path.abspath(os.environ.get("ISTHMUS_BUILD", "build/dev"))
KILLS = int(os.environ.get("KILLS", 50))
GUESTS = 3


class Hub:
    """The surviving process."""

    def __init__(self, scene, where, death_ms=1000):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests/adversity/hub"), where, str(death_ms)], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=vms.harness.die_with_parent)
        self.lines = []
        self.explains = lambda line: False  # why a message may have changed
        scene.hub = self
        self.expect("ready")

    def expect(self, start):
        """The next line that begins so."""
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise vms.Failure(f"the hub ended ({self.process.wait()}) before '{start}': {self.lines[-5:]}")
            self.lines.append(line.strip())
            if line.startswith("FAIL") or line.startswith("changed") and not self.explains(line):
                raise vms.Failure(f"hub: {line.strip()}")
            if line.startswith(start):
                return line.strip()

    def figures(self):
        self.process.stdin.write("figures\n")
        self.process.stdin.flush()
        return self.parse(self.expect("figures"))

    @staticmethod
    def parse(line):
        return {k: int(v) for k, v in (word.split("=") for word in line.split()[1:])}

    def end(self):
        self.process.stdin.write("end\n")
        self.process.stdin.flush()
        figures = self.parse(self.expect("figures"))
        self.expect("all is back")
        if self.process.wait(60):
            raise vms.Failure(f"the hub ended with {self.process.returncode}")
        return figures


class Victim:
    """A VM with a control socket, that talks."""
    count = 0

    @staticmethod
    def start(scene, server, seed, rounds=0):
        victim = Victim()
        Victim.count += 1
        victim.control = os.path.join(scene.folder, f"qmp.{Victim.count}")
        victim.guest = scene.guest(
            os.path.join(BUILD, "tests/adversity/talker.elf"), append=f"{seed} 0 {rounds} isthmus.name=talker{seed % GUESTS}",
            devices=scene.doorbell(server, 2) + ["-qmp", f"unix:{victim.control},server=on,wait=off"],
            memory="32")
        victim.seed = seed
        return victim

    def check(self):
        """Has it seen anything wrong? Must be asked before its end is forced."""
        output = self.guest.output()
        if "FAIL" in output or "PANIC" in output or "panic" in output:
            raise vms.Failure(f"{self.guest.name}: {output[-600:]}")
        return output

    def kill(self):
        self.check()
        self.guest.kill()
        self.check()


def test_killed(scene):
    """Kill of QEMU and reset by QMP, in turn at random."""
    chance = random.Random(1)
    server = scene.server("4M", 2)
    hub = Hub(scene, f"socket={server.path}")
    victims = [Victim.start(scene, server, i) for i in range(GUESTS)]
    killed = reset = 0
    for i in range(KILLS):
        time.sleep(chance.random() * 0.4)
        which = chance.randrange(GUESTS)
        victim = victims[which]
        victim.check()
        if chance.random() < 0.5:
            with qmp.Qmp(victim.control) as control:
                # -no-reboot is for guests that mean to end.
                control.command("set-action", reboot="reset")
                control.command("system_reset")
            reset += 1
        else:
            victim.kill()
            victims[which] = Victim.start(scene, server, GUESTS * (i + 1) + which)
            killed += 1
    # All of them talk once more.
    before = hub.figures()
    end = time.monotonic() + 60
    while True:
        now = hub.figures()
        if now["peers"] >= GUESTS + 1 and now["messages"] > before["messages"] + 100:
            break
        if time.monotonic() > end:
            raise vms.Failure(f"not all talk again: {now}")
        time.sleep(0.1)
    for victim in victims:
        victim.kill()
    figures = hub.end()
    print(f"{killed} VMs killed, {reset} reset: {figures}")
    if figures["faults"]:
        raise vms.Failure("somebody was blamed")


def test_stopped(scene):
    """A VM that QMP stops for longer than the death time finds that it was taken for dead, and joins
    again; who took its place meanwhile is not harmed."""
    server = scene.server("1M", 2)
    hub = Hub(scene, f"socket={server.path}", 500)
    victim = Victim.start(scene, server, 1, 1000000)
    victim.guest.wait_output("joined")
    for turn in range(3):
        with qmp.Qmp(victim.control) as control:
            while hub.figures()["messages"] < 50 * (turn + 1):
                time.sleep(0.05)
            died = hub.figures()["died"]
            control.command("stop")
            end = time.monotonic() + 30
            while hub.figures()["died"] == died:
                if time.monotonic() > end:
                    raise vms.Failure("its death was not noticed")
                time.sleep(0.05)
            # Others come and take slots.
            successor = Victim.start(scene, server, 2 + turn)
            successor.guest.wait_output("joined")
            before = hub.figures()["messages"]
            control.command("cont")
        victim.guest.wait_output("(?s)" + "was taken for dead.*" * (turn + 1))
        end = time.monotonic() + 30
        while hub.figures()["messages"] < before + 200 or hub.figures()["peers"] < 3:
            if time.monotonic() > end:
                raise vms.Failure("no talk after the stop")
            time.sleep(0.05)
        successor.check()
        if "taken for dead" in successor.guest.output():
            raise vms.Failure("the successor was harmed")
        successor.kill()
    victim.kill()
    figures = hub.end()
    print(f"stopped three times: {figures}")
    if figures["faults"]:
        raise vms.Failure("somebody was blamed")


if __name__ == "__main__":
    vms.main(globals())
