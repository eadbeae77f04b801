# SPDX-License-Identifier: BSD-2-Clause
"""Pairs of guests on one region: starts the server and QEMU, collects what they print."""

import ctypes
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

GUEST_SUCCESS = 33  # isa-debug-exit: (16 << 1) | 1
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """One line that says what went wrong."""


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, **more):
    """A child that ends when this program does, however it ends."""
    return subprocess.Popen([str(c) for c in command], preexec_fn=_die_with_parent,
                            stdin=subprocess.DEVNULL, **more)


def pinned(command, cpu):
    return command if cpu is None else ["taskset", "-c", str(cpu), *command]


def qemu_command(image, arguments, device, machine="q35", memory=64, extra=()):
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-machine", machine, "-accel", "tcg,thread=multi",
            "-smp", "1,maxcpus=2", "-m", str(memory), "-kernel", str(image),
            "-append", arguments, "-serial", "stdio",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *device, *extra]


class Ground:
    """A fresh region with a server, in a folder of its own; everything ends with the `with`."""

    def __init__(self, build, size="64M", vectors=2):
        self.build = pathlib.Path(build)
        self.size = size
        self.vectors = vectors
        self.children = []

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="isthmus-bench-"))
        self.socket = self.folder / "socket"
        try:
            self._start_server()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_server(self):
        server = self.build / "bin" / "ivshmem-server"
        if not server.exists():
            raise BenchError(f"no {server}; build the project first")
        ready, told = os.pipe()
        child = start([server, "-F", "--memfd", "-S", self.socket, "-l", self.size,
                       "-n", self.vectors, "--ready-fd", told], pass_fds=(told,),
                      stderr=subprocess.PIPE, text=True)
        self.children.append(child)
        os.close(told)
        answered, _, _ = select.select([ready], [], [], 10)
        byte = os.read(ready, 1) if answered else b""
        os.close(ready)
        if not byte:
            child.kill()
            raise BenchError(f"the server did not start: {child.communicate()[1].strip()}")

    def device(self):
        return ["-chardev", f"socket,path={self.socket},id=iv0",
                "-device", f"ivshmem-doorbell,chardev=iv0,vectors={self.vectors}"]

    def spawn(self, command, cpu=None):
        child = start(pinned(command, cpu), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                      text=True, errors="replace")
        self.children.append(child)
        return child

    def guest(self, image, arguments, cpu=None, **more):
        return self.spawn(qemu_command(image, arguments, self.device(), **more), cpu)


def finish(children, timeout, success=GUEST_SUCCESS):
    """Waits for all; returns what each printed. Raises where one fails or time runs out."""
    end = time.monotonic() + timeout
    outputs = []
    for child in children:
        try:
            text, _ = child.communicate(timeout=max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            for other in children:
                other.kill()
            said = " | ".join(c.communicate()[0][-300:].strip() for c in children)
            raise BenchError(f"guests did not end within {timeout} s; they said: {said}") from None
        if child.returncode != success:
            for other in children:
                other.kill()
            raise BenchError(f"{child.args[-1]}: exit status {child.returncode}; it said: "
                             f"{text[-400:].strip()}")
        outputs.append(text)
    return outputs


def run_pair(build, image, arguments, machine="q35", cpus=(None, None), size="64M", timeout=120):
    """Two guests of one image; arguments: one text for both or a pair. Returns both outputs."""
    if isinstance(arguments, str):
        arguments = (arguments, arguments)
    with Ground(build, size=size) as ground:
        children = [ground.guest(image, words, cpu=cpu, machine=machine)
                    for words, cpu in zip(arguments, cpus)]
        return finish(children, timeout)
