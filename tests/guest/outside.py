# SPDX-License-Identifier: BSD-2-Clause
"""An app in a project of its own, which takes this one in with add_subdirectory(), builds and boots."""
import os
import subprocess
import sys
import tempfile

import boot

PROJECT = """cmake_minimum_required(VERSION 3.25)
project(mine LANGUAGES C ASM)
add_subdirectory("{source}" isthmus EXCLUDE_FROM_ALL)
isthmus_add_app(mine GUEST_ONLY mine.c)
"""

APP = """#include <isthmus/clock.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("%s, %.1f: %s\\n", argv[0], 2.5, argc > 1 && clock_now_ns() ? argv[1] : "");
	return 9;
}
"""


def run(*line):
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout)
        print("FAIL:", " ".join(line))
        sys.exit(1)


def main():
    boot.need_qemu()
    with tempfile.TemporaryDirectory(prefix="isthmus-outside-") as folder:
        for name, text in (("CMakeLists.txt", PROJECT), ("mine.c", APP)):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text.replace("{source}", os.environ["ISTHMUS_SOURCE"]))
        build = os.path.join(folder, "build")
        run("cmake", "-G", "Ninja", "-S", folder, "-B", build)
        run("ninja", "-C", build, "image_mine")
        result = boot.run(os.path.join(build, "apps/mine.elf"), append="works")
        found = boot.faults(result, boot.code_of(9), expect=["^mine, 2.5: works$"])
    if found:
        boot.report(result, found)
    print("FAIL" if found else "PASS: an app of another project runs")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
