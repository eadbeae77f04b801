# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of ivshmem-server share: starting it, and speaking to it byte by byte.

Each test file is run by itself and ends by calling main(): exit 0 passed, 1 failed, 77 skipped."""
import array
import ctypes
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("ISTHMUS_BUILD", "build/dev")
SERVER = os.path.join(BUILD, "bin", "ivshmem-server")
LIBC = ctypes.CDLL(None)
SECONDS = 20  # until a test gives up on something that should happen at once
VERSION, REGION, REFUSED_IDS, REFUSED_FILES = 0, -1, -2, -3


def wait_for(what, condition, seconds=SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what}: not after {seconds} s")


def die_with_parent():
    """In a child: nothing outlives a test that is killed."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def readable(fd, seconds=0.0):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(int(seconds * 1000)))


def ring(fd):
    os.write(fd, struct.pack("=Q", 1))


def rung(fd, seconds=0.0):
    """How often an eventfd was rung; empties it."""
    return struct.unpack("=Q", os.read(fd, 8))[0] if readable(fd, seconds) else 0


class Server:
    """A server in the foreground, in a folder of its own."""
    count = 0

    def __init__(self, *args, shm=True, limits=None, user=None, folder=None, wait=True,
                 before=()):
        Server.count += 1
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="ivshmem-server-test.")
        program = SERVER
        if user is not None:
            os.chown(self.folder, user, user)
            # The build may lie where that user may not go, in root's home say.
            program = shutil.copy(SERVER, self.folder)
        self.path = os.path.join(self.folder, "socket")
        self.shm = f"isthmus-test-{os.getpid()}-{Server.count}"
        ready, done = os.pipe()
        command = list(before) + [program, "-F", "-S", self.path, "--ready-fd", str(done)]
        command += ["-M", self.shm] if shm else []
        self.log_path = os.path.join(self.folder, f"log.{Server.count}")

        def prepare():
            die_with_parent()
            if limits:
                limits()

        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command + [str(a) for a in args], pass_fds=[done], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, user=user, preexec_fn=prepare)
        os.close(done)
        if wait:
            came = readable(ready, SECONDS) and os.read(ready, 1)
            if came != b"\n":
                self.process.kill()
                self.process.wait()
                said = self.log()
                self.clear()
                raise AssertionError(f"the server did not start: {said}")
        os.close(ready)

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def wait_log(self, text):
        wait_for(f"'{text}' in the server's log", lambda: text in self.log())

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def shm_path(self):
        return "/dev/shm/" + self.shm

    def alive(self):
        return self.process.poll() is None

    def kill(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.alive():
            self.kill(number)
            with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "T":
                    self.kill(signal.SIGCONT)
        try:
            return self.process.wait(SECONDS)
        finally:
            if self.alive():
                self.process.kill()
                self.process.wait()

    def remove(self):
        """Ends it: in good order, and (under a sanitizer) without a complaint."""
        try:
            assert self.stop() == 0, f"the server ended with {self.process.returncode}: {self.log()}"
        finally:
            self.clear()

    def clear(self):
        if os.path.exists(self.shm_path()):
            os.unlink(self.shm_path())
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Closed(Exception):
    """The server closed the connection."""


class Client:
    """A client that reads one message at a time and believes nothing. With keep=False it closes
    peers' eventfds at once (there are quadratically many)."""

    def __init__(self, server, vectors=None, connect=True, keep=True):
        self.keep = keep
        self.sock = socket.socket(socket.AF_UNIX)
        self.path = server if isinstance(server, str) else server.path
        self.id = None
        self.region = None
        self.own = []
        self.peers = {}
        if connect:
            self.sock.connect(self.path)
        if vectors is not None:
            self.handshake(vectors)

    def fileno(self):
        return self.sock.fileno()

    def receive(self, seconds=SECONDS):
        """(value, fd or None) of the next message; 8 bytes and at most one fd."""
        if not readable(self.sock, seconds):
            raise AssertionError("no message came")
        try:
            data, fds, flags, _ = socket.recv_fds(self.sock, 8, 4)
        except ConnectionResetError:
            raise Closed() from None
        if not data:
            raise Closed()
        assert len(data) == 8, f"a message of {len(data)} bytes"
        assert not flags & socket.MSG_CTRUNC, "descriptors lost"
        assert len(fds) <= 1, f"{len(fds)} descriptors in one message"
        return struct.unpack("<q", data)[0], (fds[0] if fds else None)

    def nothing(self, seconds=0.05):
        """Nothing has come, and nothing comes."""
        return not readable(self.sock, seconds)

    def pending(self):
        """All messages that have come, as [(value, has fd)]; keeps the fds of peers."""
        got = []
        while readable(self.sock):
            value, fd = self.receive()
            got.append((value, fd is not None))
            self.take(value, fd)
        return got

    def until(self, peers, vectors):
        """Takes messages until so many peers are known whole."""
        while sum(map(len, self.peers.values())) < peers * vectors:
            self.take(*self.receive())
        assert {len(fds) for fds in self.peers.values()} == {vectors}

    def take(self, value, fd):
        if fd is None:
            for old in self.peers.pop(value, []):
                if old is not None:
                    os.close(old)
        elif value == self.id:
            self.own.append(fd)
        elif self.keep:
            self.peers.setdefault(value, []).append(fd)
        else:
            os.close(fd)
            self.peers.setdefault(value, []).append(None)

    def greeting(self):
        assert self.receive() == (VERSION, None), "the version comes first"
        value, fd = self.receive()
        assert fd is None and 0 <= value <= 65535, "then the id"
        self.id = value
        value, fd = self.receive()
        assert value == REGION and fd is not None, "then the region"
        self.region = fd

    def handshake(self, vectors):
        self.greeting()
        while len(self.own) < vectors:
            value, fd = self.receive()
            assert fd is not None, "only vectors come until the own ones are there"
            self.take(value, fd)
        for peer, fds in self.peers.items():
            assert len(fds) == vectors, f"{len(fds)} vectors of peer {peer}"

    def joined(self, peer, vectors):
        """Takes the news of one peer that joins."""
        for _ in range(vectors):
            value, fd = self.receive()
            assert value == peer and fd is not None, f"{(value, fd)} instead of peer {peer}"
            self.take(value, fd)

    def left(self, peer):
        got = self.receive()
        assert got == (peer, None), f"{got} instead of peer {peer} leaving"
        self.take(*got)

    def closed(self):
        """Reads until the server closes."""
        try:
            while True:
                self.take(*self.receive())
        except Closed:
            return True

    def close(self):
        self.sock.close()
        for fd in self.own + [fd for fds in self.peers.values() for fd in fds if fd is not None]:
            os.close(fd)
        if self.region is not None:
            os.close(self.region)
        self.own, self.peers, self.region = [], {}, None


class Case(unittest.TestCase):
    """Gives tests servers and clients that go away with them."""

    def server(self, *args, **kwargs):
        server = Server(*args, **kwargs)
        self.addCleanup(server.remove)
        return server

    def client(self, *args, **kwargs):
        client = Client(*args, **kwargs)
        self.addCleanup(client.close)
        return client

    def folder(self):
        folder = tempfile.mkdtemp(prefix="ivshmem-server-test.")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def start(self, *args, **kwargs):
        """Runs the server to its end, for starts that fail and daemons."""
        return subprocess.run([SERVER] + [str(a) for a in args], capture_output=True, text=True,
                              timeout=SECONDS, check=False, **kwargs)

    def refused(self, *args, says=(), **kwargs):
        """A start that must fail, with one line that has all of `says`."""
        result = self.start(*args, **kwargs)
        self.assertEqual(result.returncode, 1, result)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, f"one line: {result.stderr}")
        for text in says:
            self.assertIn(text, result.stderr)
        return result.stderr


def seals(fd):
    import fcntl
    return fcntl.fcntl(fd, 1034)  # F_GET_SEALS


def main():
    die_with_parent()
    program = unittest.main(verbosity=2, exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        print("SKIP: " + result.skipped[0][1])
        sys.exit(77)
    sys.exit(0)
