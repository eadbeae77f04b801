# SPDX-License-Identifier: BSD-2-Clause
"""Two guests: channels against bare loops, rings and doorbells, run in turn."""

import os
import statistics
import subprocess

from .guests import GUEST_SUCCESS, BenchError, Ground, finish, run_pair, start
from .results import best_class

IMAGE = "bench-channels.elf"
IDLE_SECONDS = 5
IDLE_PEERS = 62
LONG_RING = 12 << 20
CPU_TICKS = os.sysconf("SC_CLK_TCK")


def floor(context, results, words, cpus):
    output = run_pair(context.build, context.build / "bench" / "floor.elf", words, cpus=cpus,
                      size="4M")
    results.add_text("\n".join(output))


def copy_loops(context, results):
    """One guest alone copies between its memory and the region."""
    with Ground(context.build, size="4M", vectors=1) as ground:
        child = ground.guest(context.build / "bench" / "floor.elf", "copy size=65536",
                             cpu=context.cpu_list()[0])
        results.add_text(finish([child], 60)[0])


def channels(context, results, words, cpus, **more):
    image = context.build / "bench" / IMAGE
    output = run_pair(context.build, image, (f"listen {words}", f"connect {words}"), cpus=cpus)
    if not results.add_text("\n".join(output), **more):
        raise BenchError(f"{IMAGE} printed no figure for '{words}'")


def with_idle_peers(context, results, peers):
    """Round trips of two guests while so many processes have joined their region and sleep."""
    words = "spin=forever round-trip:64"
    image = context.build / "bench" / IMAGE
    with Ground(context.build) as ground:
        if peers:
            idle = start([context.build / "bench" / "bench-native", "--suite", "idle", "--region",
                          f"socket={ground.socket}", "--idle-peers", str(peers)],
                         stdout=subprocess.PIPE)
            ground.children.append(idle)
            if b"idle-peers" not in idle.stdout.readline():
                raise BenchError(f"the {peers} idle peers did not join")
        guests = [ground.guest(image, f"{role} {words}", cpu=cpu)
                  for role, cpu in zip(("listen", "connect"), context.cpu_list())]
        results.add_text("\n".join(finish(guests, 120)), peers=peers + 2)


def processor_time(pid):
    """Seconds that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CPU_TICKS


def idle(context, results):
    """How much of a core a receiver's QEMU takes while it sleeps."""
    words = f"spin=adapt idle:{IDLE_SECONDS}"
    image = context.build / "bench" / IMAGE
    with Ground(context.build) as ground:
        other = ground.guest(image, f"listen {words}")
        receiver = ground.guest(image, f"connect {words}")
        times = []
        for line in receiver.stdout:
            if line.startswith("idle "):
                times.append(processor_time(receiver.pid))
            if len(times) == 2:
                break
        finish([other, receiver], 60, GUEST_SUCCESS)
    if len(times) != 2:
        raise BenchError(f"{IMAGE}: the idle case did not begin and end")
    results.add({"bench": "guest", "side": "isthmus", "case": "idle", "metric": "core",
                 "unit": "%", "value": 100 * (times[1] - times[0]) / IDLE_SECONDS,
                 "seconds": IDLE_SECONDS})


def run(context, results):
    both = context.cpu_list()
    one = (both[0], both[0])
    rounds = 1 if context.quick else 5
    have = (context.build / "bench" / IMAGE).exists()
    copy_loops(context, results)
    for _ in range(rounds):
        floor(context, results, "flag count=300000", both)
        floor(context, results, "ring", both)
        floor(context, results, "doorbell count=4000", (None, None))
        if have:
            channels(context, results,
                     "spin=forever round-trip-inline:8 round-trip-inline:64 round-trip:8 round-trip:64 "
                     "round-trip:1024 one-way:64 one-way-batch:64", both)
            # Longer than the second-level caches: between far processors it is faster to find a
            # line in memory than in the other's cache.
            channels(context, results, f"spin=forever ring={LONG_RING} one-way:65536", both)
            channels(context, results,
                     "spin=forever ring=2097152 in-place:64 in-place:65536", both)
            channels(context, results, "spin=never count=4000 blocking:64", (None, None),
                     wait="asleep")
            channels(context, results, "spin=adapt count=2000 blocking:64", one, wait="one core")
            channels(context, results, "spin=never count=2000 blocking:64", one,
                     wait="one core, asleep")
            channels(context, results, "spin=adapt steady:64", both)
            if (context.build / "bench" / "bench-native").exists():
                for peers in (0, IDLE_PEERS):
                    with_idle_peers(context, results, peers)
    if have:
        idle(context, results)
    _rows(results)


def _ours(results, **want):
    return results.median(bench="guest", side="isthmus", **want)


def _ratio(results, what, limit, at_least, mine, other, unit, note=""):
    if mine is None or other is None:
        results.missing(what, limit, at_least, "no channels in this build")
        return
    results.row(what, mine / other, limit, at_least, f"{mine:.4g} {unit}", f"{other:.4g} {unit}",
                note)


def _round_trips(results, case, size):
    """Median ratio to the raw flag, and the flag's ns; None without figures."""
    figures = [f for f in results.select(bench="guest", side="isthmus", case=case, bytes=size)
               if "peers" not in f]
    return figures and (statistics.median(f["x_raw"] for f in figures),
                        statistics.median(f["raw"] for f in figures))


def _rows(results):
    for size, limit in ((8, 1.5), (64, 2.5)):
        inline = _round_trips(results, "round-trip-inline", size)
        calls = _round_trips(results, "round-trip", size)
        what = f"guests: round trip {size} B, polled, inline / raw flag"
        if not inline or not calls:
            results.missing(what, limit, False, "no channels in this build")
            continue
        ratio, raw = inline
        flag = results.median(side="floor", case="flag")
        results.row(what, ratio, limit, False, f"{ratio * raw:.0f} ns", f"{raw:.0f} ns",
                    f"by calls {calls[0]:.2f}; flag between the same guests, the floor's own: "
                    f"{flag:.0f} ns")

    loops = [results.median(side="floor", case=c, metric=m)
             for m in ("registers", "rep-movsq", "sse2", "rep-movsb", "avx")
             for c in ("copy-in", "copy-out")]
    best = max((v for v in loops if v is not None), default=None)
    _ratio(results, "guests: 64 KiB in and out / best copy loop", 0.5, True,
           _ours(results, case="one-way", metric="throughput", bytes=65536), best, "GB/s",
           f"ring {LONG_RING >> 20} MiB")

    rings = [results.median(side="floor", case=c, metric="rate")
             for c in ("ring-dense", "ring-lines")]
    ways = [_ours(results, case=c, metric="rate", bytes=64)
            for c in ("one-way", "one-way-batch")]
    for name, mine in zip(("single", "arrays of 64"), ways):
        _ratio(results, f"guests: one way 64 B, {name} / FastForward ring", 1.3, True, mine,
               max((v for v in rings if v is not None), default=None), "M/s")

    small = _ours(results, case="in-place", metric="rate", bytes=64)
    large = _ours(results, case="in-place", metric="rate", bytes=65536)
    if small and large:
        results.row("guests: cost of 64 KiB in place / of 64 B", small / large, 1.2, False,
                    f"{1e3 / large:.0f} ns", f"{1e3 / small:.0f} ns", "ring 2 MiB")
    else:
        results.missing("guests: cost of 64 KiB in place / of 64 B", 1.2, False,
                        "no channels in this build")

    few, many = (results.select(bench="guest", case="round-trip", peers=n)
                 for n in (2, IDLE_PEERS + 2))
    what = f"guests: round trip 64 B, with {IDLE_PEERS} idle peers / with none"
    name = best_class(few, many)
    if name:
        few, many = (statistics.median(f["x_raw"] for f in side if f["class"] == name)
                     for side in (few, many))
        results.row(what, many / few, None, False, f"{many:.3g} x raw", f"{few:.3g} x raw",
                    f"class {name}; wanted: 1 within noise")
    else:
        results.missing(what, None, False, "no channels in this build, or no quiet moment")

    asleep = _ours(results, case="blocking", wait="asleep")
    _ratio(results, "guests: round trip asleep / bare doorbell", 1.1, False, asleep,
           results.median(side="floor", case="doorbell"), "us")
    _ratio(results, "guests: adaptive wait on one core / asleep there", 2, False,
           _ours(results, case="blocking", wait="one core"),
           _ours(results, case="blocking", wait="one core, asleep"), "us",
           f"asleep on two cores: {asleep:.4g} us" if asleep else "")

    for what, limit, case, unit in (
            ("guests: a sleeping receiver", 1, "idle", "% of a core"),
            ("guests: doorbells per message, steady load", 0.01, "steady", "")):
        value = _ours(results, case=case)
        if value is None:
            results.missing(what, limit, False, "no channels in this build")
        else:
            results.row(what, value, limit, False, f"{value:.4g} {unit}".strip(), "")
