#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Regions in huge pages. Reserves a few as root and gives them back; skips where that isn't allowed."""
import contextlib
import fcntl
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
import vms  # noqa: E402

TOOL = os.path.join(vms.boot.build_folder(), "bin", "isthmus")
MIB = 1 << 20
SIZES = {2 * MIB: "2M", 1024 * MIB: "1G"}


class Pool:
    """The system's huge pages of one size, held while a test changes how many there are."""

    def __init__(self, page):
        self.folder = f"/sys/kernel/mm/hugepages/hugepages-{page // 1024}kB"
        self.page = page

    def __enter__(self):
        try:
            self.lock = open(os.path.join(self.folder, "nr_hugepages"), "r+", encoding="ascii")
        except OSError as error:
            vms.boot.skip(f"may not reserve huge pages of {SIZES[self.page]}: {error.strerror}")
        # Another run of these tests would take for its own what is ours, and give it back.
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.before = self.read("nr_hugepages")
        return self

    def __exit__(self, *_):
        self.write(self.before)
        self.lock.close()

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="ascii") as file:
            return int(file.read())

    def write(self, number):
        with open(os.path.join(self.folder, "nr_hugepages"), "w", encoding="ascii") as file:
            file.write(str(number))

    def available(self):
        return self.read("free_hugepages") - self.read("resv_hugepages")

    def reserve(self, pages):
        """Makes so many available, exactly."""
        try:
            self.write(self.read("nr_hugepages") + pages - self.available())
        except OSError as error:
            vms.boot.skip(f"may not reserve huge pages: {error.strerror}")
        if self.available() != pages:
            have = self.available()
            self.write(self.before)
            vms.boot.skip(f"{have} of {pages} huge pages of {SIZES[self.page]} could be reserved: "
                          "memory is short or in pieces")

    def nothing_kept(self, pages):
        end = time.monotonic() + vms.PATIENCE
        while self.available() != pages:  # the kernel gives them back in its own time
            if time.monotonic() > end:
                raise vms.Failure(f"{self.available()} of {pages} huge pages came back")
            time.sleep(0.01)


def isthmus(scene, *words, status=0, expect=()):
    """Runs the tool to its end; returns what it said."""
    ended = subprocess.run([TOOL, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL, text=True, timeout=vms.PATIENCE,
                           env={**os.environ, "TMPDIR": scene.folder}, check=False)
    if ended.returncode != status:
        raise vms.Failure(f"{words}: status {ended.returncode}: {ended.stdout}")
    for pattern in expect:
        if not re.search(pattern, ended.stdout, re.M):
            raise vms.Failure(f"{words}: nothing like {pattern!r} in {ended.stdout}")
    return ended.stdout


def watch(scene, pool, words, pages, expect):
    """A run during which so many huge pages are taken, and after it none."""
    folder = os.path.join(scene.folder, "run")
    before = pool.available()
    run = subprocess.Popen([TOOL, "run", "--dir", folder, *words], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           preexec_fn=vms.harness.die_with_parent)
    said = []
    try:
        for line in run.stdout:
            said.append(line)
            if re.search(expect, line):
                break
        else:
            raise vms.Failure(f"{words}: nothing like {expect!r} in {''.join(said)}")
        if before - pool.available() != pages:
            raise vms.Failure(f"{words}: {before - pool.available()} huge pages taken, not {pages}")
        run.stdin.write("q")
        run.stdin.close()
        said.append(run.stdout.read())
        if run.wait(vms.PATIENCE):
            raise vms.Failure(f"{words}: status {run.returncode}: {''.join(said)}")
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
        run.stdout.close()
    pool.nothing_kept(before)


MIGRANT = os.path.join(vms.boot.build_folder(), "tests/guest/migrant.elf")


def test_run(scene):
    """Plain and doorbell regions, whose pages are taken while the run lasts and no longer."""
    with Pool(2 * MIB) as pool:
        pool.reserve(4)
        for machine, kind in (("q35", ()), ("pc", ()), ("q35", ("--plain",))):
            watch(scene, pool, (MIGRANT, "--hugepages", "--machine", machine, "--size", "8M",
                                *kind, "--", "region"), 4, r"\| at \d+")
        isthmus(scene, "run", "inspect", "--hugepages=2M", "--size", "8M",
                expect=("in pages of 2 MiB$", "inspect: \\d+ passed, 0 failed"))
        isthmus(scene, "run", "pingpong.elf", "-n", "2", "--hugepages", "--",
                "--asleep", "100", "--awake", "1000")
        pool.nothing_kept(4)


def test_too_few(scene):
    """How many there are, how many it takes, and a command that does it when it is run."""
    with Pool(2 * MIB) as pool:
        pool.reserve(1)
        words = ("run", "inspect", "--hugepages", "--size", "8M")
        said = isthmus(scene, *words, status=125, expect=(
            "need 4 huge pages of 2M, and 1 of \\d+ is to be had; as root, run: echo",))
        if said.count("\n") != 1:
            raise vms.Failure(f"more than a line: {said}")
        subprocess.run(["sh", "-c", said.split("as root, run: ")[1]], check=True)
        isthmus(scene, *words, expect=("in pages of 2 MiB$",))
        pool.nothing_kept(4)


def test_server(scene):
    """ivshmem-server by itself: memory of huge pages, and a file in a hugetlbfs."""
    with Pool(2 * MIB) as pool, contextlib.ExitStack() as last:
        pool.reserve(1)
        try:
            scene.server("8M", 1, "--hugepages", "2M")
            raise vms.Failure("a server began without its pages")
        except AssertionError as error:
            command = re.search(r"4 huge pages of 2 MiB, and 1 of \d+ are to be had; reserve more: "
                                r"(echo .*)", str(error))
            if not command:
                raise vms.Failure(f"said otherwise: {error}") from None
        subprocess.run(["sh", "-c", command.group(1)], check=True)
        pool.nothing_kept(4)
        servers = [scene.server("8M", 1, "--hugepages", "2M")]
        pool.nothing_kept(0)
        servers[0].stop()
        pool.nothing_kept(4)
        mount = os.path.join(scene.folder, "huge")
        os.mkdir(mount)
        mounted = subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", mount],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode:
            print(f"not tried: a hugetlbfs can't be mounted here: {mounted.stderr.strip()}")
        else:
            last.callback(subprocess.run, ["umount", mount], check=True)
            servers.append(scene.server("8M", 1, "-m", mount))
            guest = scene.guest("inspect", devices=scene.doorbell(servers[1]))
            guest.end(0, ("in pages of 2 MiB$", r"^inspect: \d+ passed, 0 failed$"))
            servers[1].stop()
            pool.nothing_kept(4)
            script = isthmus(scene, "run", "inspect", "--hugepages", "--plain", "--dry-run", "--",
                             "--list")
            ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True,
                                   timeout=vms.PATIENCE, check=False)
            if "exited with 33" not in ended.stdout or ended.stderr or os.listdir(mount):
                raise vms.Failure(f"by hand: {script}{ended.stdout}{ended.stderr}")
            pool.nothing_kept(4)


def test_giant(scene):
    """Pages of 1 GiB, to the guest too where its CPU has them."""
    with Pool(1024 * MIB) as pool:
        pool.reserve(1)
        for cpu, page in (("max", "1 GiB"), ("qemu64", "2 MiB")):
            isthmus(scene, "run", "inspect", "--hugepages=1G", "--size", "1G", "--cpu", cpu,
                    "--plain", expect=(f"in pages of {page}$", "passed, 0 failed"))
        pool.nothing_kept(1)


def test_mistakes(scene):
    isthmus(scene, "run", "inspect", "--hugepages", "--size", "64K", status=125,
            expect=("smaller than one huge page of 2M",))
    isthmus(scene, "run", "inspect", "--hugepages=16M", "--size", "16M", status=125,
            expect=("has no huge pages of 16M; it has",))
    isthmus(scene, "run", "inspect", "--hugepages=3M", status=125, expect=("wants a page size",))


if __name__ == "__main__":
    vms.main(globals())
