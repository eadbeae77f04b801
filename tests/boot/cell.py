# SPDX-License-Identifier: BSD-2-Clause
"""One cell of the boot matrix: boots cell.c in one way on one machine with devices in one place, and is
its host: writes three words into each region, answers its doorbell, and looks at the words again.

Exit status 0 as it should be, 77 skipped, 1 otherwise, with the guest's output and the QEMU line."""
import argparse
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "server"))
import harness  # noqa: E402
import media  # noqa: E402

PATTERN = 0x1570A5C35A3C0000
HOST_ID_OFFSET = 16
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text):
    return int(text[:-1]) * UNITS[text[-1]]


class Region:
    """A region with the host's words in it, and for a doorbell device its server and a client on it."""

    def __init__(self, number, doorbell, size, vectors, folder):
        self.number, self.doorbell, self.size, self.vectors = number, doorbell, size, vectors
        self.server = self.client = None
        self.rung = False
        if doorbell:
            self.server = harness.Server("-l", str(size), "-n", str(vectors))
            self.client = harness.Client(self.server, vectors)
            self.file = self.client.region
        else:
            self.path = os.path.join(folder, f"region{number}")
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self.file, size)
        for k, place in enumerate(self.places()):
            os.pwrite(self.file, struct.pack("<Q", self.word(k)), place)
        if doorbell:
            os.pwrite(self.file, struct.pack("<I", self.client.id + 1), HOST_ID_OFFSET)

    def places(self):
        return 0, self.size // 2, self.size - 8

    def word(self, k):
        return PATTERN ^ (self.number << 8 | k)

    def options(self, bus):
        n = self.number
        where = f",bus={bus}" if bus else ""
        if bus and bus.startswith("bridge"):
            where += ",addr=1"      # slot 0 of a bridge with hotplug takes no device
        if self.doorbell:
            return ["-chardev", f"socket,path={self.server.path},id=iv{n}",
                    "-device", f"ivshmem-doorbell,chardev=iv{n},vectors={self.vectors}{where}"]
        return ["-object", f"memory-backend-file,id=iv{n},share=on,mem-path={self.path},size={self.size}",
                "-device", f"ivshmem-plain,memdev=iv{n}{where}"]

    def answer(self):
        """Rings back on every vector of the guest, once the guest has rung."""
        self.client.pending()
        if not harness.rung(self.client.own[0]):
            return
        for fds in self.client.peers.values():
            if len(fds) == self.vectors:
                self.rung = True
                for fd in fds:
                    harness.ring(fd)

    def faults(self, output):
        found = []
        for k, place in enumerate(self.places()):
            got = struct.unpack("<Q", os.pread(self.file, 8, place))[0]
            want = self.word(k) ^ (1 << 64) - 1
            if got != want:
                found.append(f"region {self.number}: at {place:#x} is {got:#x}, the guest should have "
                             f"written {want:#x}")
        if self.doorbell and not self.rung:
            found.append(f"region {self.number}: the guest never rang")
        kind = f"doorbell, {self.size} bytes at 0x[0-9a-f]+, {self.vectors} vectors" if self.doorbell \
            else f"plain, {self.size} bytes at 0x[0-9a-f]+, 0 vectors"
        if not re.search(f"^cell: region {self.number}: {kind}, write-back\r?$", output, re.MULTILINE):
            found.append(f"the output has no line on region {self.number}: {kind}, write-back")
        return found

    def remove(self):
        if self.client:
            self.client.close()
        else:
            os.close(self.file)
        if self.server:
            self.server.remove()


def bus_options(place, n, size, machine):
    """The bus for device n, and the QEMU options that make it."""
    if place == "root":
        return None, []
    if place == "port":
        # A port's window that firmware sizes must be told how much a large region takes.
        reserve = f",pref64-reserve={2 * size}" if size > 1 << 20 else ""
        return f"port{n}", ["-device", f"pcie-root-port,id=port{n},chassis={n + 1},slot={n + 1}{reserve}"]
    if machine == "pc":
        return f"bridge{n}", ["-device", f"pci-bridge,id=bridge{n},chassis_nr={n + 1}"]
    # A conventional bus behind PCI Express takes two bridges.
    return f"bridge{n}", ["-device", f"pcie-root-port,id=up{n},chassis={n + 1},slot={n + 1}",
                          "-device", f"pcie-pci-bridge,id=bridge{n},bus=up{n}"]


def boot(line, regions, seconds):
    """Runs QEMU and answers the guest until it ends; (exit status or None, output)."""
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, preexec_fn=harness.die_with_parent)
    output = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
    reader.start()
    doorbells = [r for r in regions if r.doorbell]
    try:
        harness.wait_for("the guest's end", lambda: [r.answer() for r in doorbells] and
                         process.poll() is not None or process.poll() is not None, seconds)
        code = process.returncode
    except AssertionError:
        process.kill()
        process.wait()
        code = None
    reader.join()
    process.stdout.close()
    return code, b"".join(output).decode("utf-8", "replace")


def run(a, folder):
    size = parse_size(a.size)
    arguments = str(a.count)
    elf = os.path.join(media.BUILD, "tests", "boot", "cell.elf")
    medium = os.path.join(folder, "cell" + media.TAILS[a.boot])
    media.image(elf, "-o", medium, *(["--", arguments] if a.boot in ("iso", "disk") else []))

    line = media.base_line(a.machine, a.memory, a.cpu)
    line += media.boot_options(a.boot, medium, arguments, a.bios)
    regions = []
    try:
        for n in range(a.count):
            doorbell = a.device == "doorbell" or a.device == "mixed" and n % 2 == 0
            regions.append(Region(n, doorbell, size, a.vectors, folder))
            bus, options = bus_options(a.place, n, size, a.machine)
            line += options + regions[-1].options(bus)
        code, output = boot(line, regions, a.timeout)
        found = [] if code == media.SUCCESS else [f"QEMU's exit status is {code}, not {media.SUCCESS}"]
        for region in regions:
            found += region.faults(output)
    finally:
        for region in regions:
            region.remove()
    if found:
        print(output)
        print("QEMU:", shlex.join(line))
    for sentence in found:
        print("FAIL:", sentence)
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boot", choices=media.TAILS, default="pvh")
    parser.add_argument("--machine", choices=("pc", "q35", "microvm"), default="q35")
    parser.add_argument("--bios", choices=("seabios", "qboot", "ovmf"), default="seabios")
    parser.add_argument("--place", choices=("root", "port", "bridge"), default="root")
    parser.add_argument("--size", default="1M", help="of each region, with K, M or G")
    parser.add_argument("--count", type=int, default=1, help="devices")
    parser.add_argument("--device", choices=("doorbell", "plain", "mixed"), default="doorbell")
    parser.add_argument("--vectors", type=int, default=2)
    parser.add_argument("--memory", default="64")
    parser.add_argument("--cpu")
    parser.add_argument("--timeout", type=float, default=110)
    a = parser.parse_args()
    why = media.lacks(a.boot, a.bios)
    if why:
        media.skip(why)
    with tempfile.TemporaryDirectory(prefix="isthmus-cell-") as folder:
        status = run(a, folder)
    if not status:
        print("PASS")
    return status


if __name__ == "__main__":
    sys.exit(main())
