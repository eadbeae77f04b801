#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The apps as shown: by topology, and processes that join guests."""
import os
import re
import struct
import subprocess
import zlib

import vms
from vms import boot, harness

BUILD = os.path.abspath(boot.build_folder())


def topology(scene, *words, seconds=100, **options):
    result = subprocess.run([os.path.join(BUILD, "bin/isthmus"), "run", *words], text=True,
                            cwd=scene.folder, stdin=subprocess.DEVNULL, timeout=seconds,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                            preexec_fn=harness.die_with_parent, **options)
    if result.returncode:
        raise vms.Failure(f"{words}: status {result.returncode}: {result.stdout}")
    return result.stdout


def process(scene, app, words, server, stdin):
    return subprocess.Popen([os.path.join(BUILD, "apps", app), *words], stdin=stdin, text=True,
                            stdout=subprocess.PIPE, preexec_fn=harness.die_with_parent,
                            cwd=scene.folder,
                            env=dict(os.environ, ISTHMUS_REGION=f"socket={server.path}"))


def expect(text, *lines):
    for line in lines:
        if line not in text:
            raise vms.Failure(f"nothing like {line!r} in:\n{text}")


def test_chat_topology(scene):
    said = topology(scene, os.path.join(vms.SOURCE, "apps/chat.topo"))
    expect(said, "* you are ann", "bob | ann: hello, this is ann", "ann | bob: bob here",
           "ann | eve: eve is listening", "eve | ann: how are you?", "bob | * eve is here")


def test_stream_topology(scene):
    said = topology(scene, os.path.join(vms.SOURCE, "apps/stream.topo"))
    expect(said, "b | stream: sent 67108864 bytes", "a | stream: received 67108864 bytes",
           " confirmed, ")


def test_chat_typed(scene):
    """A guest that is typed to, one that is killed, and a process; no line is lost on the way."""
    server = scene.server("1M", 2)
    ann = scene.guest("chat", "--name ann", scene.doorbell(server, 2))
    ann.wait_output(r"^\* you are ann")
    bob = scene.guest("chat", "--name bob", scene.doorbell(server, 2))
    ann.wait_output(r"^\* bob is here")
    me = process(scene, "chat", ["--name", "me"], server, subprocess.PIPE)
    for guest in (ann, bob):
        guest.wait_output(r"^\* me is here")
    me.stdin.write("from a process\n/who\n")
    me.stdin.flush()
    for guest in (ann, bob):
        guest.wait_output("^me: from a process$")
    ann.send("typed in a guest\r")
    bob.wait_output("^ann: typed in a guest$")
    bob.kill()
    ann.wait_output(r"^\* bob died$")
    ann.send("/who\r/quit\r")
    ann.end(expect=(r"^\* ann \(you\)$", r"^\* me$"))
    me.stdin.close()
    said = me.stdout.read()
    if me.wait(vms.PATIENCE):
        raise vms.Failure(f"the process failed: {said}")
    expect(said, "* me (you)\n", "* bob\n", "ann: typed in a guest\n", "* bob died\n")


def test_stream_from_process(scene):
    """What a process reads on standard input arrives in a guest; which one sends is for them to find."""
    server = scene.server("1M", 2)
    guest = scene.guest("stream", "receive", scene.doorbell(server, 2))
    path = os.path.join(scene.folder, "data")
    with open(path, "wb") as file:
        file.write(os.urandom(3000001))
    with open(path, "rb") as file:
        sender = process(scene, "stream", ["send", "--stdin"], server, file)
    said = sender.stdout.read()
    if sender.wait(vms.PATIENCE):
        raise vms.Failure(f"the process failed: {said}")
    expect(said, "stream: sent 3000001 bytes", " confirmed, ")
    guest.end(expect=("^stream: received 3000001 bytes",))
    pair = [scene.guest("stream", "--bytes 1M", scene.doorbell(server, 2)) for _ in range(2)]
    for guest in pair:
        guest.end()
    expect(pair[0].output() + pair[1].output(), "received 1048576 bytes", "sent 1048576 bytes")



def test_rpc_topology(scene):
    said = topology(scene, os.path.join(vms.SOURCE, "apps/rpc.topo"))
    expect(said, "server | rpc: served 2006 calls: 2002 answered, 4 cancelled")
    for who in ("ann", "bob"):
        found = re.search(rf"{who} +\| rpc: 500 calls at once, each answered once, (\d+) of them after", said)
        if not found or int(found[1]) < 250:
            raise vms.Failure(f"{who}'s answers came in order:\n{said}")


def test_rpc_mixed(scene):
    """A process serves guests and another process."""
    server = scene.server("1M", 2)
    serving = process(scene, "rpc", ["serve", "--callers", "3"], server, subprocess.DEVNULL)
    guests = [scene.guest("rpc", "call --calls 300", scene.doorbell(server, 2)) for _ in range(2)]
    calling = process(scene, "rpc", ["call", "--calls", "300"], server, subprocess.DEVNULL)
    for guest in guests:
        guest.end(expect=("^rpc: 300 calls at once, each answered once",))
    expect(calling.communicate(timeout=vms.PATIENCE)[0], "300 calls at once, each answered once")
    expect(serving.communicate(timeout=vms.PATIENCE)[0], "served 1809 calls: 1803 answered, 6 cancelled")
    if calling.returncode or serving.returncode:
        raise vms.Failure("a process failed")


def test_workers_topology(scene):
    """A guest dies over a tile, and the picture is whole."""
    said = topology(scene, os.path.join(vms.SOURCE, "apps/workers.topo"))
    expect(said, "workers: dying over a tile, after 1", "painter    | workers: all 196608 pixels are right")
    found = re.search(r"192 tiles painted, (\d+) of them given out more than once", said)
    again = re.findall(r"computed \d+ tiles, (\d+) of them after somebody else", said)
    if not found or int(found[1]) < 1 or sum(map(int, again)) < int(found[1]):
        raise vms.Failure(f"nobody was told of the dead one's tile:\n{said}")


def escape(size, x, y):
    """What apps/workers.c says of a pixel: division goes towards zero, as in C."""
    def div(a, b):
        return a // b if a >= 0 else -(-a // b)
    one = 1 << 28
    step = 3 * one // size
    cx, cy = x * step - 9 * one // 4, y * step - size * 3 // 8 * step
    zx = zy = 0
    for depth in range(255):
        xx, yy = zx * zx // one, zy * zy // one
        if xx + yy > 4 * one:
            return depth
        zx, zy = xx - yy + cx, div(2 * zx * zy, one) + cy
    return 255


def png_indices(path):
    """Width, height and the palette indices of a PNG without interlacing, filters or alpha."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise vms.Failure("not a PNG")
    at, stream = 8, b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at + 8:at + 8 + length]
        if zlib.crc32(kind + chunk) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise vms.Failure("a wrong check sum in the PNG")
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack_from(">IIBB", chunk)
        stream += chunk if kind == b"IDAT" else b""
        at += 12 + length
    rows = zlib.decompress(stream)
    if (depth, colour) != (8, 3) or any(rows[y * (width + 1)] for y in range(height)):
        raise vms.Failure("the PNG has another form")
    return width, height, [rows[y * (width + 1) + 1:(y + 1) * (width + 1)] for y in range(height)]


def test_workers_png(scene):
    """Guests compute, a process paints; a dispatching process is killed, and a guest takes over."""
    server = scene.server("1M", 2)
    first = process(scene, "workers", ["dispatch"], server, subprocess.DEVNULL)
    expect(first.stdout.readline() + first.stdout.readline(), "workers: this is the dispatcher now")
    standby = scene.guest("workers", "dispatch", scene.doorbell(server, 2))
    standby.wait_output("^workers: standing by to dispatch$")
    guests = [scene.guest("workers", "work", scene.doorbell(server, 2)) for _ in range(2)]
    path = os.path.join(scene.folder, "picture.png")
    painter = process(scene, "workers", ["paint", "--size", "1024", "--png", path, "--peers", "5"], server,
                      subprocess.DEVNULL)
    guests[0].wait_output("^workers: at work$")
    first.kill()
    first.wait()
    said = painter.communicate(timeout=vms.PATIENCE)[0]
    if painter.returncode:
        raise vms.Failure(f"the painter failed: {said}")
    expect(said, "workers: 768 tiles painted", "workers: all 786432 pixels are right")
    standby.end(expect=("^workers: this is the dispatcher now$",))
    for guest in guests:
        guest.end()
    width, height, rows = png_indices(path)
    if (width, height) != (1024, 768):
        raise vms.Failure(f"the picture is {width} x {height}")
    for y in range(0, height, 7):
        for x in range(0, width, 11):
            if rows[y][x] != escape(width, x, y):
                raise vms.Failure(f"the pixel at {x}, {y} of the PNG is wrong")


if __name__ == "__main__":
    vms.main(globals(), at_once=3)
