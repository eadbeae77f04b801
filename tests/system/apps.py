#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""chat and stream as shown: by topology, and a process that joins guests."""
import os
import subprocess
import sys

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


if __name__ == "__main__":
    sys.exit(vms.main(globals()))
