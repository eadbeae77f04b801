# SPDX-License-Identifier: BSD-2-Clause
"""Boots a guest image under QEMU and holds its end and its output against what is expected.

As a program: boot.py IMAGE [options] [-- more QEMU options]; exit status 0 as expected, 77 skipped
(QEMU or a firmware is not there), 1 otherwise, with the guest's output and the QEMU line.
As a module: run() for tests that need more than one boot or look closer.
"""
import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

SUCCESS = 33    # what QEMU exits with for status 0; see platform/power.h
PANIC = 255
SKIP = 77


def build_folder():
    return os.environ.get("ISTHMUS_BUILD") or os.getcwd()


def find_image(name):
    """An image by path, or by name among the build's apps and guest tests."""
    # A bare name is never looked up in the current folder: a host program of that name may lie there.
    if os.sep in name and os.path.isfile(name):
        return name
    for path in (os.path.join(build_folder(), "apps", name + ".elf"),
                 os.path.join(build_folder(), "tests/guest", name + ".elf"),
                 os.path.join(build_folder(), name)):
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"no image {name} in {build_folder()}: build it first")


def code_of(status):
    """QEMU's exit status for a guest that ended with this one."""
    return ((16 + min(status, 100)) << 1) | 1


def explain(code):
    if code is None:
        return "still running at the time limit"
    if code == PANIC:
        return "panic"
    if code < 0:
        return f"QEMU was killed by {signal.Signals(-code).name}"
    if code >= SUCCESS and code % 2:
        return f"status {(code - SUCCESS) // 2}"
    return {0: "powered off, reset or triple fault", 1: "an error of QEMU's own"}.get(
        code, f"QEMU's exit status {code}")


class Result:
    def __init__(self, code, output, line):
        self.code, self.output, self.line = code, output, line


def qemu_line(image, machine="q35", memory="64", append=None, cpu=None, bios=None, smp="1,maxcpus=2",
              extra=(), qemu=None, debug_exit=True, serial=True):
    line = [qemu or os.environ.get("ISTHMUS_QEMU", "qemu-system-x86_64"), "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-machine", machine,
            "-accel", os.environ.get("ISTHMUS_ACCEL", "tcg,thread=multi"), "-smp", smp, "-m", memory, "-kernel", image,
            "-serial", "stdio" if serial else "none"]
    if debug_exit:
        line += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if append is not None:
        line += ["-append", append]
    if cpu:
        line += ["-cpu", cpu]
    if bios:
        line += ["-bios", bios]
    return line + list(extra)


def run(image, timeout=30, stdin=b"", folder=None, **options):
    """Boots the image, waits for its end and returns a Result; code None is a time-out."""
    line = qemu_line(find_image(image), **options)
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, cwd=folder)
    try:
        output, _ = process.communicate(stdin, timeout=timeout)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        code = None
    return Result(code, output.decode("utf-8", "replace"), line)


def faults(result, code=SUCCESS, expect=(), refuse=()):
    """What is not as expected, as sentences."""
    found = []
    if result.code != code:
        found.append(f"ended with {explain(result.code)}, expected {explain(code)}")
    for pattern in expect:
        if not re.search(pattern, result.output, re.MULTILINE):
            found.append(f"the output has nothing like {pattern!r}")
    for pattern in refuse:
        match = re.search(pattern, result.output, re.MULTILINE)
        if match:
            found.append(f"the output has {match.group(0)!r}")
    return found


def report(result, found):
    """Prints what was wrong, and all that is needed to see it again."""
    print(result.output, end="" if result.output.endswith("\n") else "\n")
    print("QEMU:", shlex.join(result.line))
    for sentence in found:
        print("FAIL:", sentence)


def skip(reason):
    print("SKIP:", reason)
    sys.exit(SKIP)


def need_qemu():
    if not shutil.which(os.environ.get("ISTHMUS_QEMU", "qemu-system-x86_64")):
        skip("no qemu-system-x86_64 (Debian: qemu-system-x86)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("--machine", default="q35")
    parser.add_argument("--memory", default="64", help="QEMU's -m (default 64)")
    parser.add_argument("--smp", default="1,maxcpus=2")
    parser.add_argument("--cpu")
    parser.add_argument("--bios")
    parser.add_argument("--append")
    parser.add_argument("--stdin", default="", help="sent to the serial port; with \\n, \\004...")
    parser.add_argument("--no-debug-exit", action="store_true", help="a machine without that device")
    parser.add_argument("--no-serial", action="store_true", help="a machine without a serial port")
    parser.add_argument("--status", type=int, default=0, help="the guest's exit status (default 0)")
    parser.add_argument("--panic", action="store_true", help="the guest is to panic")
    parser.add_argument("--code", type=int, help="QEMU's exit status, instead of the guest's")
    parser.add_argument("--expect", action="append", default=[], metavar="REGEX")
    parser.add_argument("--refuse", action="append", default=[], metavar="REGEX")
    parser.add_argument("--timeout", type=float, default=30)
    arguments = sys.argv[1:]
    extra = []
    if "--" in arguments:
        extra = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]
    a = parser.parse_args(arguments)

    need_qemu()
    code = a.code if a.code is not None else PANIC if a.panic else code_of(a.status)
    with tempfile.TemporaryDirectory(prefix="isthmus-boot-") as folder:
        result = run(os.path.abspath(find_image(a.image)), machine=a.machine, memory=a.memory,
                     smp=a.smp, cpu=a.cpu, bios=a.bios, append=a.append, extra=extra,
                     stdin=a.stdin.encode().decode("unicode_escape").encode("latin-1"), timeout=a.timeout, folder=folder,
                     debug_exit=not a.no_debug_exit, serial=not a.no_serial)
    found = faults(result, code, a.expect, a.refuse)
    if found:
        report(result, found)
        return 1
    print(f"PASS: ended with {explain(result.code)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
