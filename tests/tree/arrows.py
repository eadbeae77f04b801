#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds the sources against the plan of the house: which room may include which, where assembly,
ports, MSRs and linker symbols may stand, and that each file carries its licence line.

Usage: arrows.py ROOT     exits 1 with one line per breach."""
import os
import re
import subprocess
import sys

# room -> rooms whose headers it may include (its own is always allowed).
ARROWS = {
    "log": [],
    "cpu": ["log"],
    "mm": ["cpu", "log"],
    "platform": ["mm", "cpu", "log"],
    "pci": ["mm", "cpu", "log"],
    "ivshmem": ["pci", "mm", "cpu", "log"],
    "msg": [],
    "msg/patterns": ["msg"],
    "port": ["ivshmem", "cpu", "msg", "log"],
    "libc": ["cpu", "mm", "platform", "log"],
    "boot": ["log", "cpu", "mm", "platform", "pci", "ivshmem", "msg", "port", "libc"],
    "host/server": ["host/client"],
    "host/client": [],
    "host/peer": ["host/client", "msg"],
    "host/image": [],
    "host/launch": ["host/image", "host/inspect"],
    "host/inspect": ["host/client", "msg"],
    "apps": [],
    "bench": [],
}
# Rooms that may use every public header; the others only those of the rooms they may include.
PUBLIC_USERS = {"apps", "bench"}
# Of these rooms an outsider may include only the named headers.
FRONT_DOORS = {("port", "msg"): {"msg/port.h"}, ("host/peer", "msg"): {"msg/port.h"},
               ("host/inspect", "msg"): {"msg/look.h"}}
# bench/ holds images that share no code with the rooms (the floor) and adapters that measure parts
# of msg/ by themselves; their exceptions are named here.
BENCH_PARTS = ("bench/native/",)
# What a port tells apps about the guest it runs in comes from boot through this one header.
PUBLIC_EXTRA = {("port", "guest"), ("libc", "guest")}
# A public header belongs to the room of its name, but for these.
PUBLIC_OWNER = {"clock": "cpu", "scratch": "msg", "guest": "boot"}
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "stdatomic.h", "stdarg.h", "stdalign.h",
                "stdnoreturn.h", "limits.h", "errno.h", "string.h", "float.h", "iso646.h"}
# May hold assembly: the rooms of the plan, and whole images that have no rooms under them.
ASM_ROOMS = ("cpu/", "boot/", "bench/", "tests/", "linker/")

SOURCE = re.compile(r".*\.(c|h|S)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
ASM = re.compile(r"\b(__asm__|__asm|asm)\b\s*(volatile|__volatile__|goto|inline)?\s*\(")


def room_of(path):
    return max((r for r in ARROWS if path.startswith(r + "/")), key=len, default=None)


def breaches(root, path, text):
    room = room_of(path)
    code = COMMENT.sub("", text)
    if ASM.search(code) and not path.startswith(ASM_ROOMS):
        yield "assembly outside cpu/ and boot/"
    if re.search(r"\bextern\b[^;]*\b(image_|__?(bss|text|data)_(start|end))", code) \
            and path.startswith(("platform/", "pci/", "ivshmem/", "port/", "libc/", "apps/")):
        yield "reads linker symbols, which mm/ alone does"
    if room is None:
        return
    if path.endswith(".S") and not path.startswith(ASM_ROOMS):
        yield "an assembly file outside cpu/ and boot/"
    allowed = set(ARROWS[room]) | {room}
    for kind, name in INCLUDE.findall(code):
        owner = None
        if name.startswith("isthmus/"):
            stem = name[len("isthmus/"):-2]
            owner = PUBLIC_OWNER.get(stem, "msg" if stem.startswith("msg_") else stem)
            if room in PUBLIC_USERS or owner in allowed or (room, stem) in PUBLIC_EXTRA:
                continue
            yield f"includes <{name}>, which belongs to {owner}"
        elif kind == '"':
            target = name if os.path.exists(os.path.join(root, name)) else \
                os.path.normpath(os.path.join(os.path.dirname(path), name))
            owner = room_of(target)
            if owner is None and target.startswith("tests/"):
                yield f'includes "{name}": a room may not know its tests'
            if owner is None or owner == room:
                continue
            if path.startswith(BENCH_PARTS) and owner in ("msg", "host/peer"):
                continue
            if owner not in allowed:
                yield f'includes "{name}": no arrow from {room} to {owner}'
            elif target not in FRONT_DOORS.get((room, owner), {target}):
                yield f'includes "{name}": {room} may enter {owner} only by ' \
                    + ", ".join(sorted(FRONT_DOORS[(room, owner)]))
        elif room in ("msg", "msg/patterns") and name not in FREESTANDING - {"string.h"}:
            yield f"includes <{name}>: msg/ uses freestanding C11 headers only"


def main():
    root = sys.argv[1]
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode:
        print("SKIP: not a git checkout, so the project's files can't be told from others")
        return 77
    bad = count = 0
    for path in listed.stdout.splitlines():
        full = os.path.join(root, path)
        if not os.path.isfile(full):
            continue
        if re.search(r"(\.(c|h|S|cc|cpp|py|sh|ld|cmake|pml|yml)|CMakeLists\.txt)$", path):
            with open(full, encoding="utf-8") as f:
                text = f.read()
            if "SPDX-License-Identifier: BSD-2-Clause" not in "\n".join(text.split("\n")[:3]):
                print(f"{path}: no SPDX line at the top")
                bad += 1
            if SOURCE.match(path):
                count += 1
                for what in breaches(root, path, text):
                    print(f"{path}: {what}")
                    bad += 1
    if count == 0:
        print("no C source found: the check looked at nothing")
        return 1
    print(f"{count} sources held against the plan, {bad} breach(es)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
