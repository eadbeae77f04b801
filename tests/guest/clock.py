# SPDX-License-Identifier: BSD-2-Clause
"""Holds a guest's clock against the host's, with bounds that no load on the host can break: the
guest's answer was made between the host's sending of the question and its reading of the answer.

Usage: clock.py SECONDS SOURCE [--machine M] [--cpu C]
SOURCE: what the guest must measure with"""
import argparse
import os
import re
import select
import subprocess
import sys
import time

import boot

# The host's clock is steered by NTP, its TSC isn't; they also start from calibrations of their own.
HOST_PPM = 1000


class Guest:
    def __init__(self, **options):
        self.line = boot.qemu_line(boot.find_image("processor"), append="clock", **options)
        self.process = subprocess.Popen(self.line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.output = b""

    def read_line(self, timeout=20):
        end = time.monotonic() + timeout
        while b"\n" not in self.output:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no line from the guest in {timeout} s; so far {self.output!r}")
            got = os.read(self.process.stdout.fileno(), 4096)
            if not got:
                raise EOFError(f"the guest ended: {boot.explain(self.process.wait())}")
            self.output += got
        line, self.output = self.output.split(b"\n", 1)
        return line.decode().strip()

    def ask(self, letter):
        """(host before, guest, host after) in ns, and the guest's bound in ppm."""
        before = time.monotonic_ns()
        self.process.stdin.write(letter.encode())
        self.process.stdin.flush()
        match = re.fullmatch(letter + r" (\d+) (\d+)", self.read_line())
        after = time.monotonic_ns()
        return (before, int(match.group(1)), after), int(match.group(2))

    def best(self, letter, tries=5):
        """The tightest of some askings."""
        return min((self.ask(letter) for _ in range(tries)), key=lambda a: a[0][2] - a[0][0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    parser.add_argument("source")
    parser.add_argument("--machine", default="q35")
    parser.add_argument("--cpu")
    a = parser.parse_args()
    boot.need_qemu()

    guest = Guest(machine=a.machine, cpu=a.cpu)
    found = []
    try:
        ready = guest.read_line()
        if ready != "ready " + a.source:
            found.append(f"the guest says {ready!r}, expected it to measure with {a.source}")
        first, ppm = guest.best("a")
        time.sleep(a.seconds)
        last, later_ppm = guest.best("b")
        guest.process.stdin.write(b"q")
        guest.process.stdin.flush()
        code = guest.process.wait(20)
        if code != boot.SUCCESS:
            found.append(f"the guest ended with {boot.explain(code)}")

        elapsed = last[1] - first[1]
        slack = (max(ppm, later_ppm) + HOST_PPM) * a.seconds * 1e3
        low = last[0] - first[2] - slack
        high = last[2] - first[0] + slack
        print(f"{a.source} on {a.machine}: guest {elapsed / 1e6:.3f} ms, host {low / 1e6:.3f} to "
              f"{high / 1e6:.3f} ms, bound {ppm} ppm, later {later_ppm} ppm")
        if not low <= elapsed <= high:
            found.append("the guest's clock is wrong by more than it says")
        if later_ppm > ppm:
            found.append("the bound got worse")
        if a.seconds >= 1 and a.source != "APIC timer" and later_ppm > 20:
            found.append("the clock wasn't refined")
    except (TimeoutError, EOFError, AttributeError, BrokenPipeError) as error:
        found.append(str(error))
    finally:
        if guest.process.poll() is None:
            guest.process.kill()
            guest.process.wait()
    for sentence in found:
        print("FAIL:", sentence)
    if found:
        print("QEMU:", " ".join(guest.line))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
