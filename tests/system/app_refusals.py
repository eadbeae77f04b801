#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What apps, as processes, say to arguments and regions that make no sense: one line of their own on standard
error (and perhaps one of the library's), a status that isn't 0, nothing left behind."""
import concurrent.futures
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


def environment(folder, region):
    return dict(os.environ, ISTHMUS_REGION=region, TMPDIR=folder)


def check(folder, region, app, words, status, line, also=None):
    ran = subprocess.run([os.path.join(APPS, app), *words], env=environment(folder, region), cwd=folder,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         timeout=60, check=False)
    said = ran.stderr.splitlines()
    if also and said and also in said[0]:
        del said[0]
        also = None
    if ran.returncode != status or said[-1:] != [line] or also or len(said) > 1 + (words[:1] == ["--name"]):
        return (f"{app} {words} on {region!r}: status {ran.returncode}, said {ran.stderr!r}; "
                f"wanted {status}, {line!r}")
    return None


def start(folder, region, app, *words, stdout=subprocess.PIPE):
    return subprocess.Popen([os.path.join(APPS, app), *words], env=environment(folder, region), cwd=folder,
                            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True)


def ends(process, status, text=""):
    _, err = process.communicate(timeout=60)
    if process.returncode != status or text not in err:
        return f"{process.args}: status {process.returncode}, said {err!r}; wanted {status}, {text!r}"
    return None


def no_room(folder, region):
    """What can't be written is no success, and a device that took no picture stays where it is."""
    link = os.path.join(folder, "full")
    os.symlink("/dev/full", link)
    with open("/dev/full", "wb") as full:
        crew = [start(folder, region, "workers", role, stdout=subprocess.DEVNULL) for role in ("dispatch", "work")]
        faults = [ends(start(folder, region, "workers", "paint", "--size", "64", "--quiet", "--png", link,
                             stdout=subprocess.DEVNULL), 1, f"workers: {link}: No space left on device"),
                  *(ends(process, 0) for process in crew),
                  ends(start(folder, region, "topics", "publish", "--members", "1", "--count", "1", stdout=full), 1,
                       "topics: the output could not be written")]
    if not os.path.islink(link):
        faults.append("where no picture could be written nothing is left")
    else:
        os.unlink(link)
    return "; ".join(filter(None, faults))


def killed_and_restarted(folder, region, app, first, second):
    """Who takes the place of one that was killed a moment ago is not told that its name is taken."""
    dead = [start(folder, region, app, *words) for words in (first, second)]
    said = dead[0].stdout.readline() + dead[0].stdout.readline() if app == "topics" else dead[1].stdout.readline()
    for process in dead:
        process.kill()
        process.communicate()
    again = [start(folder, region, app, *words) for words in (first, second)]
    faults = [ends(process, 0) for process in again]
    if not said:
        faults.append(f"{app} said nothing at first")
    return "; ".join(filter(None, faults))


def main():
    nowhere = "no such device or region, or it is gone"
    members = ["--members", "2", "--count", "2000"]
    with tempfile.TemporaryDirectory(prefix="isthmus-refusals-") as folder, \
            concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = []

        def region(size=1 << 20):
            made.append(f"region{len(made)}")
            with open(os.path.join(folder, made[-1]), "wb") as file:
                file.truncate(size)
            return os.path.join(folder, made[-1])

        # Most of them sleep. The longest first.
        under_way = [
            pool.submit(killed_and_restarted, folder, region(), "rpc", ["serve", "--timeout", "20"],
                        ["call", "--calls", "4000", "--timeout", "20"]),
            pool.submit(killed_and_restarted, folder, region(), "topics", ["publish", *members],
                        ["subscribe", *members]),
            pool.submit(no_room, folder, region()),
            *(pool.submit(check, folder, region(), *wrong) for wrong in WRONG),
            *(pool.submit(check, folder, "", app, [], 1, f"{app}: can't join: {nowhere}", "Set ISTHMUS_REGION to")
              for app in ("chat", "stream", "rpc")),
            pool.submit(check, folder, os.path.join(folder, "x"), "chat", [], 1, f"chat: can't join: {nowhere}",
                        "is not there; make it"),
            pool.submit(check, folder, folder, "chat", [], 1, "chat: can't join: system error", "Is a directory"),
            pool.submit(check, folder, region(60000), "chat", [], 1, "chat: can't join: invalid argument",
                        "need at least 65536"),
        ]
        faults = list(filter(None, (case.result() for case in under_way)))
        left = set(os.listdir(folder)) - set(made)
        if left:
            faults.append(f"left behind: {left}")
        # Without a region there is no link yet to give figures of.
        courier = subprocess.run([os.path.join(APPS, "courier")], env=dict(os.environ, ISTHMUS_REGION=""), text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        if courier.returncode != 1 or "Set ISTHMUS_REGION to" not in courier.stdout or \
                "courier: invalid argument: sent 0" not in courier.stdout:
            faults.append(f"courier without a region: status {courier.returncode}, {courier.stdout!r}")
    for fault in faults:
        print(f"FAIL: {fault}")
    if not faults:
        print(f"PASS: {len(under_way) + 1} cases")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
