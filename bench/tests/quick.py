#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""quick.py BUILD SUITE: the suite runs in its quick mode, leaves nothing behind, and every figure is
a JSON line with the fields that docs/benchmarks.md names. What the figures say is no matter here."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WANTED = {"native": {"native"}, "doorbell": {"guest"}, "guest": {"guest"}, "boot": {"boot"},
          "fanout": {"native"}}
PLAIN_LINES = {"machine", "table"}


def check_figure(figure):
    if figure["bench"] == "table":
        missing = {"what", "ratio", "limit", "at_least", "held", "ours", "theirs"} - set(figure)
    elif figure["bench"] == "machine" or figure.get("case") in ("left-out", "idle-peers"):
        return
    else:
        missing = {"side", "case", "metric", "unit", "value"} - set(figure)
        assert isinstance(figure.get("value"), (int, float)), f"value of {figure}"
        assert figure["value"] >= 0, f"negative: {figure}"
    assert not missing, f"{figure} has no {', '.join(sorted(missing))}"


def main(build, suite):
    if len(os.sched_getaffinity(0)) < 2:
        print("SKIP: needs two processors")
        return 77
    cpus = ",".join(str(c) for c in sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-test-") as folder:
        file = pathlib.Path(folder) / "figures.json"
        environment = {**os.environ, "TMPDIR": folder}
        done = subprocess.run(
            ["/usr/bin/python3", ROOT / "bench" / "run.py", suite, "--quick", "--cpus", cpus,
             "--build", build, "--json", file], capture_output=True, text=True, env=environment)
        print(done.stdout + done.stderr)
        assert done.returncode == 0, f"status {done.returncode}"
        left = [p.name for p in pathlib.Path(folder).iterdir() if p != file]
        assert not left, f"left behind: {left}"
        figures = [json.loads(line) for line in file.read_text().splitlines()]
    for figure in figures:
        check_figure(figure)
    seen = {f["bench"] for f in figures} - PLAIN_LINES
    assert seen == WANTED[suite], f"figures of {seen}"
    assert any(f["bench"] == "table" for f in figures), "no row of the table"
    print(f"PASS: {len(figures)} lines")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
    except AssertionError as error:
        sys.exit(f"FAIL: {error}")
