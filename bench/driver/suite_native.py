# SPDX-License-Identifier: BSD-2-Clause
"""Two processes: the rows of the table that bench-native measures."""

import statistics
import subprocess
import sys

from .guests import BenchError, start
from .results import best_class

ISTHMUS = ("isthmus", "isthmus-zerocopy")
ROUND_TRIP_LIMITS = {8: 1.2, 48: 1.2, 64: 1.5, 1024: 4.0}
IDLE_PEERS = 62
ONE_WAY_SIZES = (8, 64, 256, 1024, 4096, 65536)


def _measure(context, results, *options, **more):
    program = context.build / "bench" / "bench-native"
    if not program.exists():
        raise BenchError(f"no {program}; build the project first")
    command = [program, "--cpus", context.cpus, *options]
    if context.quick:
        command.append("--quick")
    child = start(command, stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        results.add_text(line, **more)
    if child.wait():
        raise BenchError(f"bench-native failed with status {child.returncode}")


def run(context, results):
    _measure(context, results)
    for _ in range(2 if context.quick else 4):
        for peers in (0, IDLE_PEERS):
            _measure(context, results, "--sides", "isthmus", "--size", "64", "--suite",
                     "round-trip", "--rounds", "15", "--idle-peers", str(peers), peers=peers + 2)
    for left_out in results.select(case="left-out"):
        if left_out["packages"]:
            print(f"left out, not installed: {left_out['packages']}", file=sys.stderr)
    _round_trips(results)
    _one_way(results)
    _asleep(results)
    _idle_peers(results)


def _best(figures, name, largest):
    """The best figure of one class: rates want the largest, times the least."""
    of_class = [f for f in figures if f["class"] == name]
    return (max if largest else min)(of_class, key=lambda f: f["value"]) if of_class else None


def _round_trips(results):
    for size, limit in ROUND_TRIP_LIMITS.items():
        what = f"processes: round trip {size} B, polled / raw cache line"
        ours = [f for f in results.select(bench="native", case="round-trip", side="isthmus",
                                          bytes=size) if "peers" not in f]
        if not ours:
            results.missing(what, limit, False, "no channels in this build, or no quiet moment")
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
        theirs = [f for f in every if not f["side"].startswith("isthmus")]
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
    ours = [f for f in results.select(bench="native", case="round-trip", side="isthmus", bytes=64)
            if "peers" not in f]
    zmq = results.median(bench="native", case="asleep", side="zmq-ipc")
    if not ours or zmq is None:
        results.missing(what, 400, True, "no channels, or no ZeroMQ, in this build")
        return
    mine = max(ours, key=lambda f: f["samples"])["value"]
    results.row(what, zmq / mine, 400, True, f"{mine:.0f} ns", f"{zmq / 1e3:.1f} us")


def _idle_peers(results):
    what = f"processes: round trip 64 B, with {IDLE_PEERS} idle peers / with none"
    few, many = (results.select(bench="native", case="round-trip", side="isthmus", peers=n)
                 for n in (2, IDLE_PEERS + 2))
    if not few or not many:
        results.missing(what, None, False, "no channels in this build")
        return
    few, many = (statistics.median(f["x_raw"] for f in side) for side in (few, many))
    results.row(what, many / few, None, False, f"{many:.3g} x raw", f"{few:.3g} x raw",
                "wanted: 1 within noise")
