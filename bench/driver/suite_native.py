# SPDX-License-Identifier: BSD-2-Clause
"""Two processes: the rows of the table that bench-native measures."""

import subprocess
import sys

from .guests import BenchError, start
from .results import best_class

ISTHMUS = ("isthmus", "isthmus-zerocopy")
ROUND_TRIP_LIMITS = {8: 1.2, 48: 1.2, 64: 1.5, 1024: 4.0}
ONE_WAY_SIZES = (8, 64, 256, 1024, 4096, 65536)


def run(context, results):
    program = context.build / "bench" / "bench-native"
    if not program.exists():
        raise BenchError(f"no {program}; build the project first")
    command = [program, "--cpus", context.cpus]
    if context.quick:
        command.append("--quick")
    child = start(command, stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        results.add_text(line)
    if child.wait():
        raise BenchError(f"bench-native failed with status {child.returncode}")
    for left_out in results.select(case="left-out"):
        if left_out["packages"]:
            print(f"left out, not installed: {left_out['packages']}", file=sys.stderr)
    _round_trips(results)
    _one_way(results)
    _asleep(results)


def _best(figures, name, largest):
    """The best figure of one class: rates want the largest, times the least."""
    of_class = [f for f in figures if f["class"] == name]
    return (max if largest else min)(of_class, key=lambda f: f["value"]) if of_class else None


def _round_trips(results):
    for size, limit in ROUND_TRIP_LIMITS.items():
        what = f"processes: round trip {size} B, polled / raw cache line"
        ours = results.select(bench="native", case="round-trip", side="isthmus", bytes=size)
        if not ours:
            results.missing(what, limit, False, "no channels in this build")
            continue
        name = max(ours, key=lambda f: f["samples"])["class"]
        mine = _best(ours, name, False)
        results.row(what, mine["x_raw"], limit, False, f"{mine['value']:.0f} ns",
                    f"{mine['value'] / mine['x_raw']:.0f} ns",
                    f"class {name}, {mine['samples']} samples")


def _describe(figure):
    return f"{figure['side']} batch {figure['batch']} ring {figure['ring'] >> 10}K"


def _one_way(results):
    for size in ONE_WAY_SIZES:
        what = f"processes: one way {size} B / best of ck, DPDK, boost"
        every = results.select(bench="native", case="one-way", bytes=size)
        ours = [f for f in every if f["side"] in ISTHMUS]
        theirs = [f for f in every if f["side"] not in ISTHMUS]
        name = best_class(ours, theirs)
        if name is None:
            results.missing(what, 1.0, True, "no channels, or no other ring, in this build")
            continue
        mine, other = _best(ours, name, True), _best(theirs, name, True)
        results.row(what, mine["value"] / other["value"], 1.0, True,
                    f"{mine['value']:.4g} M/s", f"{other['value']:.4g} M/s",
                    f"class {name}; {_describe(mine)}; {_describe(other)}")
        alone = [_best([f for f in side if f["batch"] == 1], name, True)
                 for side in (ours, theirs)]
        if all(alone):
            results.row(f"    unbatched {size} B", alone[0]["value"] / alone[1]["value"], None,
                        True, f"{alone[0]['value']:.4g} M/s", f"{alone[1]['value']:.4g} M/s",
                        f"{_describe(alone[0])}; {_describe(alone[1])}")


def _asleep(results):
    what = "processes: round trip, both asleep / bare eventfd"
    mine = results.median(bench="native", case="asleep", side="isthmus")
    bare = results.median(bench="native", case="asleep", side="eventfd")
    if mine is None or bare is None:
        results.missing(what, 1.1, False, "no channels in this build")
    else:
        results.row(what, mine / bare, 1.1, False, f"{mine / 1e3:.1f} us", f"{bare / 1e3:.1f} us")

    what = "processes: ZeroMQ ipc / 64 B round trip, polled"
    ours = results.select(bench="native", case="round-trip", side="isthmus", bytes=64)
    zmq = results.median(bench="native", case="asleep", side="zmq-ipc")
    if not ours or zmq is None:
        results.missing(what, 400, True, "no channels, or no ZeroMQ, in this build")
        return
    mine = max(ours, key=lambda f: f["samples"])["value"]
    results.row(what, zmq / mine, 400, True, f"{mine:.0f} ns", f"{zmq / 1e3:.1f} us")
