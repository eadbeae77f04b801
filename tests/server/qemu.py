# SPDX-License-Identifier: BSD-2-Clause
"""Real QEMUs on the server: no guest is needed, for it is QEMU that does the handshake."""
import json
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (Case, Client, SECONDS, die_with_parent, main, readable, ring,  # noqa: E402
                     wait_for)

QEMU = shutil.which("qemu-system-x86_64")


class Qemu:
    """A paused VM, and its monitor."""

    def __init__(self, server, vectors, *args, device=True):
        ours, theirs = socket.socketpair()
        command = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-S", "-m", "16",
                   "-machine", "pc", "-accel", os.environ.get("ISTHMUS_ACCEL", "tcg"),
                   "-chardev", f"socket,id=mon,fd={theirs.fileno()}", "-mon", "mon,mode=control"]
        if device:
            command += ["-chardev", f"socket,path={server.path},id=iv0",
                        "-device", f"ivshmem-doorbell,chardev=iv0,vectors={vectors},id=shm0"]
        self.process = subprocess.Popen(command + list(args), pass_fds=[theirs.fileno()],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent)
        theirs.close()
        ours.settimeout(SECONDS)
        self.sock, self.lines = ours, ours.makefile("rw")

    def ready(self):
        assert "QMP" in json.loads(self.lines.readline() or "{}"), self.process.communicate()[1]
        self.qmp("qmp_capabilities")
        return self

    def qmp(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            line = self.lines.readline()
            assert line, f"QEMU has ended: {self.process.wait(SECONDS)}"
            answer = json.loads(line)
            if "event" not in answer:
                assert "return" in answer, answer
                return answer["return"]

    def hmp(self, line):
        return self.qmp("human-monitor-command", **{"command-line": line})

    def quit(self):
        """Ends it in good order; its exit status says whether its heap was whole."""
        self.qmp("quit")
        error = self.process.communicate(timeout=SECONDS)[1]
        self.close()
        return self.process.returncode, error

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.lines.close()
        self.sock.close()


class Qemus(Case):
    def setUp(self):
        if not QEMU:
            self.skipTest("qemu-system-x86_64 is not installed")

    def qemu(self, *args, ready=True, **kwargs):
        qemu = Qemu(*args, **kwargs)
        self.addCleanup(qemu.close)
        return qemu.ready() if ready else qemu

    def has_device(self, qemu):
        self.assertIn("ivshmem-doorbell", qemu.hmp("info qtree"))
        self.assertEqual(qemu.qmp("query-status")["status"], "prelaunch")

    def test_two_live_side_by_side_and_one_is_replaced(self):
        for options in [], ["--sticky-ids", "--memfd"]:
            server = self.server("-n", 8, "-v", *options, shm=not options)
            watcher = self.client(server, 8)
            a, b = self.qemu(server, 8), self.qemu(server, 8)
            watcher.until(2, 8)
            self.has_device(a)
            self.has_device(b)
            for round_number in range(3):
                b.process.kill()
                b.process.wait()
                server.wait_log("left")
                b = self.qemu(server, 8)
                self.has_device(a)
                if options:
                    self.assertTrue(watcher.nothing())
                else:
                    watcher.left(2 + round_number)
                    watcher.joined(3 + round_number, 8)
            self.assertEqual(a.quit(), (0, ""))
            self.assertEqual(b.quit(), (0, ""))

    def test_many_vectors(self):
        server = self.server("-n", 256, "-l", "64K")
        a, b = self.qemu(server, 256), self.qemu(server, 256)
        client = self.client(server, 256)
        client.pending()
        self.assertEqual(sorted(client.peers), [0, 1])
        for qemu in a, b:
            self.has_device(qemu)
            self.assertEqual(qemu.quit(), (0, ""))

    def test_the_smallest_region(self):
        server = self.server("-l", "1")
        qemu = self.qemu(server, 1)
        self.assertIn("0xfff]", wait_for("BAR 2", lambda: "0x" in qemu.hmp("info pci") and
                                         qemu.hmp("info mtree -f") and "0xfff]"))
        self.assertEqual(qemu.quit(), (0, ""))

    def test_the_server_ends_first(self):
        for options in [], ["--sticky-ids"]:
            server = self.server("-n", 2, *options)
            a, b = self.qemu(server, 2), self.qemu(server, 2)
            self.assertEqual(server.stop(), 0)
            for qemu in a, b:
                self.has_device(qemu)
                self.assertEqual(qemu.quit(), (0, ""))

    def test_one_that_is_refused_says_so(self):
        """Were the socket merely closed, QEMU 7.2 would spin for ever."""
        import resource
        server = self.server(
            "-n", 16, limits=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (36, 36)))
        first = self.qemu(server, 16)
        second = self.qemu(server, 16, ready=False)
        error = second.process.communicate(timeout=SECONDS)[1]
        self.assertEqual(second.process.returncode, 1)
        self.assertIn("server sent version -3", error)
        self.has_device(first)
        self.assertEqual(first.quit(), (0, ""))

    def test_a_client_that_came_and_went_before(self):
        """Ids in QEMU's peer table that have gone, and vacant ids under --sticky-ids."""
        for options in [], ["--sticky-ids"]:
            server = self.server("-n", 2, *options)
            clients = [self.client(server, 2) for _ in range(6)]
            qemu = self.qemu(server, 2)
            for client in clients[1::2]:
                client.close()
            for _ in range(10):
                self.client(server, 2).close()
            late = self.client(server, 2)
            self.has_device(qemu)
            self.assertIn(6, late.peers)
            self.assertEqual(qemu.quit(), (0, ""))

    def test_unplugged_and_plugged_again_with_sticky_ids(self):
        """After a disconnect message device_del corrupts QEMU's heap; sticky ids send none."""
        server = self.server("-n", 4, "--sticky-ids", "-v")
        client = self.client(server, 4)
        qemu = self.qemu(server, 4)
        client.joined(1, 4)
        self.client(server, 4).close()
        server.wait_log("peer 2 left")
        # Before the guest runs there is no unplug; chardev-remove fails while the device is there.
        other = self.qemu(server, 4, device=False)
        for _ in range(3):
            other.qmp("chardev-add", id="iv1", backend={"type": "socket", "data": {
                "addr": {"type": "unix", "data": {"path": server.path}}, "server": False}})
            other.qmp("device_add", driver="ivshmem-doorbell", chardev="iv1", vectors=4, id="d")
            self.has_device(other)
            other.qmp("system_reset")
            other.close()
            server.wait_log("peer 2 left")
            other = self.qemu(server, 4, device=False)
        self.assertEqual(other.quit(), (0, ""))
        self.has_device(qemu)
        self.assertEqual(qemu.quit(), (0, ""))


if __name__ == "__main__":
    main()
