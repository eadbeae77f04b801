#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mutants of msg/: each is one line changed in a copy; the simulator must fail on each of them.

Usage: mutants.py ROOT COMPILER [NAME...]

A mutant whose line is no longer there, or is there more than once, is a failure: mend the list."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

# name: (file, line as it stands, what it becomes, seeds to try)
MUTANTS = {
}

FLAGS = ["-std=gnu11", "-O1", "-w", '-DMSG_INTERPOSE="tests/sim/access.h"']
JOBS = 2


def compile_all(compiler, root, work, files):
    """Objects of the files, with root's copies found first."""
    objects = []
    for path in files:
        out = os.path.join(work, os.path.basename(os.path.dirname(path)) + "_" +
                           os.path.basename(path)[:-2] + ".o")
        subprocess.run([compiler, *FLAGS, f"-I{work}", f"-I{root}", f"-I{root}/include", "-c",
                        path, "-o", out], check=True)
        objects.append(out)
    return objects


def mutate(root, work, name):
    """A copy of msg/ in work with the mutant's line changed. None, or why not."""
    file, line, becomes, _ = MUTANTS[name]
    shutil.copytree(os.path.join(root, "msg"), os.path.join(work, "msg"))
    path = os.path.join(work, "msg", file)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(line) != 1:
        return f"stands {text.count(line)} times in msg/{file}: {line.strip()!r}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(line, becomes))
    return None


def affected(work, file):
    """The sources that a change of file concerns."""
    sources = sorted(glob.glob(os.path.join(work, "msg", "*.c")))
    return [s for s in sources if os.path.basename(s) == file] or sources


def run(compiler, root, base, name):
    """(caught, what was seen)"""
    with tempfile.TemporaryDirectory(prefix="isthmus-mutant-") as work:
        wrong = mutate(root, work, name)
        if wrong:
            return False, wrong
        changed = affected(work, MUTANTS[name][0])
        try:
            objects = compile_all(compiler, root, work, changed)
        except subprocess.CalledProcessError:
            return False, "does not compile"
        replaced = {os.path.basename(o) for o in objects}
        objects += [o for o in base if os.path.basename(o) not in replaced]
        program = os.path.join(work, "sim")
        subprocess.run([compiler, *objects, "-o", program], check=True)
        try:
            done = subprocess.run([program, "--jobs", "1", "--seeds", str(MUTANTS[name][3])],
                                  capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            return False, "neither passed nor failed in 120 s"
        if done.returncode == 0:
            return False, f"not seen in {MUTANTS[name][3]} seeds"
        fails = re.findall(r"^FAIL.*$", done.stdout, re.M)
        return bool(fails), fails[-1] if fails else done.stdout[-200:]


def main():
    root, compiler = sys.argv[1:3]
    names = sys.argv[3:] or list(MUTANTS)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="isthmus-mutants-") as work, \
            concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        sources = sorted(glob.glob(f"{root}/msg/*.c")) + sorted(glob.glob(f"{root}/tests/sim/*.c"))
        halves = list(pool.map(lambda part: compile_all(compiler, root, work, part),
                               [sources[0::2], sources[1::2]]))
        base = halves[0] + halves[1]
        for name, (caught, what) in zip(names, pool.map(
                lambda n: run(compiler, root, base, n), names)):
            print(f"{'ok  ' if caught else 'FAIL'} {name}: {what}", flush=True)
            missed += not caught
    print(f"SUMMARY {len(names)} mutants, {missed} not caught")
    return 1 if missed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
