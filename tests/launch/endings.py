# SPDX-License-Identifier: BSD-2-Clause
"""How guests end and what the launcher makes of it."""
import os
import signal
import subprocess

from harness import (EXIT_NO_STATUS, EXIT_PANIC, EXIT_QEMU, EXIT_SERVER, EXIT_TIMEOUT, EXIT_TOOL,
                     STANDIN, LaunchTest, main, wait_until)


class Endings(LaunchTest):
    def one(self, *words, status):
        return self.run_tool("run", STANDIN, "--plain", "--", *words, status=status)[2]

    def test_success_says_nothing(self):
        self.assertEqual("", self.one("e16", status=0))

    def test_each_way_to_end(self):
        for word, status, text in (
                ("e17", 1, "exited with status 1"),
                ("e58", 42, "exited with status 42"),
                ("e116", 100, "exited with status 100"),
                ("e127", EXIT_PANIC, "panicked"),
                ("t", EXIT_NO_STATUS, "powered off without a status"),
                ("e0", EXIT_QEMU, "QEMU failed"),
                ("e5", EXIT_QEMU, "QEMU exited with code 11, which is no guest status")):
            with self.subTest(word=word):
                self.assertIn(f"isthmus: a: {text}", self.one(word, status=status))

    def test_qemus_own_error_is_shown(self):
        _, _, err = self.run_tool("run", STANDIN, "--plain", "--qemu-arg=-nonsense",
                                  status=EXIT_QEMU)
        self.assertIn("a ! ", err)
        self.assertIn("-nonsense", err)
        self.assertIn("isthmus: a: QEMU failed", err)

    def test_a_killed_qemu_is_named(self):
        process = self.start("run", STANDIN, "--plain", "--", "=ready", "x0a", "h")
        self.read_until(process.stdout, "ready")
        os.kill(self.qemus("a")[0], signal.SIGSEGV)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, EXIT_QEMU)
        self.assertIn(b"isthmus: a: QEMU ended by SIGSEGV", err)
        self.assert_clean()

    def test_one_failure_ends_all(self):
        file = self.topology("guest good APP -- h\nguest bad APP -- =oops x0a e19\n"
                             "guest done APP -- e16\n")
        _, out, err = self.run_tool("run", file, status=3)
        self.assertIn("bad  | oops", out)
        self.assertIn("isthmus: bad: exited with status 3", err)
        self.assertIn("isthmus: good: was still running and was ended", err)

    def test_keep_going_waits_for_the_others(self):
        file = self.topology("guest bad APP -- =up x0a e127\nguest good APP -- r e20\n")
        process = self.start("run", file, "--keep-going", "--input", "good", stdin=subprocess.PIPE)
        self.read_until(process.stdout, "bad  | up")
        wait_until("bad to end", lambda: not self.qemus("bad"))
        self.assertIsNone(process.poll())
        out, err = process.communicate(b"late\n", timeout=60)
        self.assertEqual(process.returncode, EXIT_PANIC)
        self.assertIn(b"late]\n", out)
        self.assertIn(b"isthmus: bad: panicked", err)
        self.assertIn(b"isthmus: good: exited with status 4", err)
        self.assert_clean()

    def test_timeout(self):
        _, _, err = self.run_tool("run", STANDIN, "-n", "2", "--plain", "--timeout", "1", "--", "h",
                                  status=EXIT_TIMEOUT)
        self.assertIn("isthmus: timed out after 1 s", err)
        self.assertIn("isthmus: b: was still running and was ended", err)

    def test_a_topology_can_set_the_timeout_and_the_user_another(self):
        file = self.topology("timeout 1\nguest a APP -- h\n")
        self.run_tool("run", file, status=EXIT_TIMEOUT)
        file = self.topology("timeout 1000\nguest a APP -- h\n")
        self.run_tool("run", file, "--timeout", "1", status=EXIT_TIMEOUT)


class Servers(LaunchTest):
    def test_doorbell_region_has_a_server(self):
        _, out, _ = self.run_tool("run", STANDIN, "-n", "2", "--", "d", status=0)
        self.assertEqual(sorted(out.splitlines()),
                         ["a | ivshmem: 1 device(s)", "b | ivshmem: 1 device(s)"])

    def kill_server(self, *options):
        process = self.start("run", STANDIN, *options, "-n", "2", "--", "=up", "x0a", "d", "p5a")
        self.read_until(process.stdout, "up")
        wait_until("both guests", lambda: len(self.qemus()) == 2)
        os.kill(self.processes("ivshmem-server", "--sticky-ids")[0], signal.SIGKILL)
        return process

    def test_a_killed_server_ends_the_run(self):
        process = self.kill_server()
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, EXIT_SERVER)
        self.assertIn(b"isthmus: ivshmem-server of region 'shm' ended by SIGKILL", err)
        self.assert_clean()

    def test_a_killed_server_is_survived_with_keep_going(self):
        process = self.kill_server("--keep-going")
        self.read_until(process.stderr, "ended by SIGKILL")
        self.assertIsNone(process.poll())
        self.assertEqual(len(self.qemus()), 2)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        self.assert_clean()

    def test_a_server_that_fails_at_once(self):
        server = self.path("server", "#!/bin/sh\necho no luck today >&2\nexit 3\n", 0o755)
        _, _, err = self.run_tool("run", STANDIN, "--server", server, status=EXIT_SERVER)
        self.assertEqual(err, "server.shm ! no luck today\n"
                              "isthmus: ivshmem-server of region 'shm' exited with status 3\n")

    def test_a_server_that_never_listens(self):
        server = self.path("server", "#!/bin/sh\nexec sleep 1000\n", 0o755)
        self.run_tool("run", STANDIN, "--server", server, "--timeout", "1", status=EXIT_TIMEOUT)

    def test_a_server_that_binds_and_does_not_listen_is_waited_for(self):
        server = self.path("server", "#!/usr/bin/python3\nimport socket, sys, time\n"
                           "s = socket.socket(socket.AF_UNIX)\n"
                           "s.bind(sys.argv[sys.argv.index('-S') + 1])\n"
                           "print('bound', flush=True)\ntime.sleep(1000)\n", 0o755)
        process = self.start("run", STANDIN, "--server", server)
        self.read_until(process.stderr, "bound")
        self.assertEqual(self.qemus(), [])
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        self.assert_clean()

    def test_a_server_that_is_no_program(self):
        server = self.path("server", "\0\0\0\0", 0o755)
        _, _, err = self.run_tool("run", STANDIN, "--server", server, status=EXIT_TOOL)
        self.assertIn(f"isthmus: can't start {server} for server.shm: Exec format error", err)

    def test_a_server_that_ignores_sigterm_is_ended_too(self):
        real = os.path.join(os.environ["ISTHMUS_BUILD"], "bin", "ivshmem-server")
        server = self.path("server", f"#!/bin/sh\ntrap '' TERM\n{real} \"$@\" &\n"
                           "while :; do wait; done\n", 0o755)
        self.run_tool("run", STANDIN, "--server", server, "--", "e16", status=0)


if __name__ == "__main__":
    main()
