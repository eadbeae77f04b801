#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mutants of msg/: each changes a place or two; the simulator must fail on each of them.

Usage: mutants.py ROOT COMPILER [--objects FILE] [--first SEED] [NAME...]

FILE names the simulator's objects, one a line: of each mutant only what it changes is compiled then.
A mutant whose place is no longer there, or is there more than once, is a failure: mend the list. So is a
seed that fails without the mutation, too."""
import argparse
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading

from mutations import MUTANTS, PATIENT, PLAIN_SEEDS, SCENARIOS, SEEDS, UNSEEN, USERS

FLAGS = ["-std=gnu11", "-O1", "-w", '-DMSG_INTERPOSE="tests/sim/access.inc"']
JOBS = 2
LIMIT_S = 600


class Children:
    """The processes that run now; ended with this one."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = set()
        self.over = False

    def run(self, command, timeout=None):
        """(exit status, what it printed)"""
        with self.lock:
            if self.over:
                raise InterruptedError
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.running.add(child)
        try:
            return self.finish(child, timeout)
        finally:
            with self.lock:
                self.running.discard(child)

    @staticmethod
    def finish(child, timeout):
        """The same for one that runs."""
        try:
            output, _ = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise
        return child.returncode, output

    def end(self):
        """Ends them, and lets none begin."""
        with self.lock:
            self.over = True
            for child in self.running:
                child.kill()


children = Children()


class Tree:
    """The simulator's sources and objects."""

    def __init__(self, root, compiler, work):
        self.root, self.compiler, self.work = root, compiler, work
        self.msg = sorted(glob.glob(f"{root}/msg/**/*.c", recursive=True))
        self.objects = {}  # by source, from the root
        self.program = os.path.join(work, "sim")

    def compile(self, source, out, first=()):
        """One source, where headers are looked for in the folders `first` before the others. False: an error."""
        folders = [f"-I{folder}" for folder in [*first, self.root, f"{self.root}/include"]]
        return children.run([self.compiler, *FLAGS, *folders, "-c", source, "-o", out])[0] == 0

    def link(self, objects, out):
        """False: an error."""
        return children.run([self.compiler, *objects, "-o", out])[0] == 0

    def build(self, pool):
        """All objects, where nobody has them already."""
        sources = self.msg + sorted(glob.glob(f"{self.root}/tests/sim/*.c"))
        outs = [os.path.join(self.work, f"{i}.o") for i in range(len(sources))]
        if not all(pool.map(self.compile, sources, outs)):
            sys.exit("the simulator does not compile")
        self.objects = {os.path.relpath(s, self.root): o for s, o in zip(sources, outs)}

    def take(self, path):
        """The objects that the file names."""
        with open(path, encoding="utf-8") as f:
            for line in f.read().split():
                # CMake writes __ for a folder above.
                source = line.split(".dir/")[-1].replace("__/", "").rpartition(".o")[0]
                self.objects[os.path.normpath(source)] = line


def mutate(tree, work, name):
    """What the mutant changes, in work/msg: its files. Or why not, as a text."""
    texts = {}
    for file, place, becomes in MUTANTS[name]:
        with open(os.path.join(tree.root, "msg", file), encoding="utf-8") as f:
            text = texts.get(file) or f.read()
        if text.count(place) != 1:
            return f"stands {text.count(place)} times in msg/{file}: {place.strip()!r}"
        texts[file] = text.replace(place, becomes)
    for file, text in texts.items():
        path = os.path.join(work, "msg", file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return list(texts)


def affected(tree, work, files):
    """The sources that a change of these files concerns: {source from the root: where it lies}."""
    found = {f"msg/{f}": os.path.join(work, "msg", f) for f in files if f.endswith(".c")}
    headers = [f for f in files if f.endswith(".h")]
    if headers:
        users = re.compile("|".join(USERS[f] for f in headers))
        for path in tree.msg:
            with open(path, encoding="utf-8") as f:
                if users.search(f.read()):
                    found.setdefault(os.path.relpath(path, tree.root), path)
    return found


def build(tree, work, name):
    """The mutant's program; or None, and why not."""
    files = mutate(tree, work, name)
    if isinstance(files, str):
        return None, files
    objects = dict(tree.objects)
    for i, (source, path) in enumerate(affected(tree, work, files).items()):
        objects[source] = os.path.join(work, f"{i}.o")
        if not tree.compile(path, objects[source], [work]):
            return None, "does not compile"
    program = os.path.join(work, "sim")
    if not tree.link(objects.values(), program):
        return None, "does not link"
    return program, ""


def run(tree, name, first):
    """(caught, what was seen)"""
    scenario = SCENARIOS.get(name)
    given = ["--with", scenario] if scenario else []
    seeds = SEEDS if scenario and name not in PATIENT else PLAIN_SEEDS
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=tree.work) as work:
        program, wrong = build(tree, work, name)
        if not program:
            return False, wrong
        try:
            status, output = children.run([program, "--brief", "--jobs", "1", "--first", str(first),
                                           "--seeds", str(seeds), *given], timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return False, f"neither passed nor failed in {LIMIT_S} s"
    if status == 0:
        return False, f"not seen in {seeds} seeds"
    fail = re.search(r"^FAIL seed (\d+) .*$", output, re.M)
    if not fail:
        return False, output[-200:]
    if children.run([tree.program, "--seed", fail.group(1), *given])[0]:
        return False, f"the simulator fails without it, too: --seed {fail.group(1)} {' '.join(given)}"
    return True, fail.group(0)


def ended(_signal, _frame):
    """By SIGTERM: as an exception, so that nothing is left behind."""
    sys.exit(143)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root")
    parser.add_argument("compiler")
    parser.add_argument("--objects", metavar="FILE")
    parser.add_argument("--first", metavar="SEED", type=int, default=1)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_intermixed_args()
    signal.signal(signal.SIGTERM, ended)
    names = args.names or [name for name in MUTANTS if name not in UNSEEN]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="isthmus-mutants-") as work:
        pool = concurrent.futures.ThreadPoolExecutor(JOBS)
        try:
            tree = Tree(args.root, args.compiler, work)
            if args.objects:
                tree.take(args.objects)
            else:
                tree.build(pool)
            if not tree.link(tree.objects.values(), tree.program):
                sys.exit("the simulator does not link")
            for name, (caught, what) in zip(names, pool.map(lambda n: run(tree, n, args.first), names)):
                print(f"{'ok  ' if caught else 'FAIL'} {name}: {what}", flush=True)
                missed += not caught
        finally:
            children.end()
            pool.shutdown(cancel_futures=True)
    print(f"SUMMARY {len(names)} mutants, {missed} not caught")
    return 1 if missed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
