#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows that arrows.py sees: a small tree with one breach of each kind, each of which it must name,
and a clean tree, of which it must say nothing."""
import os
import subprocess
import sys
import tempfile

SPDX = "// SPDX-License-Identifier: BSD-2-Clause\n"
BREACHES = {
    "cpu/a.c": ('#include "mm/mm.h"\n', "no arrow from cpu to mm"),
    "mm/b.c": ('void f(void) { __asm__ volatile("nop"); }\n', "assembly outside"),
    "msg/c.c": ("#include <stdio.h>\n", "freestanding"),
    "port/d.c": ('#include "msg/ring.h"\n', "only by msg/port.h"),
    "apps/e.c": ('#include "cpu/io.h"\n', "no arrow from apps to cpu"),
    "cpu/f.c": ("#include <isthmus/pci.h>\n", "belongs to pci"),
    "pci/g.c": ("extern char image_end[];\n", "linker symbols"),
    "host/server/h.c": ('#include "msg/port.h"\n', "no arrow from host/server to msg"),
}
CLEAN = {
    "cpu/io.h": SPDX, "mm/mm.h": SPDX + '#include "cpu/io.h"\n', "msg/port.h": SPDX,
    "msg/ring.h": SPDX + "#include <stdint.h>\n", "port/p.c": SPDX + '#include "msg/port.h"\n',
    "apps/a.c": SPDX + "#include <isthmus/msg.h>\n/* __asm__(\"in a comment\") */\n",
}


def check(files):
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(["git", "init", "-q", root], check=True)
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as f:
                f.write(text)
        done = subprocess.run([sys.executable, sys.argv[1], root], capture_output=True, text=True)
        return done.returncode, done.stdout


def main():
    bad = 0
    code, text = check(CLEAN)
    if code != 0:
        print(f"a clean tree was found wanting:\n{text}")
        bad += 1
    for name, (line, expected) in BREACHES.items():
        code, text = check({**CLEAN, name: SPDX + line})
        if code != 1 or f"{name}: " not in text or expected not in text:
            print(f"{name} with {line!r}: expected '{expected}', got status {code}:\n{text}")
            bad += 1
    code, text = check({**CLEAN, "cpu/x.c": "int x;\n"})
    if code != 1 or "no SPDX line" not in text:
        print(f"a file without its licence line went unseen:\n{text}")
        bad += 1
    print(f"{len(BREACHES) + 2} trees checked, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
