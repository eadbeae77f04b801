# SPDX-License-Identifier: BSD-2-Clause
"""What the tests with several VMs share: a server, regions, guests that run side by side.

A test file is a list of functions named test_*; main() runs those that its arguments name, or all."""
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SOURCE = os.environ.get("ISTHMUS_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/guest"), os.path.join(SOURCE, "tests/server")]
import boot  # noqa: E402
import harness  # noqa: E402

SUCCESS = boot.SUCCESS
PATIENCE = 60  # until a guest that should have ended counts as hanging


class Failure(Exception):
    pass


class Guest:
    """A running VM; its output goes to a file."""
    count = 0

    def __init__(self, scene, image, append="", devices=(), before=(), **options):
        Guest.count += 1
        self.scene = scene
        self.name = f"guest {Guest.count} ({image})"
        self.line = list(before) + boot.qemu_line(
            os.path.abspath(boot.find_image(image)), append=append, extra=devices, **options)
        self.path = os.path.join(scene.folder, f"output.{Guest.count}")
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(
                self.line, stdin=subprocess.PIPE, stdout=output, stderr=output,
                cwd=scene.folder, preexec_fn=harness.die_with_parent)
        scene.guests.append(self)

    def output(self):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_output(self, pattern, seconds=PATIENCE):
        """Waits until the output has it; fails at once if the guest ends without."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = self.process.poll() is not None
            match = re.search(pattern, self.output(), re.MULTILINE)
            if match:
                return match
            if ended:
                break
            time.sleep(0.01)
        raise Failure(f"{self.name}: no line like {pattern!r}")

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, status=0, expect=(), refuse=("^FAIL",), seconds=PATIENCE):
        """Waits for the end and holds status and output against what is expected."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            code = None
        result = boot.Result(code, self.output(), self.line)
        found = boot.faults(result, boot.code_of(status), expect, refuse)
        if found:
            raise Failure(f"{self.name}: " + "; ".join(found))


class Scene:
    """One test's VMs, servers and files. All of it is gone at the end."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="isthmus-system-")
        self.folder = self.temporary.name
        self.guests, self.servers = [], []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for guest in self.guests:
            if guest.process.poll() is None:
                guest.kill()
            guest.process.stdin.close()
            if error:
                print(f"--- {guest.name}: {shlex.join(guest.line)}\n{guest.output()}")
        with contextlib.ExitStack() as last:  # all of it, even if a server complains at its end
            last.callback(self.temporary.cleanup)
            for server in self.servers:
                if error:
                    print(f"--- server: {server.log()}")
                last.callback(server.remove)

    def server(self, size="1M", vectors=1, *more):
        server = harness.Server("-l", size, "-n", vectors, *more)
        self.servers.append(server)
        return server

    def doorbell(self, server, vectors=1, name="iv0", more=""):
        """QEMU's words for a doorbell device of that server."""
        return ["-chardev", f"socket,path={server.path},id={name}",
                "-device", f"ivshmem-doorbell,chardev={name},vectors={vectors}{more}"]

    def region(self, size):
        """A file to be a plain region, sparse."""
        path = os.path.join(self.folder, f"region.{len(os.listdir(self.folder))}")
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def plain(self, path, name="iv0", more="", size=None):
        size = size or os.path.getsize(path)
        return ["-object",
                f"memory-backend-file,id={name},share=on,mem-path={path},size={size}",
                "-device", f"ivshmem-plain,memdev={name}{more}"]

    def guest(self, *args, **options):
        return Guest(self, *args, **options)


def run_case(name, case):
    """True: it passed; says so."""
    start = time.monotonic()
    try:
        with Scene() as scene:
            case(scene)
        print(f"PASS {name} ({time.monotonic() - start:.1f} s)", flush=True)
        return True
    except (Failure, AssertionError) as error:
        print(f"FAIL {name}: {error}", flush=True)
        return False


def run_several(cases, at_once):
    """Each in a process of its own, whose words are shown when it has ended. Returns how many failed."""
    running, failed, left = {}, 0, list(cases)
    sys.stdout.flush()
    while left or running:
        while left and len(running) < at_once:
            name, case = left.pop(0)
            words = tempfile.TemporaryFile()
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    harness.die_with_parent()
                    os.dup2(words.fileno(), 1)
                    os.dup2(words.fileno(), 2)
                    status = 0 if run_case(name, case) else 1
                except BaseException:  # pylint: disable=broad-except
                    traceback.print_exc()
                    print(f"FAIL {name}")
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(status)
            running[pid] = words
        pid, status = os.wait()
        words = running.pop(pid)
        words.seek(0)
        sys.stdout.write(words.read().decode(errors="replace"))
        sys.stdout.flush()
        words.close()
        failed += status != 0
    return failed


def main(tests, at_once=1):
    """Runs the functions that argv names (without test_), all without names; at_once: so many side by side,
    where they sleep more than they compute."""
    boot.need_qemu()
    if not os.access(harness.SERVER, os.X_OK):
        boot.skip(f"no {harness.SERVER}: build it first")
    known = {name[5:]: f for name, f in tests.items() if name.startswith("test_")}
    for name in sys.argv[1:]:
        if name not in known:
            sys.exit(f"no test {name}; there are {', '.join(known)}")
    cases = [(name, known[name]) for name in sys.argv[1:] or known]
    if at_once > 1 and len(cases) > 1:
        sys.exit(1 if run_several(cases, at_once) else 0)
    # A list: all of them run.
    sys.exit(0 if all([run_case(name, case) for name, case in cases]) else 1)
