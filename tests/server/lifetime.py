# SPDX-License-Identifier: BSD-2-Clause
"""Start and end: daemon, pid file, stale and live sockets, regions of others, signals."""
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Case, SECONDS, SERVER, main, ring, rung, wait_for  # noqa: E402


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def gone(pid):
    try:
        return read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Lifetime(Case):
    def setUp(self):
        self.dir = self.folder()
        self.path, self.pid = self.dir + "/socket", self.dir + "/pid"
        self.shm = f"isthmus-test-{os.getpid()}-{self._testMethodName}"
        self.addCleanup(lambda: os.path.exists("/dev/shm/" + self.shm) and
                        os.unlink("/dev/shm/" + self.shm))

    def args(self, *more):
        return ["-S", self.path, "-p", self.pid, "-M", self.shm, "-l", "1M"] + list(more)

    def daemon(self, *more, **kwargs):
        result = self.start(*self.args(*more), **kwargs)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        pid = int(read(self.pid))
        self.addCleanup(lambda: gone(pid) or os.kill(pid, signal.SIGKILL))
        return pid

    def end(self, pid, number=signal.SIGTERM):
        os.kill(pid, number)
        wait_for("the daemon's end", lambda: gone(pid))

    def left(self):
        return sorted(os.listdir(self.dir)) + [n for n in os.listdir("/dev/shm") if n == self.shm]

    def test_daemon(self):
        pid = self.daemon()
        # No waiting: the parent's success means that all this is so.
        client = self.client(self.path, 1)
        self.assertEqual(read(self.pid), f"{pid}\n")
        self.assertEqual(os.getsid(pid), pid)
        self.assertEqual(os.stat("/dev/shm/" + self.shm).st_size, 1 << 20)
        self.assertEqual({os.readlink(f"/proc/{pid}/fd/{i}") for i in range(3)}, {"/dev/null"})
        self.end(pid)
        self.assertTrue(client.closed())
        self.assertEqual(self.left(), [])

    def test_daemon_ignores_hangup(self):
        pid = self.daemon()
        os.kill(pid, signal.SIGHUP)
        self.client(self.path, 1)
        self.end(pid, signal.SIGINT)
        self.assertEqual(self.left(), [])

    def test_relative_paths(self):
        self.path, self.pid = "socket", "pid"
        result = self.start(*self.args(), cwd=self.dir)
        self.assertEqual(result.returncode, 0, result)
        pid = int(read(self.dir + "/pid"))
        self.client(self.dir + "/socket", 1)
        self.end(pid)
        self.assertEqual(self.left(), [])

    def test_signals_in_the_foreground(self):
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
            server = self.server(folder=self.dir)
            client = self.client(server, 1)
            self.assertEqual(server.stop(number), 0)
            self.assertTrue(client.closed())
            self.assertFalse(os.path.exists(server.path))
            self.assertFalse(os.path.exists(server.shm_path()))

    def test_nohup(self):
        server = self.server(limits=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        server.kill(signal.SIGHUP)
        self.client(server, 1)
        self.assertTrue(server.alive())

    def test_signal_ignored_by_a_background_shell(self):
        server = self.server(limits=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        self.assertEqual(server.stop(signal.SIGINT), 0)

    def test_ended_with_clients_that_do_not_read(self):
        server = self.server("-n", 64)
        for _ in range(10):
            self.client(server)
        self.assertEqual(server.stop(), 0)
        self.assertFalse(os.path.exists(server.shm_path()))

    def test_pid_file_that_cannot_be_written(self):
        self.pid = "/no/such/folder/pid"
        self.refused(*self.args(), says=["-p /no/such/folder/pid", "No such file"])
        self.assertEqual(self.left(), [])

    def test_failures_reach_the_parent(self):
        self.path = "/no/such/folder/socket"
        self.refused(*self.args(), says=["-S /no/such/folder/socket"])
        self.assertEqual(self.left(), [])

    def test_stale_socket_and_region(self):
        """After SIGKILL the same command works again, and the region's contents are still there."""
        pid = self.daemon()
        client = self.client(self.path, 1)
        os.pwrite(client.region, b"survives", 4096)
        self.end(pid, signal.SIGKILL)
        self.assertEqual(self.left(), ["pid", "socket", self.shm])
        pid = self.daemon()
        again = self.client(self.path, 1)
        self.assertEqual(os.pread(again.region, 8, 4096), b"survives")
        self.assertEqual(os.fstat(again.region).st_ino, os.fstat(client.region).st_ino)
        self.end(pid)
        self.assertEqual(self.left(), [])

    def test_live_socket(self):
        """The second start fails, and nobody on the first notices anything."""
        pid = self.daemon()
        a, b = self.client(self.path, 1), self.client(self.path, 1)
        a.joined(1, 1)
        before = self.left()
        for more in ["-F"], ["-l", "8M"], ["-F", "-M", self.shm + "-other"], ["--memfd"]:
            self.refused(*self.args("-p", self.pid + "2", *more), says=["-S " + self.path, "running"])
        self.assertEqual(self.left(), before)
        self.assertEqual(os.fstat(a.region).st_size, 1 << 20)
        self.assertTrue(a.nothing() and b.nothing(), "not even a connection")
        ring(a.peers[1][0])
        self.assertEqual(rung(b.own[0], 5), 1)
        c = self.client(self.path, 1)
        self.assertEqual(c.id, 2)
        self.end(pid)
        self.assertEqual(self.left(), [])

    def test_live_socket_of_another_kind(self):
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET:
            with socket.socket(socket.AF_UNIX, kind) as other:
                other.bind(self.path)  # and doesn't even listen
                self.refused("-F", *self.args(), says=["-S " + self.path, "running"])
            os.unlink(self.path)
        self.assertEqual(self.left(), [])

    def test_not_a_socket(self):
        with open(self.path, "w", encoding="ascii") as file:
            file.write("precious")
        self.refused("-F", *self.args(), says=["not a socket"])
        self.assertEqual(read(self.path), "precious")
        os.unlink(self.path)
        os.mkdir(self.path)
        self.refused("-F", *self.args(), says=["not a socket"])
        os.rmdir(self.path)
        os.symlink(self.dir + "/nowhere", self.path)
        self.refused("-F", *self.args(), says=["not a socket"])
        self.assertEqual(self.left(), ["socket"])

    def test_region_of_another_server(self):
        pid = self.daemon()
        client = self.client(self.path, 1)
        first = self.left()
        for more in [], ["-l", "512K"], ["-l", "2M"]:
            self.refused(*self.args("-S", self.path + "2", "-p", self.pid + "2", *more),
                         says=["-M " + self.shm, "another ivshmem-server"])
        self.assertEqual(self.left(), first)
        self.assertEqual(os.fstat(client.region).st_size, 1 << 20)
        self.end(pid)
        self.assertEqual(self.left(), [])

    def test_region_still_held_by_clients_of_a_dead_server(self):
        pid = self.daemon()
        client = self.client(self.path, 1)
        self.end(pid, signal.SIGKILL)
        pid = self.daemon()
        self.assertEqual(os.fstat(self.client(self.path, 1).region).st_ino,
                         os.fstat(client.region).st_ino)
        self.end(pid)

    def test_region_is_never_cut(self):
        with open("/dev/shm/" + self.shm, "wb") as file:
            file.truncate(4 << 20)
        self.refused("-F", *self.args(), says=["4 MiB", "1 MiB", "remove it"])
        self.assertEqual(os.stat("/dev/shm/" + self.shm).st_size, 4 << 20)
        self.assertFalse(os.path.exists(self.path))
        self.daemon("-l", "4M")

    def test_found_region_survives_a_failed_start(self):
        with open("/dev/shm/" + self.shm, "wb") as file:
            file.truncate(1 << 20)
        self.refused(*self.args("-p", "/no/such/folder/pid"), says=["-p"])
        self.assertTrue(os.path.exists("/dev/shm/" + self.shm))

    def test_small_region_grows(self):
        with open("/dev/shm/" + self.shm, "wb") as file:
            file.write(b"kept")
        self.daemon()
        client = self.client(self.path, 1)
        self.assertEqual(os.fstat(client.region).st_size, 1 << 20)
        self.assertEqual(os.pread(client.region, 4, 0), b"kept")

    def test_replaced_files_stay(self):
        pid = self.daemon()
        for path in self.path, "/dev/shm/" + self.shm, self.pid:
            os.unlink(path)
            with open(path, "w", encoding="ascii") as file:
                file.write("1\n")
        self.end(pid)
        self.assertEqual(self.left(), ["pid", "socket", self.shm])

    def test_removed_files_do_not_matter(self):
        pid = self.daemon()
        os.unlink(self.path)
        os.unlink(self.pid)
        os.unlink("/dev/shm/" + self.shm)
        self.end(pid)
        self.assertEqual(self.left(), [])

    def test_two_servers_with_one_pid_file(self):
        first = self.daemon()
        other = self.folder()
        result = self.start("-S", other + "/socket", "-p", self.pid, "-M", self.shm + "2")
        self.assertEqual(result.returncode, 0)
        second = int(read(self.pid))
        self.end(first)
        self.assertEqual(int(read(self.pid)), second, "the first leaves the second's alone")
        self.end(second)
        self.assertFalse(os.path.exists(self.pid))

    def test_many_start_at_once_on_a_stale_socket(self):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(self.path)
            ready, done = os.pipe()
            starts = [subprocess.Popen([SERVER, "-F", "-S", self.path, "--memfd", "--ready-fd", str(done)],
                                       pass_fds=[done], stderr=subprocess.DEVNULL) for _ in range(8)]
            try:
                os.close(done)
                self.assertEqual(os.read(ready, 1), b"\n")
                wait_for("all but one to give up", lambda: sum(s.poll() is None for s in starts) == 1)
                self.client(self.path, 1).close()
                self.assertEqual(os.read(ready, 1), b"", "one started, and one only")
            finally:
                os.close(ready)
                for start in starts:
                    start.terminate()
                    start.wait(SECONDS)
            self.assertFalse(os.path.exists(self.path))

    def test_the_folder_is_locked_while_the_socket_is_made(self):
        """Seen from outside: a start waits for another's lock, but not for ever."""
        folder = os.open(self.dir, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        args = self.args("-F", "--memfd")
        for let_go in True, False:
            start = time.monotonic()
            process = subprocess.Popen([SERVER] + args)
            try:
                time.sleep(0.2)
                left = self.left()
                if time.monotonic() - start < 0.9:  # it waits for a second, which may be over here
                    self.assertEqual(left, [], "it waits")
                if let_go:
                    fcntl.flock(folder, fcntl.LOCK_UN)
                wait_for("the socket", lambda: os.path.exists(self.path))
            finally:
                process.terminate()
                self.assertEqual(process.wait(SECONDS), 0)
            fcntl.flock(folder, fcntl.LOCK_EX)
        os.close(folder)

    def test_ready_means_ready(self):
        for _ in range(20):
            server = self.server("--memfd", shm=False)
            self.client(server, 1)
            self.assertEqual(server.stop(), 0)

    def test_ready_fd_that_is_not_open(self):
        self.refused("-F", *self.args("--ready-fd", "77"), says=["--ready-fd 77"])
        self.assertEqual(self.left(), [])


if __name__ == "__main__":
    main()
