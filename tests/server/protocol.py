# SPDX-License-Identifier: BSD-2-Clause
"""Every rule of the protocol, as a client sees it (docs/server-protocol.md)."""
import fcntl
import mmap
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Case, main, readable, ring, rung  # noqa: E402


class Protocol(Case):
    def test_order_alone(self):
        for vectors in 1, 8, 64, 256:
            server = self.server("-n", vectors, "-l", "64K")
            client = self.client(server)
            client.greeting()
            self.assertEqual(client.id, 0)
            for _ in range(vectors):
                value, fd = client.receive()
                self.assertEqual(value, 0)
                client.take(value, fd)
            self.assertTrue(client.nothing())
            self.assertEqual(len(client.own), vectors)

    def test_a_newcomer_gets_its_peers_whole_then_itself(self):
        server = self.server("-n", 3)
        for i in range(4):
            client = self.client(server)
            client.greeting()
            self.assertEqual(client.id, i)
            values = [client.receive() for _ in range(3 * (i + 1))]
            self.assertEqual([v for v, _ in values], [j for j in range(i + 1) for _ in range(3)])
            for value, fd in values:
                self.assertIsNotNone(fd)
                client.take(value, fd)
            self.assertTrue(client.nothing())

    def test_peers_are_told_of_a_newcomer_before_it_is_told_of_them(self):
        server = self.server("-n", 4)
        old = [self.client(server, 4) for _ in range(8)]
        for client in old:
            client.until(7, 4)
        for _ in range(20):
            new = self.client(server)
            new.greeting()
            new.take(*new.receive())
            for client in old:
                self.assertEqual(client.pending(), [(new.id, True)] * 4)
            new.close()
            for client in old:
                client.left(new.id)

    def test_a_vector_is_the_one_of_its_index(self):
        server = self.server("-n", 16)
        a, b = self.client(server, 16), self.client(server, 16)
        a.joined(b.id, 16)
        for i in 0, 7, 15:
            ring(b.peers[a.id][i])
            self.assertEqual([k for k, fd in enumerate(a.own) if rung(fd)], [i])
            ring(a.peers[b.id][i])
            ring(a.peers[b.id][i])
            self.assertEqual([rung(fd) for fd in b.own], [2 if k == i else 0 for k in range(16)])
            ring(a.own[i])
            self.assertEqual([k for k, fd in enumerate(a.own) if rung(fd)], [i])

    def test_eventfds_do_not_block(self):
        client = self.client(self.server("-n", 2), 2)
        for fd in client.own:
            self.assertTrue(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)

    def test_all_have_one_region(self):
        server = self.server("-l", "1M")
        a, b = self.client(server, 1), self.client(server, 1)
        self.assertEqual(os.fstat(a.region).st_size, 1 << 20)
        self.assertEqual(os.fstat(a.region).st_ino, os.fstat(b.region).st_ino)
        with mmap.mmap(a.region, 0) as one, mmap.mmap(b.region, 0) as other:
            self.assertEqual(one[:], bytes(1 << 20))
            one[12345:12349] = b"here"
            self.assertEqual(other[12345:12349], b"here")

    def test_a_leave_is_told_once_to_all_who_stay(self):
        server = self.server("-n", 2)
        clients = [self.client(server, 2) for _ in range(5)]
        for client in clients:
            client.until(4, 2)
        clients[2].close()
        for client in clients[:2] + clients[3:]:
            client.left(2)
        for client in clients[:2] + clients[3:]:
            self.assertTrue(client.nothing(0.02))
        late = self.client(server, 2)
        self.assertNotIn(2, late.peers)
        self.assertEqual(sorted(late.peers), [0, 1, 3, 4])

    def test_many_leave_at_once(self):
        server = self.server("-n", 2)
        stays = self.client(server, 2)
        others = [self.client(server, 2) for _ in range(30)]
        stays.until(30, 2)
        for client in others:
            client.sock.close()
        gone = [stays.receive() for _ in range(30)]
        self.assertEqual(sorted(gone), [(i, None) for i in range(1, 31)])
        self.assertTrue(stays.nothing())

    def test_without_vectors_nobody_hears_of_anybody(self):
        server = self.server("-n", 0)
        a = self.client(server)
        a.greeting()
        b = self.client(server)
        b.greeting()
        self.assertEqual((a.id, b.id), (0, 1))
        b.close()
        self.assertTrue(a.nothing(0.1))

    def test_an_id_told_to_have_left_stays_unused(self):
        server = self.server("-n", 1)
        witness = self.client(server, 1)
        seen = set()
        for _ in range(50):
            client = self.client(server, 1)
            self.assertNotIn(client.id, seen)
            seen.add(client.id)
            client.close()
        witness.pending()

    def test_an_id_comes_back_once_nobody_remembers_it(self):
        server = self.server("-n", 1)
        a, b = self.client(server, 1), self.client(server, 1)
        a.joined(1, 1)
        a.close()
        b.left(0)
        c = self.client(server, 1)
        self.assertEqual(c.id, 2, "b was told that 0 has left")
        b.close()
        c.left(1)
        d = self.client(server, 1)
        self.assertEqual(d.id, 0, "c never heard of 0, but did of 1")
        c.close()
        d.left(2)
        d.close()
        e = self.client(server, 1)
        self.assertEqual(e.id, 0, "all have gone: begin anew")

    def test_a_restarted_peer_has_new_eventfds(self):
        server = self.server("-n", 1)
        stays, goes = self.client(server, 1), self.client(server, 1)
        stays.joined(1, 1)
        ring(stays.peers[1][0])
        goes.close()
        stays.left(1)
        again = self.client(server, 1)
        self.assertEqual(rung(again.own[0]), 0)

    def test_hundreds_of_clients(self):
        server = self.server("-n", 2)
        clients = [self.client(server, 2, keep=i in (0, 299)) for i in range(300)]
        self.assertEqual([c.id for c in clients], list(range(300)))
        for client in clients:
            client.until(299, 2)
        ring(clients[0].peers[299][1])
        self.assertEqual(rung(clients[299].own[1]), 1)
        ring(clients[299].peers[0][0])
        self.assertEqual(rung(clients[0].own[0]), 1)
        for client in clients:
            client.close()
        self.assertEqual(self.client(server, 2).peers, {})

    def test_a_crowd_in_the_backlog(self):
        server = self.server("-n", 1)
        server.kill(signal.SIGSTOP)
        waiting = [self.client(server) for _ in range(100)]
        server.kill(signal.SIGCONT)
        for client in waiting:
            client.handshake(1)
        self.assertEqual(sorted(c.id for c in waiting), list(range(100)))

    def test_256_vectors_among_ten(self):
        server = self.server("-n", 256)
        clients = [self.client(server, 256, keep=i == 3) for i in range(10)]
        for client in clients:
            client.until(9, 256)
        ring(clients[3].peers[9][255])
        self.assertEqual([k for k, fd in enumerate(clients[9].own) if readable(fd)], [255])


if __name__ == "__main__":
    main()
