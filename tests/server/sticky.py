# SPDX-License-Identifier: BSD-2-Clause
"""--sticky-ids: a leaver's id and eventfds wait for the next client, and nobody is told."""
import fcntl
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Case, main, ring, rung, wait_for  # noqa: E402


class Sticky(Case):
    def leave(self, server, client):
        """Closes and waits until the server has seen it."""
        text = f"peer {client.id} left"
        before = server.log().count(text)
        client.close()
        wait_for("the leave", lambda: server.log().count(text) > before)

    def test_the_successor_has_id_and_eventfds(self):
        server = self.server("--sticky-ids", "-v", "-n", 3)
        stays, goes = self.client(server, 3), self.client(server, 3)
        stays.joined(1, 3)
        self.leave(server, goes)
        self.assertTrue(stays.nothing(), "no disconnect")
        again = self.client(server, 3)
        self.assertEqual(again.id, 1)
        self.assertTrue(stays.nothing(), "no second set of eventfds either")
        for i in range(3):
            ring(stays.peers[1][i])
            self.assertEqual([rung(fd) for fd in again.own], [i == k for k in range(3)])
            ring(again.peers[0][i])
            self.assertEqual([rung(fd) for fd in stays.own], [i == k for k in range(3)])

    def test_eventfds_are_drained(self):
        server = self.server("--sticky-ids", "-v", "-n", 2)
        stays, goes = self.client(server, 2), self.client(server, 2)
        stays.joined(1, 2)
        ring(stays.peers[1][0])
        self.leave(server, goes)
        ring(stays.peers[1][1])
        ring(stays.peers[1][1])
        again = self.client(server, 2)
        self.assertEqual([rung(fd) for fd in again.own], [0, 0])
        ring(stays.peers[1][1])
        self.assertEqual([rung(fd) for fd in again.own], [0, 1])

    def test_blocking_eventfds_do_not_hang_the_server(self):
        """O_NONBLOCK is everybody's: QEMU clears it, and a read of an empty eventfd would block."""
        server = self.server("--sticky-ids", "-v", "-n", 2)
        stays, goes = self.client(server, 2), self.client(server, 2)
        stays.joined(1, 2)
        for fd in stays.peers[1]:
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_RDWR)
        self.leave(server, goes)
        again = self.client(server, 2)
        self.assertEqual(again.id, 1)
        for fd in again.own:
            self.assertTrue(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK, "as new")

    def test_the_lowest_vacant_id_first(self):
        server = self.server("--sticky-ids", "-v")
        clients = [self.client(server, 1) for _ in range(5)]
        for i in 3, 1, 2:
            self.leave(server, clients[i])
        self.assertEqual([self.client(server, 1).id for _ in range(4)], [1, 2, 3, 5])

    def test_a_newcomer_is_told_of_the_present_only(self):
        server = self.server("--sticky-ids", "-v", "-n", 2)
        clients = [self.client(server, 2) for _ in range(4)]
        self.leave(server, clients[2])
        self.leave(server, clients[1])
        late = self.client(server, 2)
        self.assertEqual(late.id, 1)
        self.assertEqual(sorted(late.peers), [0, 3])
        # Only who has never heard of 2 is told when it is back.
        for client in clients[0], clients[3]:
            client.pending()
        back = self.client(server, 2)
        self.assertEqual(back.id, 2)
        late.joined(2, 2)
        self.assertTrue(clients[0].nothing() and clients[3].nothing())
        ring(late.peers[2][1])
        ring(clients[0].peers[2][1])
        self.assertEqual([rung(fd) for fd in back.own], [0, 2])

    def test_nobody_hears_of_an_id_twice(self):
        server = self.server("--sticky-ids", "-v", "-n", 1)
        witness = self.client(server, 1)
        for _ in range(20):
            a, b = self.client(server, 1), self.client(server, 1)
            self.assertEqual((a.id, b.id), (1, 2))
            self.leave(server, b)
            self.leave(server, a)
        self.assertEqual(witness.pending(), [(1, True), (2, True)])

    def test_descriptors_stay_flat(self):
        server = self.server("--sticky-ids", "-v", "-n", 16)
        self.client(server, 16)
        self.leave(server, self.client(server, 16))
        before = server.files()
        for _ in range(50):
            self.leave(server, self.client(server, 16))
        self.assertEqual(server.files(), before)

    def test_off_by_default(self):
        server = self.server()
        stays, goes = self.client(server, 1), self.client(server, 1)
        stays.joined(1, 1)
        goes.close()
        stays.left(1)


if __name__ == "__main__":
    main()
