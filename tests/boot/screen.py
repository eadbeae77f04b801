# SPDX-License-Identifier: BSD-2-Clause
"""Guests without a serial port: what they print is read off the screen, by the font's own table.

screen.py iso|uefi; 77 skipped where that can't be booted."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import media

SECONDS = 100
FONT = os.path.join(os.environ.get("ISTHMUS_SOURCE", "."), "platform", "font.c")
WIDTH, HEIGHT = 6, 9            # of a cell, before scaling
ENDINGS = os.path.join(media.BUILD, "tests", "guest", "endings.elf")


def read_font():
    """Columns of pixels, as bytes with the top in bit 0 -> character."""
    with open(FONT, encoding="utf-8") as f:
        glyphs = re.findall(r"^\t\{ ((?:0x[0-9a-f]{2}(?:, )?){5}) \}", f.read(), re.MULTILINE)
    assert len(glyphs) == 95, f"{FONT}: {len(glyphs)} letters"
    return {tuple(int(x, 16) for x in glyph.split(", ")): chr(32 + i) for i, glyph in enumerate(glyphs)}


def read_text(ppm, font):
    """The lines on a screen (binary PPM), None where a cell is no letter."""
    magic, width, height, _, pixels = re.match(rb"(P6)\s(\d+)\s(\d+)\s(\d+)\s(.*)", ppm, re.DOTALL).groups()
    width, height = int(width), int(height)
    scale = 2 if width >= 800 else 1
    lines = []
    for top in range(0, height - HEIGHT * scale + 1, HEIGHT * scale):
        line = ""
        for left in range(0, width - WIDTH * scale + 1, WIDTH * scale):
            columns = [0] * 5
            for y in range(8):
                start = ((top + y * scale) * width + left) * 3
                row = pixels[start:start + WIDTH * scale * 3:3 * scale]
                for x in range(5):
                    columns[x] |= (row[x] > 127) << y
            line += font.get(tuple(columns), "\0")
        lines.append(line.rstrip())
    return lines


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        while True:
            try:
                self.socket.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.05)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise AssertionError(answer["error"])
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


def show(kind, app, arguments, folder, font):
    """Boots the app without a serial port; the screen once the guest has powered off."""
    medium = os.path.join(folder, "guest" + media.TAILS[kind])
    picture, monitor = os.path.join(folder, "screen.ppm"), os.path.join(folder, "qmp")
    media.image(app, "-o", medium, "--", *arguments)
    line = [media.QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-no-shutdown",
            "-machine", "q35", "-accel", media.ACCEL, "-smp", "1,maxcpus=2", "-m", "128",
            "-vga", "std", "-serial", "none", "-qmp", f"unix:{monitor},server=on,wait=off"]
    line += media.boot_options(kind, medium, "", "ovmf" if kind == "uefi" else "seabios")
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL)
    qmp = None
    try:
        qmp = Monitor(monitor)
        end = time.monotonic() + SECONDS
        while qmp.ask("query-status")["status"] != "shutdown" and time.monotonic() < end:
            time.sleep(0.1)
        qmp.ask("screendump", filename=picture)
        with open(picture, "rb") as f:
            return read_text(f.read(), font)
    finally:
        if qmp:
            qmp.close()
        process.kill()
        process.wait()


def main():
    kind = sys.argv[1]
    why = media.lacks(kind, "ovmf" if kind == "uefi" else "seabios")
    if why:
        media.skip(why)
    font, found = read_font(), []
    letters = "".join(map(chr, range(33, 127)))
    with tempfile.TemporaryDirectory(prefix="isthmus-screen-") as folder:
        lines = show(kind, "hello", [letters, "ü"], folder, font)
        said = "".join(lines)
        # Lines wrap; of what isn't ASCII one ? a letter is left.
        if not said.startswith(f"Hello from hello {letters} ?."):
            found.append("not every letter is there")
        if "isthmus: exit 0" not in lines:
            found.append("there is no last line 'isthmus: exit 0'")
        if not found:
            lines = show(kind, ENDINGS, ["flood", "300"], folder, font)
            last = [line for line in lines if line][-2:]
            if not re.match(r"line 299 of 300: .* dog$", last[0]) or last[1] != "isthmus: exit 0":
                found.append("the screen didn't scroll as it should")
    if found:
        print("\n".join(lines))
    for sentence in found:
        print("FAIL:", sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
