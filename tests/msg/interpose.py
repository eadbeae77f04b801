#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The header through which msg/ touches the region: nothing goes around it, and a build that
interposes nothing is the real build, instruction for instruction.

Usage: interpose.py ROOT           compares what a message, a wait and a look around go through
       interpose.py ROOT --others  compares all other files"""
import glob
import os
import re
import subprocess
import sys
import tempfile

root = sys.argv[1]
others = sys.argv[2:] == ["--others"]
HOT = ["array.c", "channel.c", "presence.c", "short.c", "transfer.c", "wait.c", "patterns/letter.c",
       "patterns/subscribe.c", "patterns/topic.c"]
HEADER = os.path.join(root, "msg", "region_access.h")
FLAGS = ["-std=gnu11", "-O2", "-ffreestanding", "-fno-pic", f"-I{root}", f"-I{root}/include"]
failed = False


def fail(line):
    global failed
    failed = True
    print(line)


def assembly(source, extra):
    with tempfile.NamedTemporaryFile(suffix=".s") as out:
        subprocess.run(["gcc", *FLAGS, *extra, "-S", "-o", out.name, source], check=True)
        with open(out.name, encoding="ascii") as f:
            # Compiler-made names carry running numbers.
            return [re.sub(r"(?<=[A-Za-z])\.\d+\b", ".N", line) for line in f
                    if re.match(r"\t[a-z]", line)]


# 1. Every memory access that is an atomic, volatile or fence stands in the one header.
for path in sorted(glob.glob(f"{root}/msg/**/*.[ch]", recursive=True)):
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", f.read(), flags=re.S)
    if path == HEADER:
        continue
    for word in ("atomic_", "_Atomic", "__atomic", "asm", "mfence", "memcpy", "memset",
                 "region_raw_"):
        if re.search(rf"\b{word}", text):
            fail(f"FAIL {os.path.relpath(path, root)}: uses {word}: only region_access.h may")

missing = [name for name in HOT if not os.path.exists(f"{root}/msg/{name}")]
if missing:
    fail(f"FAIL no longer there: {missing}")

# 2. An interposition sees every access: the same code with and without one that does nothing.
none = ["-DMSG_INTERPOSE=\"tests/msg/interpose_none.inc\""]
for path in sorted(glob.glob(f"{root}/msg/**/*.c", recursive=True)):
    if (os.path.relpath(path, f"{root}/msg") in HOT) == others:
        continue
    real, interposed = assembly(path, []), assembly(path, none)
    if real != interposed:
        fail(f"FAIL {os.path.basename(path)}: {len(real)} instructions become {len(interposed)}")
    else:
        print(f"ok   {os.path.basename(path)}: {len(real)} lines of assembly, the same")

# 3. A load or store is one instruction, a fence is one.
probe = """#include "msg/region_access.h"
uint64_t probe_load(const uint64_t *p) { return region_load_acquire64(p); }
void probe_store(uint64_t *p, uint64_t v) { region_store_release64(p, v); }
void probe_fence(void) { region_fence(); }
"""
with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
    source.write(probe)
    source.flush()
    lines = assembly(source.name, ["-fcf-protection=none", "-fno-asynchronous-unwind-tables"])
lines = [line.strip() for line in lines if not line.startswith("\t.")]
if len(lines) != 6:
    fail(f"FAIL load, store, fence and their returns are {lines}")
else:
    print(f"ok   {lines[0]}; {lines[2]}; {lines[4]}")
sys.exit(failed)
