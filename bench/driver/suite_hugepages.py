# SPDX-License-Identifier: BSD-2-Clause
"""One guest reads a large region in random order, in ordinary pages of the host and in huge ones."""

import contextlib
import fcntl
import os
import subprocess

from .guests import BenchError

SIZE_MIB = 512
POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB/"


def _read(name):
    with open(POOL + name) as file:
        return int(file.read())


@contextlib.contextmanager
def _reserved(pages):
    """So many more are available meanwhile, where that is allowed. Says whether there are so many."""
    try:
        pool = open(POOL + "nr_hugepages", "r+", encoding="ascii")
    except OSError:
        yield os.path.exists(POOL) and _read("free_hugepages") - _read("resv_hugepages") >= pages
        return
    with pool:
        # Whoever else changes the number, the tests too, holds this lock and puts back what it found.
        fcntl.flock(pool, fcntl.LOCK_EX)
        before = int(pool.read())
        try:
            os.pwrite(pool.fileno(), str(before + pages).encode(), 0)
            yield _read("free_hugepages") - _read("resv_hugepages") >= pages
        finally:
            os.pwrite(pool.fileno(), str(before).encode(), 0)


def _measure(context, results, host_page, words, samples):
    tool, image = context.build / "bin" / "isthmus", context.build / "apps" / "bench-random.elf"
    try:
        ended = subprocess.run(
            [tool, "run", image, "--plain", "--size", f"{SIZE_MIB}M", *words, "--", str(samples)],
            capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        raise BenchError("the guest did not end within 120 s") from None
    if ended.returncode:
        raise BenchError((ended.stderr or ended.stdout).strip().splitlines()[-1])
    # The launcher puts the guest's name before each line.
    lines = [line.split("| ", 1)[-1] for line in ended.stdout.splitlines()]
    if not results.add_text("\n".join(lines), host_page=host_page):
        raise BenchError("bench-random printed no figure")


def run(context, results):
    what = f"guest: random access in {SIZE_MIB} MiB, ordinary / huge pages of the host"
    pages = SIZE_MIB // 2
    samples = 2 if context.quick else 5
    with _reserved(pages) as enough:
        for _ in range(1 if context.quick else 3):
            _measure(context, results, 4096, (), samples)
            if enough:
                _measure(context, results, 2 << 20, ("--hugepages=2M",), samples)
    # The best: a neighbour on the processor only ever adds to what an access takes.
    plain, huge = (min((f["value"] for f in results.select(bench="hugepages", host_page=page)),
                       default=None) for page in (4096, 2 << 20))
    if huge is None:
        results.missing(what, None, True, f"{pages} huge pages of 2 MiB could not be reserved")
    else:
        results.row(what, plain / huge, None, True, f"{huge:.3g} ns", f"{plain:.3g} ns",
                    "best samples")
