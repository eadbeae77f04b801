#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""VMs that mean harm: one that overwrites the region, one that rings without end; and a process that
does the latter. The others go on.

Usage: vm_hostile.py [TEST]..."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vm_kills  # noqa: E402
from vm_kills import BUILD, vms  # noqa: E402

HERE = os.path.join(BUILD, "tests/adversity")
WRITES = int(os.environ.get("WRITES", 20000000))


def rogue(scene, server, vectors):
    guest = scene.guest(os.path.join(HERE, "rogue_guest.elf"), append="",
                        devices=scene.doorbell(server, vectors), memory="32")
    guest.wait_output("ready")
    return guest


def test_scribbles(scene):
    """The region belongs to everybody, the liar too: who talks there may lose its channels, but neither
    guests nor processes crash or hang, and when the liar is gone all of them talk again."""
    server = scene.server("1M", 2)
    liar = rogue(scene, server, 2)
    talkers = [vm_kills.Victim.start(scene, server, i) for i in range(2)]
    hub = subprocess.Popen([os.path.join(HERE, "victim"), f"socket={server.path}", "2"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=vms.harness.die_with_parent)
    for talker in talkers:
        talker.guest.wait_output("joined")
    liar.send(f"scribble {WRITES}\n")
    wrote = liar.wait_output(r"wrote (\d+) words", 120).group(1)
    for talker in talkers:
        if talker.guest.process.poll() is not None or re.search("panic|PANIC", talker.guest.output()):
            raise vms.Failure(f"a guest did not survive: {talker.guest.output()[-600:]}")
    hub.terminate()
    said = hub.communicate(timeout=60)[0]
    if hub.returncode:
        raise vms.Failure(f"the process did not survive: {hub.returncode} {said}")
    liar.kill()
    # A new hub, and everybody who is still there talks with it.
    hub = vm_kills.Hub(scene, f"socket={server.path}")
    end = time.monotonic() + 60
    while True:
        now = hub.figures()
        if now["peers"] >= 3 and now["messages"] > 200:
            break
        if time.monotonic() > end:
            raise vms.Failure(f"no talk after the liar's end: {now} {[t.guest.output()[-300:] for t in talkers]}")
        time.sleep(0.1)
    for talker in talkers:
        talker.guest.kill()
    print(f"{wrote} words written by a VM; process: {said.strip()}")


def storm(scene, kind):
    server = scene.server("1M", 4)
    hub = vm_kills.Hub(scene, f"socket={server.path}", 3000)
    victim = scene.guest(os.path.join(HERE, "storm_guest.elf"), append="",
                         devices=scene.doorbell(server, 4), memory="32")
    victim.wait_output("joined")
    if kind == "process":
        process = subprocess.run([os.path.join(HERE, "ringer"), server.path, "2000"], text=True, timeout=60,
                                 capture_output=True, check=True)
        rang = process.stdout
    else:
        liar = rogue(scene, server, 4)
        liar.send("ring 2\n")
        rang = liar.wait_output(r"rang \d+ times", 60).group(0)
        liar.send("end\n")
    victim.end(0, expect=["sent [1-9]"], seconds=120)
    output = victim.output()
    print(rang.strip(), "|", " | ".join(re.findall(r"^(?:sent|vector).*$", output, re.MULTILINE)))
    for line in re.findall(r"storm.*", output):
        print("   ", line)
    # Vector 0 is msg's, which counts the wake-ups that found nothing.
    if not re.search(r"storms [1-9]\d*$", output, re.MULTILINE) or "doorbell storm over" not in output:
        raise vms.Failure(f"no storm on vector 0, or no end of it:\n{output}")
    # Muted, it costs some hundred wake-ups for each trial of a fifth of a second; else ten and more for each ms.
    storms = re.findall(r"doorbell storm over after (\d+) ms, with (\d+) wake-ups", output)
    lasted, vain = (sum(int(figure) for figure in figures) for figures in zip(*storms))
    if vain > 500 + 4 * lasted:
        raise vms.Failure(f"{vain} wake-ups for nothing in {lasted} ms: the doorbell wasn't muted:\n{output}")
    begun = len(re.findall(r"storm on vector \d: over", output)) + len(re.findall(r"doorbell storm: ", output))
    over = len(re.findall(r"storm on vector \d over", output)) + len(re.findall(r"doorbell storm over", output))
    # Each of the app's vectors was throttled, said so once at its beginning and once at its end.
    if begun < 3 or over != begun:
        raise vms.Failure(f"{begun} storms told, {over} of them as over:\n{output}")
    hub.end()


def test_storm_by_process(scene):
    storm(scene, "process")


def test_storm_by_guest(scene):
    storm(scene, "guest")


if __name__ == "__main__":
    vms.main(globals())
