# SPDX-License-Identifier: BSD-2-Clause
"""Runs the launcher as a user would and looks at what it leaves behind.

Each run gets a temporary folder of its own and a mark in its environment, which every process that
descends from it inherits: whatever carries the mark afterwards was left behind.
"""
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

BUILD = os.environ.get("ISTHMUS_BUILD", "")
TOOL = os.path.join(BUILD, "bin", "isthmus")
STANDIN = os.path.join(BUILD, "tests", "launch", "standin.elf")
PATIENCE = 60  # seconds until a wait counts as a hang; no test is judged by its speed

EXIT_NO_STATUS, EXIT_PANIC, EXIT_QEMU, EXIT_SERVER, EXIT_TIMEOUT, EXIT_TOOL = range(120, 126)


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE} s in vain for: {what}")


class LaunchTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="isthmus-test-")
        self.tmp = os.path.join(self.dir, "tmp")
        os.mkdir(self.tmp)
        self.mark = "ISTHMUS_TEST_MARK=" + uuid.uuid4().hex
        self.started = []

    def tearDown(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        left = self.processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir)

    def env(self, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR",)}
        env.update({"TMPDIR": self.tmp, "TERM": "xterm"})
        name, value = self.mark.split("=")
        env[name] = value
        env.update(more)
        return env

    def path(self, name, text=None, mode=0o644):
        """A file of this test, written if text is given."""
        path = os.path.join(self.dir, name)
        if text is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(path, mode)
        return path

    def topology(self, text):
        """A topology in which the word APP means the stand-in guest."""
        return self.path("t.topo", text.replace("APP", STANDIN))

    def start(self, *args, tool=TOOL, env=None, **kwargs):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "env": env or self.env(), "cwd": self.dir}
        options.update(kwargs)
        process = subprocess.Popen([tool, *args], **options)
        self.started.append(process)
        return process

    def run_tool(self, *args, status=None, clean=True, input=None, **kwargs):
        """Run to the end; returns (status, stdout, stderr) and checks that nothing is left."""
        if input is not None:
            kwargs["stdin"] = subprocess.PIPE
        process = self.start(*args, **kwargs)
        out, err = process.communicate(input=input, timeout=PATIENCE)
        out, err = (x.decode("utf-8", "replace") if x is not None else "" for x in (out, err))
        if status is not None:
            self.assertEqual(process.returncode, status, f"\nstdout:\n{out}\nstderr:\n{err}")
        if clean:
            self.assert_clean()
        return process.returncode, out, err

    def processes(self, *parts):
        """Pids of live processes with our mark whose command line has each of `parts`."""
        found = []
        mark = self.mark.encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark not in f.read().split(b"\0"):
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().decode("utf-8", "replace").split("\0")
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
                    words.append(f.read().strip())
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if all(any(part in word for word in words) for part in parts):
                found.append(int(pid))
        return found

    def qemus(self, name=None):
        return [p for p in self.processes("-nodefaults") if not name or p in self.named(name)]

    def named(self, name):
        found = []
        for pid in self.processes("-nodefaults"):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if "-name" in words and words[words.index("-name") + 1] == name:
                found.append(pid)
        return found

    def assert_clean(self, eventually=False):
        """No process, no file. The launcher cleans before it ends; its guardian soon after."""
        if eventually:
            wait_until("processes to end", lambda: not self.processes())
            wait_until("files to go", lambda: not os.listdir(self.tmp))
        self.assertEqual([], [self.describe(p) for p in self.processes()], "processes left behind")
        self.assertEqual([], os.listdir(self.tmp), "files left behind")

    @staticmethod
    def describe(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return f"{pid}: " + f.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return f"{pid}: gone meanwhile"

    def read_until(self, stream, part):
        """Read from a pipe or terminal until `part` has come; returns all of it."""
        fd = stream if isinstance(stream, int) else stream.fileno()
        text = b""
        end = time.monotonic() + PATIENCE
        while part.encode() not in text:
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, f"'{part}' did not come; got {text!r}")
            try:
                more = os.read(fd, 65536)
            except OSError:
                more = b""
            self.assertTrue(more, f"the output ended before '{part}'; got {text!r}")
            text += more
        return text.decode("utf-8", "replace")


class Terminal:
    """The tool in a session of its own with a terminal as stdin, stdout and stderr."""

    def __init__(self, test, *args, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(test.dir)
            os.execve(TOOL, [TOOL, *args], env or test.env())
        self.text = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def finish(self):
        """Read to the end; returns (status as waitpid gives it, everything shown)."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                more = b""
            if not more:
                break
            self.text += more.decode("utf-8", "replace")
        else:
            os.kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return status, self.text


def main():
    if not os.path.exists(TOOL) or not os.path.exists(STANDIN):
        sys.exit(f"set ISTHMUS_BUILD to a build folder with bin/isthmus and {STANDIN}")
    if not shutil.which("qemu-system-x86_64"):
        print("SKIP: qemu-system-x86_64 is not on the PATH (qemu-system-x86)")
        sys.exit(77)
    unittest.main(verbosity=2)
