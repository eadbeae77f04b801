#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Topics and groups between guests and processes: the app `topics` in all pairings."""
import os
import re
import subprocess

import vms
from vms import boot, harness

BUILD = os.path.abspath(boot.build_folder())
POLICIES = ("back-pressure", "drop-oldest", "latest")


class Party:
    """Publisher and subscribers over one region, guests or processes."""

    def __init__(self, scene, kind, count=1000):
        self.scene, self.count = scene, count
        self.server = scene.server("4M", 2) if kind == "doorbell" else None
        self.where = f"socket={self.server.path}" if self.server else scene.region(4 << 20)
        self.peers = []

    def add(self, who, role, **options):
        words = f"{role} --count {self.count} --members {self.members}"
        if who == "guest":
            device = self.scene.doorbell(self.server, 2) if self.server else self.scene.plain(self.where)
            self.peers.append((role, self.scene.guest("topics", words, device, **options)))
        else:
            self.peers.append((role, subprocess.Popen(
                [os.path.join(BUILD, "apps/topics"), *words.split()], stdout=subprocess.PIPE, text=True,
                preexec_fn=harness.die_with_parent, env=dict(os.environ, ISTHMUS_REGION=self.where))))

    def run(self, *peers, **options):
        self.members = len(peers)
        for who, role in peers:
            self.add(who, role, **(options if who == "guest" else {}))
        ranks = set()
        for role, peer in self.peers:
            if isinstance(peer, vms.Guest):
                peer.end()
                said = peer.output()
            else:
                said = peer.communicate(timeout=vms.PATIENCE)[0]
                if peer.returncode:
                    raise vms.Failure(f"a process failed: {said}")
            ranks.add(re.search(rf"rank (\d+) of {self.members}", said)[1])
            self.account(role, said)
        if len(ranks) != self.members:
            raise vms.Failure(f"the ranks are {ranks}")

    def account(self, role, said):
        for policy in POLICIES:
            if role == "publish":
                need = rf"^topics: {policy}: published {self.count} to {self.members - 1} in "
                found = re.search(need, said, re.MULTILINE)
            else:
                need = rf"^topics: {policy}: received (\d+), lost (\d+) of {self.count}\s*$"
                found = re.search(need, said, re.MULTILINE)
                # Whether a slow one loses any depends on the machine; tests/msg/topic.c forces it.
                found = found and int(found[1]) + int(found[2]) == self.count
            if not found:
                raise vms.Failure(f"no line like {need!r} in:\n{said}")


def test_topology(scene):
    run = subprocess.run([os.path.join(BUILD, "bin/isthmus"), "run",
                          os.path.join(vms.SOURCE, "apps/topics.topo")], text=True, cwd=scene.folder,
                         stdin=subprocess.DEVNULL, timeout=100, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, check=False, preexec_fn=harness.die_with_parent)
    if run.returncode or len(re.findall("received 1000, lost 0 of 1000", run.stdout)) < 3:
        raise vms.Failure(f"status {run.returncode}: {run.stdout}")


def test_guests_plain(scene):
    Party(scene, "plain").run(("guest", "publish"), ("guest", "subscribe"), ("guest", "subscribe --slow 10"))


def test_process_publishes(scene):
    Party(scene, "doorbell").run(("process", "publish"), ("guest", "subscribe"),
                                 ("guest", "subscribe --slow 10"), ("process", "subscribe"))


def test_guest_publishes(scene):
    Party(scene, "doorbell").run(("process", "subscribe"), ("guest", "publish"),
                                 ("process", "subscribe --slow 10"))


def test_mixed_plain(scene):
    Party(scene, "plain").run(("process", "publish"), ("guest", "subscribe --slow 10"), ("process", "subscribe"))


def test_one_possible_cpu(scene):
    """-smp 1: TCG leaves out the barriers. Nothing is lost uncounted, torn or hanging."""
    Party(scene, "doorbell").run(("guest", "publish"), ("guest", "subscribe"), ("guest", "subscribe --slow 10"),
                                 smp="1")


def test_publisher_killed(scene):
    """The VM of the publisher is killed in the middle: its subscribers hear of it, and say so."""
    party = Party(scene, "doorbell", 10000000)  # ten minutes' worth
    party.members = 3
    for role in ("publish", "subscribe", "subscribe"):
        party.add("guest", role)
    guests = [peer for _, peer in party.peers]
    guests[0].wait_output("^topics: back-pressure: publishing to 2$")
    guests[0].kill()
    for guest in guests[1:]:
        guest.end(1, expect=(r"^topics: back-pressure: received \d+, lost 0 of ",
                             "^topics: FAIL: the publisher went early: the peer closed, left or died"),
                  refuse=("panic",))


def test_subscriber_killed(scene):
    """The VM of a slow subscriber is killed while the publisher waits for it: barriers and topics go on without."""
    party = Party(scene, "doorbell", 2000)
    party.members = 3
    for role in ("publish", "subscribe", "subscribe --slow 5000"):
        party.add("guest", role)
    publisher, other, slow = (peer for _, peer in party.peers)
    publisher.wait_output("^topics: back-pressure: publishing to 2$")
    slow.kill()
    publisher.end(expect=("^topics: back-pressure: published 2000 to 1 in ", "^topics: drop-oldest: publishing to 1$",
                          "^topics: latest: published 2000 to 1 in "))
    other.end(expect=("^topics: back-pressure: received 2000, lost 0 of 2000",))
    party.account("subscribe", other.output())


if __name__ == "__main__":
    vms.main(globals(), at_once=3)
