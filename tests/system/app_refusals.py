#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What apps, as processes, say to arguments and regions that make no sense: one line of their own on standard
error (and perhaps one of the library's), a status that isn't 0, nothing left behind."""
import os
import subprocess
import sys
import tempfile

APPS = os.path.join(os.path.abspath(os.environ["ISTHMUS_BUILD"]), "apps")
UNKNOWN = "not understood; --help lists the options"

# App, words, status, what its line says.
WRONG = [
    *((app, ["--bogus"], 2, f"{app}: --bogus: {UNKNOWN}")
      for app in ("chat", "stream", "rpc", "workers", "topics", "courier")),
    ("chat", ["--wait", "two"], 2, f"chat: --wait two: {UNKNOWN}"),
    ("chat", ["--name", "n" * 48, "--timeout", "1"], 1, "chat: can't join: invalid argument"),
    ("chat", ["--wait", "1", "--say", "hi", "--timeout", "1"], 1, "chat: time is up: 0 others, 0 lines heard"),
    ("stream", ["--bytes", "1Q"], 2, f"stream: --bytes 1Q: {UNKNOWN}"),
    ("stream", ["receive", "--timeout", "1"], 1, "stream: nobody to stream with: deadline passed"),
    ("rpc", ["--calls", "5x"], 2, f"rpc: --calls 5x: {UNKNOWN}"),
    ("rpc", ["--calls"], 2, f"rpc: --calls: {UNKNOWN}"),
    ("workers", [], 2, "workers: paint, work or dispatch? --help says more"),
    ("workers", ["paint", "--size", "64x"], 2, f"workers: --size 64x: {UNKNOWN}"),
    ("workers", ["paint", "--png"], 2, f"workers: --png: {UNKNOWN}"),
    ("workers", ["paint", "--size", "64", "--timeout", "1", "--png", "no/where.png"], 1,
     "workers: no/where.png: No such file or directory"),
    ("workers", ["paint", "--size", "64", "--timeout", "1", "--png", "new.png"], 1,
     "workers: FAIL: waiting for a tile: deadline passed"),
    ("workers", ["work", "--timeout", "1"], 1, "workers: FAIL: waiting for work: deadline passed"),
    ("workers", ["dispatch", "--timeout", "1"], 1,
     "workers: FAIL: waiting for the painter to come and go: deadline passed"),
    ("topics", ["--members", "2"], 2, "topics: publish or subscribe? --help says more"),
    ("topics", ["publish", "--members", "0"], 2, "topics: a group without members? --help says more"),
    ("courier", ["--letters", "0"], 2, f"courier: --letters 0: {UNKNOWN}"),
]


def check(folder, region, app, words, status, line, also=None):
    env = dict(os.environ, ISTHMUS_REGION=region, TMPDIR=folder)
    ran = subprocess.run([os.path.join(APPS, app), *words], env=env, cwd=folder, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    said = ran.stderr.splitlines()
    if also and said and also in said[0]:
        del said[0]
        also = None
    if ran.returncode != status or said[-1:] != [line] or also or len(said) > 1 + (words[:1] == ["--name"]):
        print(f"FAIL: {app} {words} on {region!r}: status {ran.returncode}, said {ran.stderr!r}; "
              f"wanted {status}, {line!r}")
        return 1
    return 0


def main():
    failed = 0
    nowhere = "no such device or region, or it is gone"
    with tempfile.TemporaryDirectory(prefix="isthmus-refusals-") as folder:
        region, small = os.path.join(folder, "region"), os.path.join(folder, "small")
        for path, size in ((region, 1 << 20), (small, 60000)):
            with open(path, "wb") as file:
                file.truncate(size)
        for app, words, status, line in WRONG:
            failed += check(folder, region, app, words, status, line)
        for app in ("chat", "stream", "rpc"):
            failed += check(folder, "", app, [], 1, f"{app}: can't join: {nowhere}", "Set ISTHMUS_REGION to")
        failed += check(folder, region + "x", "chat", [], 1, f"chat: can't join: {nowhere}", "is not there; make it")
        failed += check(folder, folder, "chat", [], 1, "chat: can't join: system error", "Is a directory")
        failed += check(folder, small, "chat", [], 1, "chat: can't join: invalid argument", "need at least 65536")
        left = set(os.listdir(folder)) - {"region", "small"}
        if left:
            print(f"FAIL: left behind: {left}")
            failed += 1
        # Without a region there is no link yet to give figures of.
        courier = subprocess.run([os.path.join(APPS, "courier")], env=dict(os.environ, ISTHMUS_REGION=""), text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        if courier.returncode != 1 or "Set ISTHMUS_REGION to" not in courier.stdout or \
                "courier: invalid argument: sent 0" not in courier.stdout:
            print(f"FAIL: courier without a region: status {courier.returncode}, {courier.stdout!r}")
            failed += 1
    if not failed:
        print(f"PASS: {len(WRONG) + 7} refusals")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
