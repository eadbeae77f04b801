#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Conversations across `isthmus migrate`, with a peer that stays and with one that moves too. Both ends
number their messages and demand each once and in order (talk.c); what one has sent the other must
have received, to the last."""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
import talk  # noqa: E402
import tool  # noqa: E402
import vms  # noqa: E402

isthmus = tool.isthmus


class Run(tool.Run):
    """A run of guests "a", which moves, and perhaps "b"."""

    def __init__(self, scene, name, machine, moves, stays, *words):
        image = vms.boot.find_image("replug_talk")
        lines = [f"guest a {image} on=shm -- moves {moves}"]
        if stays is not None:
            lines.append(f"guest b {image} on=shm -- stays {stays}")
        path = os.path.join(scene.folder, name + ".topo")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(["region shm size=1M vectors=1", *lines, ""]))
        super().__init__(scene, name, path, ["--machine", machine, "--input", "a", *words])
        self.both = stays is not None

    def peer(self, letter):
        return os.path.join(self.dir, letter)

    def text_of(self, letter):
        return "".join(re.findall(rf"^{letter} *\| (.*\n)", self.text, re.M))

    def ready(self):
        for letter in "ab" if self.both else "a":
            vms.harness.wait_for(letter, lambda l=letter: os.path.exists(self.peer(l) + ".qmp"),
                                 vms.PATIENCE)

    def connected(self, times=1, letter="a"):
        self.wait(rf"^{letter} *\| connected", times)


def migrate(here, there, letter="a", more=()):
    isthmus("migrate", here.peer(letter), there.peer(letter), *more, expect=r"moved \d+ KiB")


def finish(mover, stayer_text):
    """The mover is asked to end; what its run and the stayer say must balance."""
    mover.end("q")
    mover.reader.join()
    talk.balance(mover.text_of("a"), stayer_text())


def moves_too(scene, machine, load):
    """First the guest, then its peer; on another region, of which the old one knows nothing."""
    first = f"--ask {load}"
    with Run(scene, "from", machine, first, load) as here:
        here.connected()
        time.sleep(0.3)
        with Run(scene, "to", machine, first, load, "--incoming") as there:
            there.ready()
            migrate(here, there, "a")
            migrate(here, there, "b")
            here.end(None)
            there.connected()
            time.sleep(0.3)
            finish(there, lambda: there.text_of("b"))


def test_moves_too_q35(scene):
    moves_too(scene, "q35", "")


def test_moves_too_pc(scene):
    moves_too(scene, "pc", "")


def test_moves_too_full_q35(scene):
    moves_too(scene, "q35", "--full")


def test_moves_too_full_pc(scene):
    moves_too(scene, "pc", "--full")


def stays(scene, machine, load):
    """The peer is a guest of the run that the other one leaves, on the region that it stays with."""
    with Run(scene, "from", machine, f"--ask {load}", load) as here:
        here.connected()
        time.sleep(0.3)
        with Run(scene, "to", machine, f"--ask {load}", None, "--incoming") as there:
            there.ready()
            migrate(here, there, more=("--stay",))
            there.connected()
            time.sleep(0.3)
            there.end("q")
            there.reader.join()
            here.end(None)
            here.reader.join()
            talk.balance(there.text_of("a"), here.text_of("b"))


def test_stays_q35(scene):
    stays(scene, "q35", "")


def test_stays_pc(scene):
    stays(scene, "pc", "--full")


def there_and_back(scene, machine):
    """Under full load in both directions, there and back again, with a process that stays."""
    server = scene.server("1M", 1, "--sticky-ids")
    with talk.Process(scene, f"socket={server.path}", "--full") as process:
        with Run(scene, "0", machine, "--ask --full", None) as at:
            at.wait(r"^a *\| attached 1 ")
            isthmus("unplug", at.guest)
            isthmus("plug", at.guest, server.path, "--vectors", "1")
            at.connected()
            said = go_on(scene, machine, at, 4)
        talk.balance(said, process.end())


def go_on(scene, machine, here, times):
    """So many moves from here, each to a new run; what the guest says in the last one."""
    time.sleep(0.2)
    if not times:
        here.end("q")
        here.reader.join()
        return here.text_of("a")
    with Run(scene, str(5 - times), machine, "--ask --full", None, "--incoming") as there:
        there.ready()
        migrate(here, there, more=("--stay",))
        here.end(None)
        there.connected()
        return go_on(scene, machine, there, times - 1)


def two_peers(scene, machine):
    """QEMU's manual: one master at most, which moves with the region while the others are unplugged, and has
    moved before they are plugged in again."""
    with Run(scene, "from", machine, "--ask", "", "--master") as here:
        here.connected()
        time.sleep(0.2)
        with Run(scene, "to", machine, "--ask", "", "--master", "--incoming") as there:
            there.ready()
            isthmus("unplug", here.peer("b"), expect="shm0 is out")
            migrate(here, there, "a")
            migrate(here, there, "b")
            here.end(None)
            isthmus("plug", there.peer("b"), "shm", expect="plugged in")
            there.connected()
            time.sleep(0.2)
            finish(there, lambda: there.text_of("b"))
            told = here.text_of("a") + there.text_of("a")
            if re.search("^(left|gone|leaving)", told, re.M) or told.count("attached") != 1:
                raise vms.Failure("the master noticed that it moved")
            for letter, times in (("a", 1), ("b", 2)):
                epochs = re.findall(r"epoch (\d+)", here.text_of(letter) + there.text_of(letter))
                if len(epochs) != times or epochs != sorted(set(epochs), key=int):
                    raise vms.Failure(f"epochs of {letter}: {epochs}")


def test_two_peers_q35(scene):
    two_peers(scene, "q35")


def test_two_peers_pc(scene):
    two_peers(scene, "pc")


def test_there_and_back_q35(scene):
    there_and_back(scene, "q35")


def test_there_and_back_pc(scene):
    there_and_back(scene, "pc")


if __name__ == "__main__":
    vms.main(globals())
