#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Types each command line of the ivshmem page of QEMU's manual (docs/system/devices/ivshmem.rst) as
it is written there, with this project's server and with a guest that tests the device it finds.

Only what would get in the way of another run is replaced: the manual's placeholders (path,
shm-name, ...) and its fixed file name in /dev/shm. What a guest needs to boot is appended.

Usage: manual.py CASE      plain | doorbell | server-m"""
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ["ISTHMUS_BUILD"]
SERVER = os.path.join(BUILD, "bin", "ivshmem-server")
INSPECT = os.path.join(BUILD, "apps", "inspect.elf")

# The manual's lines.
PLAIN = "qemu-system-x86_64 -device ivshmem-plain,memdev=hostmem"
PLAIN_MEMORY = "-object memory-backend-file,size=1M,share,mem-path=/dev/shm/ivshmem,id=hostmem"
SERVE = "ivshmem-server -p pidfile -S path -m shm-name -l shm-size -n vectors"
DOORBELL = "qemu-system-x86_64 -device ivshmem-doorbell,vectors=vectors,chardev=id"
DOORBELL_CHARDEV = "-chardev socket,path=path,id=id"

BOOT = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35",
        "-accel", os.environ.get("ISTHMUS_ACCEL", "tcg,thread=multi"), "-smp", "1,maxcpus=2", "-m", "64", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", INSPECT]
SUCCESS = 33


def fail(text):
    print(f"FAIL: {text}")
    sys.exit(1)


def guest(*lines):
    """Boots inspect with the manual's words; its output when its self-test passed."""
    command = shlex.split(" ".join(lines)) + BOOT
    print("+", shlex.join(command), flush=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, errors="replace",
                          stdin=subprocess.DEVNULL)
    if done.returncode != SUCCESS:
        fail(f"inspect ended with QEMU status {done.returncode}, not {SUCCESS}:\n"
             f"{done.stdout}{done.stderr}")
    return done.stdout


def plain():
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="isthmus-manual-") as file:
        out = guest(PLAIN, PLAIN_MEMORY.replace("/dev/shm/ivshmem", file.name))
        if os.fstat(file.fileno()).st_size != 1 << 20:
            fail("the backing file is not the 1M that the manual's line says")
    if "ivshmem-plain" not in out and not re.search(r"\bplain\b", out):
        fail(f"inspect does not say that the device is a plain one:\n{out}")


def wait_for_exit(pid):
    for _ in range(200):
        if not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.05)
    fail(f"the server (pid {pid}) is still there 10 s after SIGTERM")


def doorbell():
    with tempfile.TemporaryDirectory(prefix="isthmus-manual-") as folder:
        socket, pidfile = os.path.join(folder, "path"), os.path.join(folder, "pidfile")
        name = os.path.basename(folder)
        # -m names a directory nowadays, and the manual's line predates that: -M is what it means.
        line = SERVE.replace("pidfile", pidfile).replace("path", socket) \
            .replace("-m shm-name", f"-M {name}").replace("shm-size", "1M") \
            .replace("vectors", "4")
        command = shlex.split(line)
        command[0] = SERVER
        print("+", shlex.join(command), flush=True)
        subprocess.run(command, check=True, timeout=20, stdin=subprocess.DEVNULL)
        with open(pidfile, encoding="ascii") as f:
            pid = int(f.read())
        try:
            # No wait here: a server that returned is ready.
            guest(DOORBELL.replace("vectors=vectors", "vectors=4").replace("chardev=id", "chardev=iv"),
                  DOORBELL_CHARDEV.replace("path=path", f"path={socket}").replace("id=id", "id=iv"))
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_for_exit(pid)
        left = [p for p in (socket, pidfile, f"/dev/shm/{name}") if os.path.exists(p)]
        if left:
            fail(f"the server left {left} behind")


def server_m():
    """-m shm-name word for word: QEMU's own server fails too; ours must say what was meant."""
    with tempfile.TemporaryDirectory(prefix="isthmus-manual-") as folder:
        socket, pidfile = os.path.join(folder, "path"), os.path.join(folder, "pidfile")
        line = SERVE.replace("pidfile", pidfile).replace("path", socket) \
            .replace("shm-size", "1M").replace("vectors", "4")
        command = shlex.split(line)
        command[0] = SERVER
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=folder,
                              stdin=subprocess.DEVNULL)
        said = done.stdout + done.stderr
        if done.returncode == 0 or "-M" not in said or "shm-name" not in said:
            fail(f"-m with a name that is no directory: status {done.returncode}, said: {said!r}")
        if os.listdir(folder):
            fail(f"the refused start left {os.listdir(folder)} behind")


def main():
    {"plain": plain, "doorbell": doorbell, "server-m": server_m}[sys.argv[1]]()
    print("PASS")


if __name__ == "__main__":
    main()
