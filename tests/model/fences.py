#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each fence of msg/ stands in a function that a model names, in a line with the mutant that leaves
that fence out; and each mutant that a model names is one that it runs.

Usage: fences.py ROOT"""
import glob
import os
import re
import sys


def fence_functions(path):
    """The functions of a C file, in kernel layout, that call region_fence()."""
    function = None
    with open(path, encoding="utf-8") as f:
        for line in f:
            head = re.match(r"^(?:[a-z]|REGION_INLINE).*?\b(?!__attribute__)(\w+)\(", line)
            if head and not line.rstrip().endswith(";"):
                function = head.group(1)
            if re.search(r"\bregion_fence\(\)", line):
                yield function


def main():
    root = sys.argv[1]
    models = ""
    bad = 0
    for name in sorted(glob.glob(os.path.join(root, "tests/model/*.pml"))):
        with open(name, encoding="utf-8") as f:
            text = f.read()
        models += text
        for mutant in set(re.findall(r"\bNO_\w*FENCE\b", text)):
            if not re.search(rf"/\* mutant:[^*]*-D{mutant}\b", text):
                print(f"{os.path.basename(name)}: {mutant} is never run")
                bad += 1
    count = 0
    for name in sorted(glob.glob(os.path.join(root, "msg/**/*.[ch]"), recursive=True)):
        for function in fence_functions(name):
            count += 1
            if not re.search(rf"NO_\w*FENCE\b[^\n]*\b{function}\b", models):
                print(f"{os.path.relpath(name, root)}: no model has a mutant without the fence in "
                      f"{function}()")
                bad += 1
    print(f"{count} fences in msg/, {bad} without a mutant")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
