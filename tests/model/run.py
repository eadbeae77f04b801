#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks a model with spin: as it stands it must hold in every state that can be reached, and each
of its mutants, which leaves out one step, must be found wanting.

Usage: run.py MODEL.pml [--faithful | --mutants | --more]

The first lines of a model say what to run:
    /* check: [-DNAME ...] */         one run that must hold
    /* mutant: -DNAME [-DNAME ...] */ one run that must fail
    /* more: [-DNAME ...] */          as check, for long: only with --more, which runs nothing else
with  `ltl` among the words where the model's claim is to be checked under weak fairness."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT_S = 600


class Broken(Exception):
    pass


def tool(command, where):
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode or not os.path.exists(os.path.join(where, "pan.c")):
        raise Broken(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


def search(model, kind, words):
    """(errors found, states, what spin called it) of one search that ran to its end."""
    liveness = "ltl" in words
    flags = [w for w in words if w != "ltl"]
    with tempfile.TemporaryDirectory(prefix="isthmus-model-") as where:
        tool(["spin", "-a", *flags, os.path.abspath(model)], where)
        # The kill (`unless`) and fairness don't go with partial order reduction.
        options = ["-DNOREDUCE"] if "-DDEATH" in flags or liveness else []
        options += [] if liveness else ["-DSAFETY"]
        # Few states are not worth better compiling.
        tool(["gcc", "-O1" if kind == "more" else "-O0", "-w", "-DMEMLIM=6000", "-DCOLLAPSE",
              "-DVECTORSZ=2048", *options, "-o", "pan", "pan.c"], where)
        run = ["./pan", "-n", "-m2000000"] + (["-a", "-f"] if liveness else [])
        done = subprocess.run(run, cwd=where, capture_output=True, text=True, timeout=LIMIT_S)
    out = done.stdout
    errors = re.search(r"errors: (\d+)", out)
    states = re.search(r"(\d+) states, stored", out)
    if not errors or not states:
        raise Broken(f"{model} {' '.join(words)}: no result:\n{out}{done.stderr}")
    found = int(errors.group(1))
    cut = re.search(r"max search depth too small|out of memory|Search not completed", out)
    if not found and cut:
        raise Broken(f"{model} {' '.join(words)}: the search was cut short: {cut.group(0)}")
    what = re.search(r"pan:\d+: (.*)", out)
    return found, int(states.group(1)), what.group(1) if what else ""


def plan(model):
    with open(model, encoding="utf-8") as f:
        text = f.read()
    for kind, words in re.findall(r"/\* (check|mutant|more):(.*?)\*/", text):
        yield kind, words.split()


def main():
    if not shutil.which("spin"):
        print("SKIP: spin is not installed")
        return 77
    model, only = sys.argv[1], sys.argv[2:]
    kinds = {"--faithful": ["check"], "--mutants": ["mutant"], "--more": ["more"]}.get(
        only[0] if only else "", ["check", "mutant"])
    runs = [r for r in plan(model) if r[0] in kinds]
    if not runs:
        print(f"{model} names nothing to run")
        return 1
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for (kind, words), future in [(r, pool.submit(search, model, *r)) for r in runs]:
            name = f"{kind} {' '.join(words) or '(as it stands)'}"
            try:
                errors, states, what = future.result()
            except (Broken, subprocess.TimeoutExpired) as problem:
                print(f"FAIL {name}: {problem}", flush=True)
                bad += 1
                continue
            good = bool(errors) == (kind == "mutant")
            bad += not good
            print(f"{'ok  ' if good else 'FAIL'} {name}: {states} states, "
                  f"{what if errors else 'no error'}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
