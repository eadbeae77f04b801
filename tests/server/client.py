# SPDX-License-Identifier: BSD-2-Clause
"""The client library against servers that keep the rules and servers that break them, one by one."""
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, Case, SECONDS, die_with_parent, main, ring, rung  # noqa: E402

PROBE = os.path.join(BUILD, "bin", "client_probe")


class Probe:
    """A process with the client library in it."""

    def __init__(self, path, minimum=1, maximum=0, timeout=20000, files=None):
        def prepare():
            die_with_parent()
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        self.process = subprocess.Popen([PROBE, path, str(minimum), str(maximum), str(timeout)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=prepare)

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def opened(self):
        """(0, '') or (-errno, the error's line)."""
        word, err, text = self.line().split(" ", 2)
        assert word == "open"
        return int(err), text

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.line()

    def event(self):
        assert self.ask("wait") == "wait 1"
        return self.ask("next")

    def end(self):
        """Ends it; nothing may be left open."""
        self.process.stdin.close()
        assert self.line() == "leaked 0"
        assert self.process.wait(SECONDS) == 0

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.stdout.close()


class Fake:
    """A server that says whatever a test wants it to."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "fake")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.listener.settimeout(SECONDS)
        self.sock = None
        self.fds = []

    def accept(self):
        self.sock, _ = self.listener.accept()

    def region(self, size=1 << 20):
        fd = os.memfd_create("fake")
        os.ftruncate(fd, size)
        self.fds.append(fd)
        return fd

    def eventfd(self):
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.fds.append(fd)
        return fd

    def send(self, value, *fds):
        data = value if isinstance(value, bytes) else struct.pack("<q", value)
        try:
            if fds:
                socket.send_fds(self.sock, [data], fds)
            else:
                self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has had enough already

    def greet(self, own=3, vectors=1):
        self.send(0)
        self.send(own)
        self.send(-1, self.region())
        for _ in range(vectors):
            self.send(own, self.eventfd())

    def remove(self):
        for fd in self.fds:
            os.close(fd)
        self.listener.close()
        if self.sock:
            self.sock.close()


class Library(Case):
    def probe(self, path, *args, **kwargs):
        probe = Probe(path, *args, **kwargs)
        self.addCleanup(probe.remove)
        return probe

    def fake(self):
        fake = Fake(self.folder())
        self.addCleanup(fake.remove)
        return fake

    def begin(self, messages, **kwargs):
        """A client on a server that sends these messages."""
        fake = self.fake()
        probe = self.probe(fake.path, **kwargs)
        fake.accept()
        for message in messages:
            message = message if isinstance(message, tuple) else (message,)
            fake.send(message[0], *[fd(fake) for fd in message[1:]])
        return fake, probe

    def failed(self, fake, probe, says, err):
        got, text = probe.opened()
        self.assertEqual((-got, says in text), (err, True), f"{got} {text}")
        self.assertTrue(text.startswith(f"ivshmem server {fake.path}: it "), text)
        probe.end()

    def broken(self, says, messages, err=errno.EPROTO, close=False, **kwargs):
        """The last of these messages must end the handshake."""
        fake, probe = self.begin(messages, **kwargs)
        if close:
            fake.sock.close()
        self.failed(fake, probe, says, err)

    def broken_later(self, says, *messages):
        """A rule broken after the handshake ends the connection, and leaves the rest usable."""
        fake = self.fake()
        probe = self.probe(fake.path)
        fake.accept()
        fake.greet(3)
        fake.send(5, fake.eventfd())
        self.assertEqual(probe.opened()[0], 0)
        while "5" not in probe.ask("peers"):
            self.assertEqual(probe.event(), "joined 5 0")
        for message in messages:
            message = message if isinstance(message, tuple) else (message,)
            fake.send(message[0], *[fd(fake) for fd in message[1:]])
        for _ in range(1000):
            answer = probe.event()
            if answer.startswith("error"):
                break
        self.assertIn(says, answer)
        self.assertIn("error -71 ", answer)
        self.assertEqual(probe.ask("next"), answer, "and so ever after")
        self.assertIn("region=1 fd=0", probe.ask("state"))
        self.assertEqual(probe.ask("notify 5 0"), "notify 0")
        self.assertEqual(rung(fake.fds[2]), 1)
        probe.end()

    def test_with_the_real_server(self):
        for options, sealed in ([], 0), (["--memfd"], 1):
            server = self.server("-n", 4, "-l", "1M", *options, shm=not options)
            a = self.probe(server.path, 4)
            self.assertEqual(a.opened(), (0, ""))
            self.assertEqual(a.ask("state"),
                             f"id=0 size=1048576 sealed={sealed} vectors=4 region=1 fd=1")
            self.assertEqual(a.ask("peers"), "peers")
            self.assertEqual(a.ask("next"), "none")
            b = self.probe(server.path, 1)
            self.assertEqual(b.opened(), (0, ""))
            self.assertEqual(b.ask("peers"), "peers 0:4")
            self.assertEqual(a.event(), "joined 1 0")
            self.assertEqual([a.event() for _ in range(3)], [f"vector 1 {i}" for i in (1, 2, 3)])
            self.assertEqual(a.ask("notify 1 2"), "notify 0")
            self.assertEqual(a.ask("notify 1 2"), "notify 0")
            self.assertEqual([b.ask(f"drain {i}") for i in range(4)],
                             ["drain 0", "drain 0", "drain 2", "drain 0"])
            self.assertEqual(a.ask("notify 0 3"), "notify 0")
            self.assertEqual(a.ask("drain 3"), "drain 1")
            for absent in "1 4", "2 0", "65536 0", "4294967295 4294967295":
                self.assertEqual(a.ask("notify " + absent), "notify -2")
            b.end()
            self.assertEqual(a.event(), "left 1 0")
            self.assertEqual(a.ask("notify 1 0"), "notify -2")
            self.assertEqual(server.stop(), 0)
            self.assertIn("closed the connection", a.event())
            a.end()

    def test_fewer_vectors_than_the_server_gives(self):
        server = self.server("-n", 8)
        other = self.client(server, 8)
        probe = self.probe(server.path, 2, 2)
        self.assertEqual(probe.opened(), (0, ""))
        self.assertEqual(probe.ask("peers"), "peers 0:2")
        self.assertIn("vectors=2", probe.ask("state"))
        other.close()
        while (answer := probe.ask("next")) == "none":
            time.sleep(0.01)
        self.assertEqual(answer, "left 0 0")
        probe.end()

    def test_more_vectors_than_the_server_gives(self):
        server = self.server("-n", 2)
        probe = self.probe(server.path, 3, timeout=1000)
        got, text = probe.opened()
        self.assertEqual((got, "has not sent our vectors in time" in text), (-errno.ETIMEDOUT, True))
        probe.end()

    def test_a_server_without_vectors(self):
        server = self.server("-n", 0)
        probe = self.probe(server.path, 0)
        self.assertEqual(probe.opened(), (0, ""))
        self.assertIn("vectors=0 region=1", probe.ask("state"))
        self.assertEqual(probe.ask("drain 0")[:6], "drain ")
        probe.end()

    def test_hundreds_of_vectors_and_peers(self):
        server = self.server("-n", 256)
        peers = [self.client(server, 256, keep=False) for _ in range(20)]
        probe = self.probe(server.path, 256)
        self.assertEqual(probe.opened(), (0, ""))
        self.assertEqual(probe.ask("peers"), "peers " + " ".join(f"{c.id}:256" for c in peers))
        probe.end()

    def test_waits_for_as_many_vectors_as_its_peers_have(self):
        fake = self.fake()
        probe = self.probe(fake.path, 1)
        fake.accept()
        fake.greet(3, vectors=0)
        for _ in range(4):
            fake.send(1, fake.eventfd())
        for _ in range(4):
            time.sleep(0.1)
            fake.send(3, fake.eventfd())
        self.assertEqual(probe.opened(), (0, ""))
        self.assertIn("vectors=4", probe.ask("state"))
        probe.end()

    def test_nobody_listens(self):
        folder = self.folder()
        for path, err in ((folder + "/none", errno.ENOENT), (folder + "/stale", errno.ECONNREFUSED)):
            if "stale" in path:
                with socket.socket(socket.AF_UNIX) as stale:
                    stale.bind(path)
            probe = self.probe(path)
            got, text = probe.opened()
            self.assertEqual((-got, f"ivshmem-server -S {path}" in text), (err, True), text)
            probe.end()
        probe = self.probe("/tmp/" + "x" * 200)
        self.assertEqual(probe.opened()[0], -errno.ENAMETOOLONG)
        probe.end()

    def test_bad_options(self):
        for minimum, maximum in (1, 257), (257, 0), (3, 2):
            probe = self.probe("/nowhere", minimum, maximum)
            self.assertEqual(probe.opened()[0], -errno.EINVAL)
            probe.end()

    def test_backlog_full_or_nobody_accepts(self):
        fake = self.fake()
        crowd = []
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            crowd.append(sock)
            if sock.connect_ex(fake.path):
                break
        probe = self.probe(fake.path, timeout=100)
        got, text = probe.opened()
        self.assertEqual((-got, "accepts nobody" in text), (errno.ETIMEDOUT, True), text)
        probe.end()
        for sock in crowd:
            sock.close()

    def test_silence(self):
        region = lambda f: f.region()
        cases = (([], "its version"), ([0], "our id"), ([0, 3], "the region"),
                 ([0, 3, (-1, region)], "our vectors"), ([b"\0\0\0"], "its version"),
                 ([0, b"\3\0\0\0\0\0\0"], "our id"))
        begun = [self.begin(messages, timeout=1500) for messages, _ in cases]
        for (fake, probe), (_, owed) in zip(begun, cases):
            self.failed(fake, probe, f"has not sent {owed} in time", errno.ETIMEDOUT)

    def test_endless_talk(self):
        """Peers that come and go for ever don't stretch the deadline."""
        fake = self.fake()
        probe = self.probe(fake.path, timeout=200)
        fake.accept()
        fake.greet(vectors=0)
        start = time.monotonic()
        fd = fake.eventfd()
        fake.sock.settimeout(SECONDS)
        with self.assertRaises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() < start + SECONDS:
                socket.send_fds(fake.sock, [struct.pack("<q", 9)], [fd])
                fake.sock.sendall(struct.pack("<q", 9))
        self.assertEqual(probe.opened()[0], -errno.ETIMEDOUT)
        probe.end()

    def test_closes(self):
        region = lambda f: f.region()
        event = lambda f: f.eventfd()
        for messages in [], [0], [0, 3], [0, 3, (-1, region)], [0, 3, (-1, region), (2, event)]:
            self.broken("closed the connection", messages, errno.ECONNRESET, close=True)
        self.broken("closed the connection in the middle of a message", [0, b"\3\0"],
                    errno.ECONNRESET, close=True)

    def test_closes_right_after_the_handshake(self):
        fake = self.fake()
        probe = self.probe(fake.path)
        fake.accept()
        fake.greet(3)
        fake.sock.close()
        self.assertEqual(probe.opened(), (0, ""))
        self.assertIn("error -104", probe.ask("next"))
        self.assertIn("id=3", probe.ask("state"))
        self.assertEqual(probe.ask("notify 3 0"), "notify 0")
        self.assertEqual(probe.ask("drain 0"), "drain 1")
        probe.end()

    def test_version(self):
        event = lambda f: f.eventfd()
        self.broken("speaks protocol version 1,", [1])
        self.broken("speaks protocol version -1,", [-1])
        self.broken("speaks protocol version 72057594037927936,", [b"\0\0\0\0\0\0\0\1"])
        self.broken("descriptor with its version", [(0, event)])
        self.broken("all its ids are in use", [-2], errno.EUSERS)
        self.broken("no file descriptors", [-3], errno.EUSERS)

    def test_id(self):
        event = lambda f: f.eventfd()
        for bad in -1, -2, 65536, 1 << 32, -(1 << 63):
            self.broken(f"gave us the id {bad},", [0, bad])
        self.broken("descriptor with our id", [0, (3, event)])

    def test_region_message(self):
        event = lambda f: f.eventfd()
        self.broken("sent 3 with a descriptor where the region", [0, 3, (3, event)])
        self.broken("sent 4 with a descriptor where the region", [0, 3, (4, event)])
        self.broken("sent 4 where the region", [0, 3, 4])
        self.broken("sent -2 where the region", [0, 3, -2])
        self.broken("without its descriptor", [0, 3, -1])

    def test_region_file(self):
        event = lambda f: f.eventfd()
        self.broken("not a file", [0, 3, (-1, event)])
        self.broken("not a file", [0, 3, (-1, lambda f: f.sock.fileno())])
        for size in 0, 4097, 3 << 20:
            self.broken(f"a region of {size} bytes", [0, 3, (-1, lambda f: f.region(size))])

        def read_only(fake):
            with tempfile.NamedTemporaryFile() as file:
                file.truncate(4096)
                fake.fds.append(os.open(file.name, os.O_RDONLY))
            return fake.fds[-1]
        self.broken("not open for reading and writing", [0, 3, (-1, read_only)])

    def test_vectors(self):
        region, event = (lambda f: f.region()), (lambda f: f.eventfd())
        start = [0, 3, (-1, region)]
        self.broken("second region", start + [(-1, region)])
        self.broken("second region", start + [-1])
        self.broken("spoke of the id 65536,", start + [(65536, event)])
        self.broken("spoke of the id -2,", start + [(-2, event)])
        self.broken("we (id 3) have left", start + [3])
        self.broken("peer 4 has left, of which", start + [4])
        self.broken("peer 4 has left, of which", start + [(4, event), 4, 4])
        self.broken("not an eventfd", start + [(4, region)])
        self.broken("vector 1 of peer 4, which is not", start + [(4, event),
                                                                (4, lambda f: f.sock.fileno())])
        self.broken("more than 256 vectors", start + [(4, event)] * 257)

    def test_two_descriptors_in_a_message(self):
        region, event = (lambda f: f.region()), (lambda f: f.eventfd())
        self.broken("more than one descriptor", [0, 3, (-1, region, event)])
        self.broken("more than one descriptor", [0, 3, (-1, region), (4, event, event)])
        self.broken("more than one descriptor", [0, 3, (-1, *[event] * 50)])

    def test_messages_in_parts(self):
        fake = self.fake()
        probe = self.probe(fake.path)
        fake.accept()
        for value, fd in (0, None), (3, None), (-1, fake.region()), (4, fake.eventfd()), \
                (3, fake.eventfd()):
            for i, byte in enumerate(struct.pack("<q", value)):
                fake.send(bytes([byte]), *([fd] if fd is not None and i == 0 else []))
                time.sleep(0.001)
        self.assertEqual(probe.opened(), (0, ""))
        self.assertEqual(probe.ask("peers"), "peers 4:1")
        probe.end()

    def test_merged_messages(self):
        """What one send has put together comes apart again, when no descriptor is lost by it."""
        fake = self.fake()
        probe = self.probe(fake.path)
        fake.accept()
        fake.send(struct.pack("<qq", 0, 3))
        fake.send(-1, fake.region())
        fake.send(4, fake.eventfd())
        fake.send(struct.pack("<q", 5), fake.eventfd())
        fake.send(struct.pack("<qq", 4, 5))
        fake.send(3, fake.eventfd())
        self.assertEqual(probe.opened(), (0, ""))
        self.assertEqual(probe.ask("peers"), "peers")
        probe.end()
        region, event = (lambda f: f.region()), (lambda f: f.eventfd())
        self.broken("peer 5 has left, of which",
                    [0, 3, (-1, region), (struct.pack("<qq", 4, 5), event)])
        self.broken("we (id 3) have left",
                    [0, 3, (-1, region), (struct.pack("<qq", 3, 3), event)], minimum=2)

    def test_descriptor_in_the_later_part_of_a_message(self):
        region, event = (lambda f: f.region()), (lambda f: f.eventfd())
        self.broken("more than one descriptor",
                    [0, 3, (-1, region), (b"\4\0\0\0", event), (b"\0\0\0\0", event)])

    def test_rules_broken_later(self):
        region, event = (lambda f: f.region()), (lambda f: f.eventfd())
        self.broken_later("second region", (-1, region))
        self.broken_later("peer 6 has left, of which", 6)
        self.broken_later("peer 6 has left, of which", (6, event), 6, 6)
        self.broken_later("we (id 3) have left", 3)
        self.broken_later("id 70000", 70000)
        self.broken_later("not an eventfd", (6, region))
        self.broken_later("more than 256 vectors", *[(3, event)] * 256)
        self.broken_later("more than one descriptor", (6, event, event))

    def test_joins_and_leaves(self):
        fake = self.fake()
        probe = self.probe(fake.path)
        fake.accept()
        fake.greet(3)
        self.assertEqual(probe.opened(), (0, ""))
        before = probe.ask("files")
        for peer in 0, 65535, 7:
            fake.send(peer, fake.eventfd())
            self.assertEqual(probe.event(), f"joined {peer} 0")
            fake.send(peer, fake.eventfd())
            self.assertEqual(probe.event(), f"vector {peer} 1")
        fake.send(3, fake.eventfd())
        self.assertEqual(probe.event(), "own 3 1")
        self.assertEqual(probe.ask("peers"), "peers 0:2 7:2 65535:2")
        for peer in 65535, 0, 7:
            fake.send(peer)
            self.assertEqual(probe.event(), f"left {peer} 0")
        self.assertEqual(probe.ask("peers"), "peers")
        self.assertEqual(int(probe.ask("files").split()[1]), int(before.split()[1]) + 1)
        probe.end()

    def test_out_of_descriptors(self):
        fake = self.fake()
        probe = self.probe(fake.path, 200, files=60)
        fake.accept()
        fake.greet(3, 200)
        got, text = probe.opened()
        self.assertEqual((-got, "ulimit -n" in text), (errno.EMFILE, True), text)
        probe.end()

    def test_a_full_counter_does_not_block_the_ringer(self):
        """A hostile holder fills a peer's counter and makes its eventfd blocking."""
        fake = self.fake()
        probe = self.probe(fake.path)
        fake.accept()
        fake.greet(3)
        self.assertEqual(probe.opened(), (0, ""))
        fd = fake.eventfd()
        fake.send(4, fd)
        self.assertEqual(probe.event(), "joined 4 0")
        os.write(fd, struct.pack("=Q", 2 ** 64 - 2))
        os.set_blocking(fd, True)
        self.assertEqual(probe.ask("notify 4 0"), "notify 0")
        os.set_blocking(fake.fds[1], True)
        self.assertEqual(probe.ask("drain 0"), "drain 0", "nor does an empty one the drainer")
        probe.end()

    def test_stopped_in_the_handshake(self):
        """A server that is stopped for a while and goes on in time is no failure."""
        server = self.server()
        server.kill(signal.SIGSTOP)
        probe = self.probe(server.path)
        time.sleep(0.1)
        server.kill(signal.SIGCONT)
        self.assertEqual(probe.opened(), (0, ""))
        probe.end()


if __name__ == "__main__":
    main()
