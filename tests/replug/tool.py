#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""isthmus plug, unplug and migrate on running guests, as an operator uses them."""
import os
import re
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
import qmp  # noqa: E402
import vms  # noqa: E402

TOOL = os.path.join(vms.boot.build_folder(), "bin", "isthmus")


class Run:
    """`isthmus run` of one guest in a directory that others can reach."""

    def __init__(self, scene, name, image, words, arguments=()):
        self.dir = os.path.join(scene.folder, name)
        self.guest = os.path.join(self.dir, "a")
        self.logs = tempfile.mkdtemp(prefix="logs.", dir=scene.folder)
        self.said = ""
        self.process = subprocess.Popen(
            [TOOL, "run", vms.boot.find_image(image), "--dir", self.dir, "--log", self.logs,
             "--timeout", "120", *words, "--", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, preexec_fn=vms.harness.die_with_parent)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()
        if error:
            print(f"--- {self.dir}:\n{self.said}")

    def read(self):
        for line in self.process.stdout:
            self.said += line

    @property
    def text(self):
        """The complete lines of each guest. On the screen one that pauses in a line is interrupted by others."""
        lines = []
        for name in sorted(os.listdir(self.logs)):
            if name.count(".") > 1:
                continue  # what QEMU and servers say
            with open(os.path.join(self.logs, name), encoding="utf-8", errors="replace") as file:
                lines += [f"{name[:-4]} | {line}" for line in file.read().split("\n")[:-1]]
        return "".join(line.rstrip("\r") + "\n" for line in lines)

    def wait(self, pattern, times=1):
        vms.harness.wait_for(f"{pattern!r}, {times} times, from {self.dir}",
                             lambda: len(re.findall(pattern, self.text, re.M)) >= times,
                             vms.PATIENCE)

    def listens(self):
        """QEMU has made its socket and answers on it."""
        vms.harness.wait_for(self.guest, lambda: os.path.exists(self.guest + ".qmp"), vms.PATIENCE)
        qmp.Qmp(self.guest + ".qmp").socket.close()

    def end(self, letter="q"):
        if letter:
            self.process.stdin.write(letter)
            self.process.stdin.flush()
        if self.process.wait(vms.PATIENCE):
            self.reader.join()
            raise vms.Failure(f"{self.dir}: status {self.process.returncode}")


def isthmus(*words, status=0, expect=""):
    ended = subprocess.run([TOOL, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL, text=True, timeout=vms.PATIENCE, check=False)
    if ended.returncode != status or not re.search(expect, ended.stdout, re.M):
        raise vms.Failure(f"isthmus {words}: status {ended.returncode}: {ended.stdout}")
    if status and ended.stdout.count("\nisthmus: ") + ended.stdout.startswith("isthmus: ") != 1:
        raise vms.Failure(f"not one line of error: {ended.stdout}")
    return ended.stdout


def rounds(scene, *words):
    """Out and in twice, checked by the guest, which rings its own doorbell in between."""
    with Run(scene, "run", "replug_bare", words, ("2",)) as run:
        for turn in (1, 2):
            run.wait(r"\| ready$", turn)
            isthmus("unplug", run.guest, expect="shm0 is out$")
            run.wait(r"\| closed$", turn)
            isthmus("unplug", run.guest, status=125, expect="has no ivshmem device$")
            isthmus("plug", run.guest, "shm", expect="plugged in shm0 ")
        run.end()


def test_too_large(scene):
    """A region larger than the port's window is refused before the guest sees it; one that fits isn't."""
    large, small = scene.region(64 << 20), scene.region(1 << 20)
    with Run(scene, "run", "replug_bare", ("--plain",), ("2",)) as run:
        run.wait(r"\| ready$")
        isthmus("unplug", run.guest)
        run.wait(r"\| closed$")
        isthmus("plug", run.guest, large, status=125,
                expect="no empty port has room for a region of 64M; .*--size .*pref64-reserve=64M$")
        isthmus("plug", run.guest, small, expect="plugged in shm0")
        run.wait(r"\| ready$", 2)
        isthmus("unplug", run.guest)
        run.wait(r"\| closed$", 2)
        isthmus("plug", run.guest, "shm")
        run.end()


def test_rounds_q35(scene):
    rounds(scene)


def test_rounds_q35_plain(scene):
    rounds(scene, "--plain")


def test_rounds_pc(scene):
    rounds(scene, "--machine", "pc")


def test_rounds_pc_plain(scene):
    rounds(scene, "--machine", "pc", "--plain")


def test_master(scene):
    """The region goes along; the guest notices nothing."""
    for words in (("--plain",), ("--machine", "pc")):
        words = words + ("--master",)
        with Run(scene, "from", "migrant", words, ("region",)) as here:
            here.wait(r"\| at \d+ \d+$", 3)
            with Run(scene, "to", "migrant", words + ("--incoming",), ("region",)) as there:
                there.listens()
                isthmus("migrate", here.guest, there.guest, expect=r"moved \d+ KiB")
                here.end(None)
                there.wait(r"\| at \d+ \d+$", 3)
                there.end()
                steps = [int(s) for s in re.findall(r"\| at (\d+)", here.text + there.text)]
                if steps != sorted(set(steps)):
                    raise vms.Failure(f"not a sequence: {steps}")


def dance(scene, *words, more=()):
    """Out here, over, and in again there."""
    with Run(scene, "from", "replug_bare", words, ("1", "moves")) as here:
        here.wait(r"\| ready$")
        with Run(scene, "to", "replug_bare", words + ("--incoming",), ("1", "moves")) as there:
            there.listens()
            isthmus("migrate", here.guest, there.guest, *more,
                    expect=r"(?s)asking the guest to let go shm0$.*moved \d+ KiB.*plugged in shm0")
            if not more:
                here.end(None)
            there.end()
            if more:
                here.end(None)


def test_dance_q35(scene):
    dance(scene)


def test_dance_pc(scene):
    dance(scene, "--machine", "pc", "--plain")


def test_dance_stay(scene):
    """The guest goes on with the region that it had, whose server is the other run's."""
    server = scene.server("4M", 2, "--sticky-ids")
    for words in ((), ("--machine", "pc")):
        with Run(scene, "from", "replug_bare", words, ("2", "moves")) as here:
            here.wait(r"\| ready$")
            isthmus("unplug", here.guest)
            here.wait(r"\| closed$")
            isthmus("plug", here.guest, server.path)  # a region of somebody else's
            here.wait(r"\| ready$", 2)
            with Run(scene, "to", "replug_bare", words + ("--incoming",), ("2", "moves")) as there:
                there.listens()
                isthmus("migrate", here.guest, there.guest, "--stay",
                        expect=re.escape(f"plugged in shm0 ({server.path})"))
                here.end(None)
                there.end()


def test_courier(scene):
    """What docs/migration.md shows: two guests write letters, and one is unplugged meanwhile."""
    with Run(scene, "post", "courier", ("-n", "2"), ("--letters", "800")) as run:
        run.wait(r"\| courier: together:", 2)
        isthmus("unplug", run.guest, expect="shm0 is out$")
        run.wait(r"\| courier: the region is gone")
        isthmus("plug", run.guest, "shm", expect="plugged in shm0 ")
        run.wait(r"\| courier: together again", 2)
        run.end(None)
        run.reader.join()
        if len(re.findall("done, all letters arrived: sent 800, delivered 800, received 800",
                          run.text)) != 2:
            raise vms.Failure("not all letters arrived")


def test_failed(scene):
    """A destination with another amount of RAM: the guest stays and has its device back."""
    with Run(scene, "from", "replug_bare", ("--machine", "pc"), ("1", "moves")) as here:
        here.wait(r"\| ready$")
        with Run(scene, "to", "replug_bare", ("--machine", "pc", "--mem", "32", "--incoming"),
                 ("1", "moves")) as there:
            there.listens()
            isthmus("migrate", here.guest, there.guest, status=125, expect="the migration failed")
        here.end()


def test_mistakes(scene):
    isthmus("unplug", os.path.join(scene.folder, "nobody"), status=125, expect="no VM listens there")
    server = scene.server("1M", 1)
    isthmus("unplug", server.path, status=125, expect="isn't a QEMU$")
    isthmus("unplug", status=125, expect="wants a guest")
    isthmus("plug", "x", status=125, expect="wants a guest and a region")
    isthmus("migrate", "x", "x", status=125, expect="can't move to where it is")
    for word, machine, kinds in (("native", "pc", "acpi or none"), ("acpi", "microvm", "native or none"),
                                 ("no", "q35", "native, acpi or none")):
        isthmus("run", "hello", "--machine", machine, "--hotplug", word, status=125,
                expect=f"--hotplug {word}: on {machine} it is {kinds}$")
    with Run(scene, "run", "migrant", ("--plain", "--hotplug", "none"), ("region",)) as run:
        run.wait(r"\| at ")
        for word in (run.dir, os.path.join(run.dir, "b")):
            isthmus("unplug", word, status=125, expect=f"no VM listens there .*; there is {run.guest}$")
        isthmus("migrate", run.guest, run.guest + ".qmp", status=125, expect="can't move to where it is$")
        with Run(scene, "other", "migrant", ("--plain",), ("region",)) as other:
            other.wait(r"\| at ")
            isthmus("migrate", run.guest, other.guest, status=125, expect="waits for no guest; .*--incoming")
            other.end()
        isthmus("plug", run.guest, "shm", status=125, expect="no empty port .* --hotplug")
        isthmus("plug", run.guest, "nothing", status=125, expect="no region 'nothing'")
        isthmus("unplug", run.guest, "shm7", status=125, expect="no ivshmem device 'shm7'; there is shm0")
        isthmus("unplug", run.guest, status=125, expect="can't be unplugged: .* --hotplug none$")
        run.end()


if __name__ == "__main__":
    vms.main(globals())
