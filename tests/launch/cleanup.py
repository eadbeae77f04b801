# SPDX-License-Identifier: BSD-2-Clause
"""However the launcher ends, nothing stays behind."""
import array
import fcntl
import os
import random
import shutil
import signal
import subprocess
import termios
import time

from harness import EXIT_TOOL, STANDIN, TOOL, LaunchTest, Terminal, main, wait_until


class Cleanup(LaunchTest):
    def running(self, *options, **kwargs):
        """Two guests asleep on a doorbell region, and one on a plain one."""
        file = self.topology("region w\nregion p plain\nguest a APP on=w -- =up x0a h\n"
                             "guest b APP on=w,p -- =up x0a h\nguest c APP on=p -- =up x0a h\n")
        process = self.start("run", file, *options, **kwargs)
        text = ""
        while text.count("up") < 3:
            text += self.read_until(process.stdout, "up")
        self.assertEqual(len(self.qemus()), 3)
        self.assertEqual(len(os.listdir(self.tmp)), 1)
        return process

    def test_signals(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(sig=sig):
                process = self.running()
                process.send_signal(sig)
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 128 + sig)
                self.assertEqual(err.decode(), f"isthmus: ended by {sig.name}\n")
                self.assert_clean()

    def test_ctrl_c_in_a_terminal(self):
        terminal = Terminal(self, "run", STANDIN, "-n", "2", "--", "=up", "x0a", "h")
        terminal.text = self.read_until(terminal.fd, "up")
        terminal.type("\x03")
        status, text = terminal.finish()
        self.assertEqual(os.waitstatus_to_exitcode(status), 130, text)
        self.assertNotIn("QEMU", text)
        self.assert_clean()

    def test_a_terminal_that_goes_away(self):
        terminal = Terminal(self, "run", STANDIN, "-n", "2", "--", "=up", "x0a", "h")
        self.read_until(terminal.fd, "up")
        os.close(terminal.fd)
        status = os.waitpid(terminal.pid, 0)[1]
        self.assertIn(os.waitstatus_to_exitcode(status),
                      (128 + signal.SIGHUP, 128 + signal.SIGPIPE))
        self.assert_clean()

    def test_sigkill(self):
        process = self.running()
        process.kill()
        process.wait(60)
        self.assert_clean(eventually=True)

    def test_sigkill_at_any_moment(self):
        rng = random.Random(1)
        for _ in range(25):
            process = self.start("run", STANDIN, "-n", "2", "--", "h", stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            time.sleep(rng.random() * 0.12)
            process.kill()
            process.wait(60)
            self.assert_clean(eventually=True)

    def test_sigkill_behind_a_wrapper(self):
        qemu = self.path("wrapper", "#!/bin/sh\nqemu-system-x86_64 \"$@\"\nexit $?\n", 0o755)
        process = self.start("run", STANDIN, "--plain", "--qemu", qemu, "--", "=up", "x0a", "h")
        self.read_until(process.stdout, "up")
        self.assertGreaterEqual(len(self.qemus()), 1)
        process.kill()
        process.wait(60)
        self.assert_clean(eventually=True)
        process = self.start("run", STANDIN, "--plain", "--qemu", qemu, "--", "=up", "x0a", "h")
        self.read_until(process.stdout, "up")
        process.terminate()
        process.wait(60)
        self.assert_clean()

    def test_a_killed_guardian_is_noticed(self):
        process = self.running()
        os.kill(self.processes("isthmus-guard")[0], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, EXIT_TOOL)
        self.assertIn(b"isthmus: the guardian process was killed", err)
        self.assert_clean()

    def test_a_stopped_launcher_that_is_killed(self):
        process = self.running()
        process.send_signal(signal.SIGSTOP)
        process.kill()
        process.wait(60)
        self.assert_clean(eventually=True)

    def test_the_reader_goes_away(self):
        process = self.start("run", STANDIN, "--plain", "-n", "2", "--", "f")
        process.stdout.readline()
        process.stdout.close()
        process.wait(60)
        self.assertEqual(process.returncode, 128 + signal.SIGPIPE)
        self.assert_clean()

    def test_a_reader_that_stalls_does_not_hold_ctrl_c(self):
        process = self.start("run", STANDIN, "--plain", "--", "f")
        # Until the pipe is full and the launcher waits for it; then nobody reads any more.
        wait_until("a full pipe", lambda: self.pipe_is_full(process.stdout))
        process.send_signal(signal.SIGINT)
        process.wait(60)
        self.assertEqual(process.returncode, 130)
        self.assert_clean()

    @staticmethod
    def pipe_is_full(pipe):
        held = array.array("i", [0])
        fcntl.ioctl(pipe.fileno(), termios.FIONREAD, held)
        return held[0] > 60000

    def test_a_reader_that_stalls_does_not_hold_the_timeout(self):
        process = self.start("run", STANDIN, "--plain", "--timeout", "2", "--", "f")
        process.wait(60)
        self.assertEqual(process.returncode, 124)
        self.assert_clean()

    def test_closed_standard_streams(self):
        command = 'exec "$0" run "$1" --plain -- =x x0a e20 <&- >&- 2>&-'
        done = subprocess.run(["sh", "-c", command, TOOL, STANDIN], env=self.env(), timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 4)
        self.assert_clean()

    def test_an_ignored_sigint_stays_ignored(self):
        process = self.running(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        process.terminate()
        process.wait(60)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)

    def test_two_runs_side_by_side(self):
        first, second = self.running_names(), self.running_names()
        self.assertEqual(len(os.listdir(self.tmp)), 2)
        first.terminate()
        first.wait(60)
        self.assertEqual(len(os.listdir(self.tmp)), 1)
        self.assertIsNone(second.poll())
        second.terminate()
        second.wait(60)
        self.assert_clean()

    def running_names(self):
        process = self.start("run", STANDIN, "--", "=up", "x0a", "h")
        self.read_until(process.stdout, "up")
        return process


class Media(LaunchTest):
    """A boot medium is made by programs of others, who have temporary files of their own."""

    def setUp(self):
        super().setUp()
        if not shutil.which("grub-mkrescue") or not shutil.which("xorriso"):
            self.skipTest("grub-mkrescue or xorriso isn't there")

    def start_iso(self):
        return self.start("run", STANDIN, "--boot", "iso", "-n", "2", "--", "h",
                          stdout=subprocess.DEVNULL)

    def test_ctrl_c_while_media_are_made(self):
        process = self.start_iso()
        wait_until("a maker", lambda: self.processes("grub-mkrescue"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(err, b"isthmus: ended by SIGINT\n")
        self.assert_clean(eventually=True)

    def test_sigkill_while_media_are_made(self):
        rng = random.Random(2)
        for _ in range(5):
            process = self.start_iso()
            time.sleep(rng.random() * 0.8)
            process.kill()
            process.communicate(timeout=60)
            self.assert_clean(eventually=True)

    def test_a_maker_that_fails_is_heard(self):
        programs = self.path("programs")
        os.mkdir(programs)
        for name in ("qemu-system-x86_64",):
            os.symlink(shutil.which(name), os.path.join(programs, name))
        _, _, err = self.run_tool("run", STANDIN, "--boot", "iso", env=self.env(PATH=programs),
                                  status=EXIT_TOOL)
        self.assertIn("a ! isthmus: ", err)
        self.assertIn("apt-get install", err)
        self.assertIn("isthmus: a: what it boots from could not be made", err)


if __name__ == "__main__":
    main()
