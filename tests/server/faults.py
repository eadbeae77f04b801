# SPDX-License-Identifier: BSD-2-Clause
"""Clients that misbehave, and limits that are reached: each hurts only who caused it."""
import os
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (Case, REFUSED_FILES, SECONDS, SERVER, die_with_parent, main,  # noqa: E402
                     ring, rung, wait_for)


# Puts 400 descriptors under way, says so, and waits.
HOLD_DESCRIPTORS = """
import socket, time
ends = [socket.socketpair() for _ in range(4)]
for a, _ in ends:
    for _ in range(100):
        socket.send_fds(a, [b"x"], [0])
print("!", end="", flush=True)
time.sleep(60)
"""


def files(limit):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 32), limit))


class Faults(Case):
    def still_serves(self, server, vectors=1):
        a, b = self.client(server, vectors), self.client(server, vectors)
        while b.id not in a.peers or len(a.peers[b.id]) < vectors:
            a.take(*a.receive())
        ring(a.peers[b.id][0])
        self.assertEqual(rung(b.own[0], 5), 1)
        a.close()
        b.close()

    def test_connects_and_closes_at_once(self):
        server = self.server()
        for _ in range(300):
            self.client(server).close()
        self.still_serves(server)

    def test_one_that_had_closed_before_it_was_served_is_not_spoken_of(self):
        server = self.server()
        witness = self.client(server, 1)
        server.kill(signal.SIGSTOP)
        for _ in range(20):
            self.client(server).close()
        server.kill(signal.SIGCONT)
        late = self.client(server, 1)
        self.assertEqual(late.id, 1, "their ids were never used")
        self.assertEqual(witness.receive()[0], 1)
        self.assertTrue(witness.nothing())

    def test_closes_in_the_handshake(self):
        server = self.server("-n", 8)
        witness = self.client(server, 8)
        for count in range(11):
            client = self.client(server)
            for _ in range(count):
                client.receive()
            client.close()
        self.still_serves(server, 8)
        joins, leaves = [], []

        def all_left():
            for value, has_fd in witness.pending():
                (joins if has_fd else leaves).append(value)
            return set(leaves) == set(joins)
        wait_for("all to have left", all_left)
        self.assertEqual(len(leaves), len(set(leaves)), "each leaves once")

    def test_closes_with_unread_messages(self):
        server = self.server("-n", 64)
        for _ in range(20):
            self.client(server, 64).sock.close()
        self.still_serves(server, 64)

    def test_sends_bytes(self):
        server = self.server()
        witness = self.client(server, 1)
        rude = self.client(server, 1)
        witness.joined(1, 1)
        rude.sock.send(b"GET / HTTP/1.0\r\n\r\n" * 100)
        self.assertTrue(rude.closed())
        witness.left(1)
        server.wait_log("disconnected peer 1")
        self.assertIn("sent bytes", server.log())
        self.still_serves(server)

    def test_misbehaving_in_a_loop_does_not_fill_the_disk(self):
        server = self.server()
        start, count = time.monotonic(), 0
        # A hundred lines at once and ten a second are said: however slow this is, more than that came.
        while count < 400 or count < 300 + 10 * (time.monotonic() - start):
            count += 1
            rude = self.client(server, 1, keep=False)
            rude.sock.send(b"x")
            self.assertTrue(rude.closed())
        self.assertLess(server.log().count("\n"), count - 100)
        time.sleep(0.3)
        self.client(server, 1).sock.send(b"x")
        wait_for("how many were left out", lambda: "left out" in server.log())

    def test_sends_descriptors(self):
        server = self.server()
        self.client(server, 1).close()
        before = wait_for("a leave", lambda: server.files())
        rude = self.client(server, 1)
        with open("/dev/null", "rb") as null:
            socket.send_fds(rude.sock, [b"x" * 8], [null.fileno()] * 50)
        self.assertTrue(rude.closed())
        wait_for("descriptors closed", lambda: server.files() <= before)
        self.still_serves(server)

    def test_shuts_down_one_way(self):
        server = self.server()
        witness, half = self.client(server, 1), self.client(server, 1)
        witness.joined(1, 1)
        half.sock.shutdown(socket.SHUT_WR)
        witness.left(1)
        half = self.client(server, 1)
        half.sock.shutdown(socket.SHUT_RD)
        self.still_serves(server)

    def test_never_reads(self):
        """It is let lie for long, loses nothing till then, and is disconnected with a line."""
        server = self.server("-n", 1)
        deaf = self.client(server)
        joins = 0
        while "disconnected peer 0" not in server.log():
            for _ in range(100):
                self.client(server, 1, keep=False).close()
            joins += 100
            self.assertLess(joins, 6000, "it is let go for ever")
        self.assertIn("doesn't read", server.log())
        self.assertGreater(joins, 1000, "a stopped QEMU would have been cut off")
        self.assertEqual(server.log().count("disconnected"), 1)
        self.assertTrue(deaf.closed())
        self.still_serves(server)

    def test_one_who_reads_is_never_cut_off(self):
        server = self.server("-n", 1)
        reader = self.client(server, 1, keep=False)
        for _ in range(2200):
            client = self.client(server, 1, keep=False)
            reader.joined(client.id, 1)
            client.close()
            reader.left(client.id)
        self.assertEqual(server.log(), "")

    def test_a_slow_reader_misses_nothing(self):
        """QEMU's server dropped messages silently after 278 of them."""
        server = self.server("-n", 4)
        slow = self.client(server, 4)
        held = [self.client(server, 4, keep=False) for _ in range(5)]
        before = None
        for i in range(400):
            client = self.client(server, 4, keep=False)
            client.close()
            if i == 200:
                before = server.files()
        self.assertLess(server.files(), before + 20, "the dead peers' eventfds are not kept for it")
        last = self.client(server, 4)
        state = {}
        while len(state.get(last.id, "")) < 4:
            value, fd = slow.receive()
            if fd is not None:
                state[value] = state.get(value, "") + "v"
                os.close(fd)
            else:
                self.assertEqual(state.pop(value), "vvvv", "a leave of one it knew whole")
        self.assertEqual(sorted(state), sorted(c.id for c in held + [last]))
        self.assertEqual(set(state.values()), {"vvvv"})

    def test_a_stopped_reader_of_many_vectors(self):
        server = self.server("-n", 64)
        slow = self.client(server, keep=False)
        for _ in range(100):
            self.client(server, 64, keep=False).close()
        crowd = [self.client(server, 64, keep=False) for _ in range(30)]
        slow.handshake(64)
        while sum(map(len, slow.peers.values())) < 30 * 64:
            slow.take(*slow.receive())
        self.assertEqual(sorted(slow.peers), sorted(c.id for c in crowd))
        self.assertNotIn("disconnected", server.log())

    def test_out_of_descriptors(self):
        """One is refused with a message that QEMU understands; when others leave, there is room."""
        server = self.server("-n", 16, limits=files(100))
        served = []
        while True:
            client = self.client(server)
            first, fd = client.receive()
            self.assertIsNone(fd)
            if first:
                break
            client.id, _ = client.receive()
            client.take(*client.receive())
            while len(client.own) < 16:
                client.take(*client.receive())
            served.append(client)
        self.assertEqual(first, REFUSED_FILES)
        self.assertTrue(client.closed())
        self.assertGreaterEqual(len(served), 4, "100 descriptors, 17 for each")
        self.assertEqual(server.log().count("refused"), 1)
        for peer in served[1:]:
            ring(served[0].peers[peer.id][15]) if peer.id in served[0].peers else None
        served.pop().close()
        wait_for("the leave", lambda: server.files() < 90)
        self.assertEqual(self.client(server, 16).own.__len__(), 16)
        self.assertTrue(server.alive())

    def test_not_a_descriptor_left(self):
        """Not even the connection can be taken: it is refused all the same."""
        server = self.server("-n", 0, limits=files(40))
        served, refused = [], 0
        for _ in range(60):
            client = self.client(server)
            first, _ = client.receive()
            if first == REFUSED_FILES:
                refused += 1
                self.assertTrue(client.closed())
            else:
                served.append(client)
        self.assertGreater(len(served), 25)
        self.assertGreater(refused, 20)
        self.assertIn("out of file descriptors", server.log())
        for client in served[:3]:
            client.close()
        wait_for("the leaves", lambda: server.files() < 39)
        self.client(server).greeting()

    def test_a_crowd_beyond_the_limit_does_not_spin(self):
        server = self.server("-n", 0, limits=files(40))
        crowd = [self.client(server) for _ in range(60)]
        self.assertTrue(crowd)
        wait_for("refusals", lambda: server.log().count("refused") >= 20)
        before = cpu_seconds(server)
        time.sleep(0.5)
        self.assertLess(cpu_seconds(server) - before, 0.3, "it waits, and doesn't spin")

    def test_the_limit_is_raised(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        server = self.server(limits=files(hard))
        soft, _ = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        self.assertEqual(soft, hard)

    def test_beyond_1024_descriptors(self):
        """QEMU's server aborts past FD_SETSIZE."""
        server = self.server("-n", 128)
        clients = [self.client(server, 128, keep=False) for _ in range(12)]
        self.assertGreater(server.files(), 1500)
        clients[0].close()
        self.still_serves(server, 128)

    def unprivileged(self, *args, **kwargs):
        """A server of a user of its own, for whom limits count."""
        if os.geteuid():
            self.skipTest("needs root, to run the server as another user")
        user = 100000 + os.getpid() % 50000
        server = self.server(*args, "--memfd", shm=False, user=user, **kwargs)
        os.chmod(server.path, 0o777)
        return server, user

    def test_those_who_do_not_read_leave_the_others_their_descriptors(self):
        """A user's descriptors under way count against its limit, whoever doesn't read them."""
        server, _ = self.unprivileged("-n", 64, limits=files(300))
        deaf = [self.client(server) for _ in range(3)]
        reader = self.client(server, 64, keep=False)
        self.assertEqual(sorted(reader.peers), [0, 1, 2])
        for client in deaf:
            client.handshake(64)
            client.until(3, 64)

    def test_descriptors_in_flight(self):
        """At that limit (ETOOMANYREFS) all waits, and nothing is lost."""
        server, user = self.unprivileged("-n", 16, limits=files(200))
        holder = subprocess.Popen([sys.executable, "-c", HOLD_DESCRIPTORS], user=user,
                                  stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        try:
            self.assertEqual(holder.stdout.read(1), b"!")
            waiting = [self.client(server) for _ in range(3)]
            self.assertEqual(waiting[0].receive()[0], 0)
            self.assertEqual(waiting[0].receive()[0], 0)
            self.assertTrue(waiting[0].nothing(0.2), "the region can't be sent")
            before = cpu_seconds(server)
            time.sleep(0.3)
            self.assertLess(cpu_seconds(server) - before, 0.2, "it waits, and doesn't spin")
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()
        waiting[0].id = 0
        waiting[0].region = waiting[0].receive()[1]
        for client in waiting[1:]:
            client.greeting()
        for client in waiting:
            client.until(2, 16)
        self.assertEqual(server.log(), "")

    def test_log_that_nobody_reads(self):
        reader, writer = os.pipe()
        path = os.path.join(self.server("-n", 1).folder, "unread")
        process = subprocess.Popen(
            [SERVER, "-F", "-v", "--memfd", "-S", path], stdin=subprocess.DEVNULL, stderr=writer,
            preexec_fn=die_with_parent)
        os.close(writer)
        try:
            wait_for("the socket", lambda: os.path.exists(path))
            for _ in range(2000):  # two lines each: more than a pipe holds
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(SECONDS)
                    client.connect(path)
                    self.assertEqual(len(client.recv(8)), 8)
            os.read(reader, 1 << 20)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.settimeout(SECONDS)
                self.assertEqual(len(client.recv(8)), 8)
                self.assertIn(b"lines that nobody was reading", os.read(reader, 1 << 20))
        finally:
            os.close(reader)  # wakes a server that waits for it
            process.terminate()
            process.wait(SECONDS)

    def test_descriptors_stay_flat(self):
        server = self.server("-n", 8)
        witness = self.client(server, 8, keep=False)
        before = server.files()
        for _ in range(200):
            self.client(server, 8).close()
        witness.pending()
        wait_for("descriptors back", lambda: server.files() <= before)


def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
