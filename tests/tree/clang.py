#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compiles all guest, msg and host C code of the build with clang, warnings as errors, and every
header by itself with gcc: what gcc's build alone doesn't show.

Usage: clang.py BUILD ROOT [headers]"""
import concurrent.futures
import json
import os
import shutil
import shlex
import subprocess
import sys




def run(command, where):
    done = subprocess.run(command, cwd=where, capture_output=True, text=True)
    return done.returncode, done.stderr


def entries(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        return json.load(f)


def clang_jobs(build, root):
    seen = set()
    for entry in entries(build):
        source = os.path.relpath(entry["file"], root)
        if not source.endswith(".c") or source.startswith("..") or source.startswith("build"):
            continue
        words = [w for w in shlex.split(entry["command"])[1:]]
        out = words.index("-o")
        del words[out:out + 2]
        # Choices of gcc's code generator that clang has no name for.
        words = [w for w in words if w != "-c" and not w.startswith(("-fsanitize", "-mtune-ctrl"))]
        # gcc's own headers need gcc; clang brings its twins.
        clean = []
        skip = False
        for i, word in enumerate(words):
            if skip:
                skip = False
                continue
            if word == "-isystem" and "/gcc/" in words[i + 1]:
                skip = True
                inc = subprocess.run(["clang", "-print-resource-dir"], capture_output=True,
                                     text=True).stdout.strip()
                clean += ["-isystem", os.path.join(inc, "include")]
                continue
            clean.append(word)
        key = (source, "-mcmodel=kernel" in clean, "-mgeneral-regs-only" in clean)
        if key in seen:
            continue
        seen.add(key)
        yield source, ["clang", "-fsyntax-only", "-Werror", "-Wno-unknown-warning-option"] + clean, \
            entry["directory"]


def header_jobs(build, root):
    flags = {}
    for entry in entries(build):
        source = os.path.relpath(entry["file"], root)
        if source.endswith(".c"):
            room = os.path.dirname(source)
            flags.setdefault(room, (shlex.split(entry["command"]), entry["directory"]))
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.h"],
                            capture_output=True, text=True).stdout.split()
    public = next((f for r, f in flags.items() if r == "cpu"), None)
    for header in listed:
        if not os.path.exists(os.path.join(root, header)):
            continue
        found = flags.get(os.path.dirname(header)) or (public if "include/" in header else None)
        if not found:
            continue
        words, directory = found
        words = words[:words.index("-o")] + [w for w in words[words.index("-o") + 2:] if w != "-c"]
        words = [w for w in words if not w.endswith(".c")]
        yield header, words + ["-fsyntax-only", "-Wno-pragma-once-outside-header", "-x", "c",
                               os.path.join(root, header)], directory


def main():
    build, root = sys.argv[1:3]
    headers = "headers" in sys.argv[3:]
    if not headers and not shutil.which("clang"):
        print("SKIP: clang is not installed")
        return 77
    jobs = list(header_jobs(build, root) if headers else clang_jobs(build, root))
    if not jobs:
        print("nothing to compile: the check looked at nothing")
        return 1
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (name, _, _), (code, err) in zip(jobs, pool.map(lambda j: run(j[1], j[2]), jobs)):
            if code:
                bad += 1
                print(f"{name}:\n{err}")
    print(f"{len(jobs)} files compiled, {bad} with complaints")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
