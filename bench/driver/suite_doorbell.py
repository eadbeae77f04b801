# SPDX-License-Identifier: BSD-2-Clause
"""The doorbell: pingpong's round trip against the floor's, in turn, on q35 and pc."""

import re

from .guests import BenchError, run_pair

MACHINES = ("q35", "pc")
LINE = re.compile(r"pingpong: doorbell count=(\d+) min=([\d.]+) p50=([\d.]+) p99=([\d.]+) "
                  r"p99\.?9=([\d.]+) max=([\d.]+) us")


def floor(context, results, machine, count):
    output = run_pair(context.build, context.build / "bench" / "floor.elf",
                      f"doorbell count={count}", machine=machine, size="1M")
    if not results.add_text("\n".join(output), machine=machine):
        raise BenchError("the floor printed no figure")


def pingpong(context, results, machine, count):
    image = context.build / "apps" / "pingpong.elf"
    words = f"--doorbell {count} --polled 0"
    output = "\n".join(run_pair(context.build, image, words, machine=machine, size="1M"))
    found = LINE.search(output)
    if not found:
        raise BenchError(f"pingpong printed no doorbell line, but: {output[-300:]}")
    names = ("min", "value", "p99", "p99.9", "max")
    results.add({"bench": "guest", "side": "pingpong", "case": "doorbell", "metric": "p50",
                 "unit": "us", "machine": machine, "count": int(found[1]),
                 **{n: float(found[i + 2]) for i, n in enumerate(names)}})


def run(context, results):
    rounds, count = (2, 3000) if context.quick else (7, 10000)
    sides = [floor]
    if (context.build / "apps" / "pingpong.elf").exists():
        sides.append(pingpong)
    for machine in MACHINES:
        for n in range(rounds):
            for side in sides if n % 2 else reversed(sides):
                side(context, results, machine, count)
        what = f"guests: doorbell, pingpong / floor, {machine}"
        bare = results.median(side="floor", case="doorbell", machine=machine)
        mine = results.median(side="pingpong", case="doorbell", machine=machine)
        if mine is None:
            results.row(what, None, 1.15, False, "-", f"{bare:.1f} us", "no pingpong.elf")
        else:
            results.row(what, mine / bare, 1.15, False, f"{mine:.1f} us", f"{bare:.1f} us",
                        f"p50, medians of {rounds} runs each in turn")
