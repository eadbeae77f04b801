# SPDX-License-Identifier: BSD-2-Clause
"""One publisher to many processes: a topic against as many channels."""

import subprocess

from .guests import BenchError, start

TOPICS = {"topic": "back-pressure", "topic-drop-oldest": "drop oldest"}


def run(context, results):
    program = context.build / "bench" / "bench-fanout"
    if not program.exists():
        raise BenchError(f"no {program}; build the project first")
    for _ in range(1 if context.quick else 3):
        child = start([program, *(["2000"] if context.quick else [])], stdout=subprocess.PIPE,
                      text=True)
        for line in child.stdout:
            results.add_text(line)
        if child.wait():
            raise BenchError(f"bench-fanout failed with status {child.returncode}")
    cases = sorted({(f["bytes"], f["subscribers"]) for f in results.select(case="fanout")})
    for size, count in cases:
        channels, *topics = (results.median(case="fanout", side=side, bytes=size, subscribers=count)
                             for side in ("channels", *TOPICS))
        for name, value in zip(TOPICS.values(), topics):
            results.row(f"one to {count}, {size} B: topic, {name} / channels", value / channels, None,
                        False, f"{value:.0f} ns", f"{channels:.0f} ns",
                        "the publisher's processor time for a message to all")
