#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""isthmus bench: runs the benchmarks, prints one table, writes JSON lines. See docs/benchmarks.md.

Figures are never passes or failures: the exit status says only whether everything ran.
"""

import argparse
import dataclasses
import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench.driver import (suite_boot, suite_doorbell, suite_fanout, suite_guest,  # noqa: E402
                          suite_hugepages, suite_native)
from bench.driver.guests import BenchError  # noqa: E402
from bench.driver.results import Results, print_table  # noqa: E402

SUITES = {
    "native": (suite_native.run, "two processes: rings, channels, eventfd, ZeroMQ"),
    "doorbell": (suite_doorbell.run, "two guests: the doorbell against the bare floor"),
    "boot": (suite_boot.run, "one guest: time to the first line, size, memory"),
    "guest": (suite_guest.run, "two guests: channels against bare loops and rings"),
    "fanout": (suite_fanout.run, "one process to many: topics against channels"),
    "hugepages": (suite_hugepages.run, "one guest: random access with and without huge pages"),
}


@dataclasses.dataclass
class Context:
    """What each suite is told."""
    build: pathlib.Path
    quick: bool
    cpus: str

    def cpu_list(self):
        return tuple(int(c) for c in self.cpus.split(","))


def default_build():
    preset = os.environ.get("ISTHMUS_PRESET", "dev")
    return pathlib.Path(os.environ.get("ISTHMUS_BUILD_DIR", ROOT / "build" / preset))


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="isthmus bench", description="Measures, and prints one table.",
        epilog="suites: " + "; ".join(f"{n} ({s[1]})" for n, s in SUITES.items()))
    parser.add_argument("suites", nargs="*", metavar="NAME", help="suites to run (all)")
    parser.add_argument("--quick", action="store_true", help="few short samples: a rough look")
    parser.add_argument("--json", metavar="FILE", help="write every figure as a JSON line")
    parser.add_argument("--cpus", default="0,1", metavar="A,B",
                        help="processors of the two sides (%(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=default_build(), metavar="DIR",
                        help="build folder (%(default)s)")
    options = parser.parse_args(arguments)
    for name in options.suites:
        if name not in SUITES:
            parser.error(f"no suite named '{name}'; there are {', '.join(SUITES)}")
    try:
        pair = [int(c) for c in options.cpus.split(",")]
    except ValueError:
        pair = []
    if len(pair) != 2 or not set(pair) <= os.sched_getaffinity(0):
        parser.error(f"--cpus {options.cpus}: two of the processors "
                     f"{sorted(os.sched_getaffinity(0))}, as in 0,1")
    return options


def machine_facts():
    def first_line(command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True,
                                  timeout=20).stdout.splitlines()[0]
        except (OSError, subprocess.SubprocessError, IndexError):
            return "unknown"

    models = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
              if line.startswith("model name")]
    return {"bench": "machine", "cpu": models[0] if models else "unknown",
            "processors": len(models), "kernel": platform.release(),
            "qemu": first_line(["qemu-system-x86_64", "--version"]),
            "load": os.getloadavg()[0]}


def main(arguments):
    options = parse(arguments)
    context = Context(options.build.resolve(), options.quick, options.cpus)
    out = open(options.json, "w") if options.json else None
    results = Results(lambda line: print(line, file=out, flush=True) if out else None)
    facts = machine_facts()
    results.add(facts)
    print(f"{facts['cpu']}, {facts['processors']} processors, {facts['qemu']}; "
          f"load {facts['load']:.2f}{'; quick' if options.quick else ''}", flush=True)
    status = 0
    for name in options.suites or SUITES:
        print(f"running {name} ...", file=sys.stderr, flush=True)
        try:
            SUITES[name][0](context, results)
        except BenchError as error:
            print(f"isthmus bench: {name}: {error}", file=sys.stderr)
            status = 1
    print_table(results.rows, sys.stdout)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
