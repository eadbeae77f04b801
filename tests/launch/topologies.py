# SPDX-License-Identifier: BSD-2-Clause
"""Topologies, names, -n, --dry-run, --dir, --gdb, machines, and all that can be asked wrongly."""
import os
import re
import shlex
import shutil
import socket
import subprocess

from harness import EXIT_TOOL, STANDIN, TOOL, LaunchTest, main, wait_until


class Topologies(LaunchTest):
    def test_two_guests_share_a_plain_region(self):
        file = self.topology("region w plain\nguest a APP on=w -- d p5a =got x0a\n"
                             "guest b APP on=w -- d g5a\n")
        _, out, _ = self.run_tool("run", file, "--timeout", "50", status=0)
        self.assertIn("a | got", out)

    def test_two_guests_share_a_doorbell_region(self):
        file = self.topology("region w\nguest a APP on=w -- d p5a =got x0a\n"
                             "guest b APP on=w -- d g5a\n")
        _, out, _ = self.run_tool("run", file, "--timeout", "50", status=0)
        self.assertIn("a | got", out)

    def test_regions_are_kept_apart(self):
        """b writes into its own region only: c waits in vain until d writes into theirs."""
        file = self.topology("region one plain\nregion two plain\nguest b APP on=one -- d g5a e16\n"
                             "guest c APP on=two -- d p5b =right x0a\nguest d APP on=two -- d g5b\n"
                             "guest many APP on=one,two -- d\nguest none APP -- d\n")
        _, out, _ = self.run_tool("run", file, "--timeout", "50", status=0)
        self.assertIn("c    | right", out)
        self.assertIn("many | ivshmem: 2 device(s)", out)
        self.assertIn("none | ivshmem: 0 device(s)", out)

    def test_a_guest_holds_only_its_own_regions(self):
        file = self.topology("region one plain\nregion two plain\nguest a APP on=one -- =up x0a h\n"
                             "guest b APP on=two -- h\n")
        process = self.start("run", file)
        self.read_until(process.stdout, "up")
        fds = f"/proc/{self.qemus('a')[0]}/fd"
        held = {os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)}
        self.assertIn("/memfd:one (deleted)", held)
        self.assertNotIn("/memfd:two (deleted)", held)
        process.terminate()
        process.wait(60)

    def test_machines(self):
        for machine, bios in (("pc", "seabios"), ("q35", "seabios"), ("pc", "qboot"),
                              ("q35", "qboot"), ("microvm", "seabios"), ("microvm", "qboot")):
            with self.subTest(machine=machine, bios=bios):
                _, out, _ = self.run_tool("run", STANDIN, "--machine", machine, "--bios", bios,
                                          "--", "=booted", "x0a", status=0)
                self.assertIn("a | booted", out)

    def test_names_are_found_beside_the_tool(self):
        os.makedirs(self.path("b/bin"))
        os.makedirs(self.path("b/apps"))
        tool = shutil.copy(TOOL, self.path("b/bin/isthmus"))
        shutil.copy(STANDIN, self.path("b/apps/one.elf"))
        shutil.copy(STANDIN, self.path("b/apps/both.elf"))
        self.path("b/apps/both.topo", "about Both of them\nguest t one -- =topology x0a\n")
        self.path("b/apps/bad.topo", "nonsense\n")
        _, out, _ = self.run_tool("run", "one", "--plain", "--", "=app", "x0a", tool=tool, status=0)
        self.assertEqual(out, "a | app\n")
        _, out, _ = self.run_tool("run", "both", "--", "=more", tool=tool, status=0)
        self.assertEqual(out, "t | topology\nt | more\n")
        _, out, _ = self.run_tool("run", "both.elf", "--plain", "--", "=image", tool=tool, status=0)
        self.assertEqual(out, "a | image\n")
        _, out, _ = self.run_tool("list", tool=tool, status=0)
        self.assertRegex(out, r"(?m)^  both +Both of them \(1 guest\)$")
        self.assertRegex(out, r"(?m)^  one +an app")
        self.assertRegex(out, r"(?m)^  bad +unusable: bad.topo:1: 'nonsense' begins no line")
        _, _, err = self.run_tool("run", "three", tool=tool, status=EXIT_TOOL)
        self.assertIn("there is no app or topology 'three'", err)
        # An app's name in a topology of the user's own is looked for beside it, then in the build.
        file = self.path("mine.topo", "guest g one -- =mine x0a\n")
        _, out, _ = self.run_tool("run", file, tool=tool, status=0)
        self.assertEqual(out, "g | mine\n")

    def test_relative_paths(self):
        shutil.copy(STANDIN, self.path("app.elf"))
        os.mkdir(self.path("sub"))
        self.path("sub/t.topo", "guest g ../app.elf -- =ok\n")
        for what in ("app.elf", "./app.elf"):
            self.run_tool("run", what, "--plain", status=0)
        _, out, _ = self.run_tool("run", "sub/t.topo", status=0)
        self.assertEqual(out, "g | ok\n")

    def test_numbers_of_guests(self):
        def names(*args):
            _, out, _ = self.run_tool("run", *args, "--plain", "--", "=x", "x0a", status=0)
            return sorted(line.split()[0] for line in out.splitlines())

        self.assertEqual(names(STANDIN), ["a"])
        self.assertEqual(names(STANDIN, "-n", "4"), ["a", "b", "c", "d"])
        file = self.topology("guest boss APP\nguest w APP count=2\n")
        self.assertEqual(names(file), ["boss", "w1", "w2"])
        self.assertEqual(names(file, "-n", "4"), ["boss", "w1", "w2", "w3"])
        self.assertEqual(names(file, "-n", "2"), ["boss", "w"])
        file = self.topology("guest a APP\nguest b APP\n")
        self.assertEqual(names(file, "-n", "2"), ["a", "b"])
        _, _, err = self.run_tool("run", file, "-n", "3", status=EXIT_TOOL)
        self.assertIn("t.topo has 2 guests and no line with count=: -n 3 can't change that", err)


class DryRun(LaunchTest):
    def commands(self, *args):
        _, out, err = self.run_tool("run", "--dry-run", *args, status=0)
        self.assertEqual(err, "")
        return out

    def paste(self, commands, shell="sh"):
        done = subprocess.run([shell], input=commands.encode(), env=self.env(), cwd=self.dir,
                              timeout=60, capture_output=True, check=False)
        self.assertEqual(self.processes(), [])
        folder = re.match(r"mkdir -m 700 (\S+)\n", commands).group(1)
        self.assertFalse(os.path.exists(folder), folder)
        return done.stdout.decode(), done.stderr.decode()

    def test_pasted_commands_work(self):
        for kind in ("plain", "doorbell"):
            file = self.topology(f"region w {kind}\nregion v plain size=64K\n"
                                 "guest a APP on=w -- d p5a =got x0a e19\n"
                                 "guest b APP on=w,v -- d g5a\n")
            commands = self.commands(file)
            for shell in ("sh", "bash"):
                with self.subTest(kind=kind, shell=shell):
                    out, err = self.paste(commands, shell)
                    self.assertEqual(err, "")
                    self.assertIn("got", out)
                    self.assertIn("a: QEMU exited with 39", out)
                    self.assertIn("b: QEMU exited with 33 (33 is success)", out)

    def test_awkward_paths_and_arguments(self):
        folder = self.path("it's a, $HOME \"dir\"")
        os.mkdir(folder)
        image = shutil.copy(STANDIN, os.path.join(folder, "a b.elf"))
        where = os.path.join(folder, "d")
        commands = self.commands(image, "-n", "2", "--dir", where, "--", "=it's", "=$HOME",
                                 "a  b", "d")
        done = subprocess.run(["sh"], input=commands.encode(), env=self.env(), timeout=60,
                              capture_output=True, check=False)
        self.assertEqual(done.stderr.decode(), "")
        self.assertEqual(done.stdout.decode().count("ivshmem: 1 device(s)"), 2)
        self.assertFalse(os.path.exists(where))
        # The run itself copes as well.
        _, out, _ = self.run_tool("run", image, "--dir", where, "--", "d", status=0)
        self.assertIn("ivshmem: 1 device(s)", out)

    def test_it_runs_what_the_run_runs(self):
        """But for the folder and the memory of plain regions, the commands are the same words."""
        args = ("run", STANDIN, "--machine", "pc", "--mem", "96", "--vectors", "3", "--size", "1M",
                "--", "=up", "x0a", "h")
        process = self.start(*args)
        self.read_until(process.stdout, "up")
        with open(f"/proc/{self.qemus('a')[0]}/cmdline", "rb") as f:
            real = f.read().decode().split("\0")[:-1]
        folder = os.path.join(self.tmp, os.listdir(self.tmp)[0])
        process.terminate()
        process.wait(60)
        _, out, _ = self.run_tool("run", "--dry-run", "--dir", folder, *args[1:], status=0)
        dry = [line for line in out.splitlines() if "-nodefaults" in line][0]
        self.assertEqual(shlex.split(dry.split(" </dev/null")[0]), real)

    def test_it_starts_nothing(self):
        self.commands(STANDIN, "-n", "3")
        self.assertEqual(os.listdir(self.tmp), [])


class Gdb(LaunchTest):
    def test_the_guest_waits_for_gdb(self):
        process = self.start("run", STANDIN, "--plain", "--gdb", "--", "=ran", "x0a", "e16")
        text = self.read_until(process.stderr, "continue\n")
        match = re.fullmatch(r"isthmus: a waits for gdb; in another terminal: gdb -q (\S+) "
                             r"-ex 'target remote (\S+)' -ex 'hbreak main' -ex continue\n", text)
        self.assertTrue(match, text)
        self.assertEqual(match.group(1), STANDIN)
        with socket.socket(socket.AF_UNIX) as gdb:
            gdb.settimeout(60)
            gdb.connect(self.wait_for(match.group(2)))
            gdb.sendall(b"+$?#3f")
            answer = b""
            while b"#" not in answer:
                answer += gdb.recv(4096)
            self.assertIn(b"$T05", answer)     # stopped: nothing has run yet
            self.assertIsNone(process.poll())
            gdb.sendall(b"+$c#63")
            out, _ = process.communicate(timeout=60)
        self.assertEqual(out, b"a | ran\n")
        self.assertEqual(process.returncode, 0)
        self.assert_clean()

    @staticmethod
    def wait_for(path):
        wait_until("gdb's socket", lambda: os.path.exists(path))
        return path

    def test_another_guest_can_be_chosen(self):
        _, out, _ = self.run_tool("run", STANDIN, "-n", "3", "--gdb=c", "--dry-run", status=0)
        lines = [line for line in out.splitlines() if "-nodefaults" in line]
        self.assertEqual([" -S" in line for line in lines], [False, False, True])
        _, _, err = self.run_tool("run", STANDIN, "--gdb=z", status=EXIT_TOOL)
        self.assertIn("--gdb z: there is no such guest; the first is 'a'", err)


class Dir(LaunchTest):
    def test_the_sockets_can_be_had_at_a_known_place(self):
        where = self.path("here")
        process = self.start("run", STANDIN, "--dir", where, "--", "=up", "x0a", "h")
        self.read_until(process.stdout, "up")
        self.assertEqual(sorted(os.listdir(where)), ["a.qmp", "shm.sock"])
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.settimeout(60)
            qmp.connect(os.path.join(where, "a.qmp"))
            self.assertIn(b'"QMP"', qmp.recv(4096))
        process.terminate()
        process.wait(60)
        self.assertFalse(os.path.exists(where))
        self.assert_clean()

    def test_plain_regions_are_files_there(self):
        where = self.path("here")
        process = self.start("run", STANDIN, "--plain", "--size", "64K", "--dir", where, "--",
                             "d", "g5a", "=up", "x0a", "h")
        self.read_until(process.stdout, "up")
        with open(os.path.join(where, "shm.mem"), "rb") as f:
            data = f.read()
        self.assertEqual((len(data), data[0]), (65536, 0x5a))
        process.kill()
        process.wait(60)
        self.assert_clean(eventually=True)

    def test_an_existing_one_is_not_touched(self):
        self.path("here/file", "precious")
        _, _, err = self.run_tool("run", STANDIN, "--dir", self.path("here"), status=EXIT_TOOL)
        self.assertIn("exists; name one that doesn't", err)
        self.assertTrue(os.path.exists(self.path("here/file")))
        _, _, err = self.run_tool("run", STANDIN, "--dir", self.path("x" * 100), status=EXIT_TOOL)
        self.assertIn("too long", err)


class BadInput(LaunchTest):
    def test_each_gets_one_line(self):
        text = self.path("text.elf", "this is no ELF file\n" * 10)
        empty = self.path("empty.elf", "")
        script = self.path("notx", "#!/bin/sh\n", 0o644)
        lines = self.path("bad.topo", "guest a x\nguest a y\n")
        nowhere = self.path("nowhere.topo", "guest a /nonexistent/x\n")
        unnamed = self.path("unnamed.topo", "guest a thisappisnotthere\n")
        twins = self.topology("guest a1 APP\nguest a APP count=2\n")
        for args, part in (
                ([], "run wants an APP or a TOPOLOGY"),
                (["nosuchapp"], "there is no app or topology 'nosuchapp'"),
                (["./nosuch.elf"], "there is no file ./nosuch.elf"),
                ([text], "is no guest image"),
                ([empty], "is no guest image"),
                (["/bin/true"], "is no guest image"),
                ([self.dir + "/"], "there is no file"),
                ([lines], "bad.topo:2: guest 'a' is already on line 1"),
                ([nowhere], "there is no image /nonexistent/x"),
                ([unnamed], "there is no app 'thisappisnotthere'"),
                ([twins], "two guests would be named 'a1'"),
                ([STANDIN, "--nonsense"], "run has no option '--nonsense'"),
                ([STANDIN, "--machine", "toaster"],
                 "machine 'toaster' isn't one of pc, q35 and microvm"),
                ([STANDIN, "--size", "3M"], "--size 3M: QEMU takes only powers of two"),
                ([STANDIN, "--qemu", "/nonexistent/qemu"],
                 "can't run QEMU: /nonexistent/qemu is not there"),
                ([STANDIN, "--qemu", "noqemuofthisname"],
                 "there is no noqemuofthisname on the PATH; install qemu-system-x86"),
                ([STANDIN, "--qemu", script], "is no program"),
                ([STANDIN, "--server", "/nonexistent/server"],
                 "can't run ivshmem-server: /nonexistent/server is not there"),
                ([STANDIN, "--bios", "/nonexistent/bios"],
                 "--bios /nonexistent/bios: No such file"),
                ([STANDIN, "--input", "z"], "--input z: there is no such guest"),
        ):
            with self.subTest(args=args):
                _, out, err = self.run_tool("run", *args, status=EXIT_TOOL)
                self.assertEqual(out, "")
                self.assertEqual(err.count("\n"), 1, err)
                self.assertTrue(err.startswith("isthmus: "), err)
                self.assertIn(part, err)

    def test_output_that_nobody_gets(self):
        for command in ("list", "help"):
            with open("/dev/full", "wb") as full:
                _, _, err = self.run_tool(command, status=EXIT_TOOL, stdout=full)
            self.assertIn("isthmus: the output could not be written: No space left", err)

    def test_commands(self):
        _, _, err = self.run_tool("dance", status=EXIT_TOOL)
        self.assertEqual(err, "isthmus: there is no command 'dance'; `isthmus help` lists them\n")
        _, _, err = self.run_tool("list", "x", status=EXIT_TOOL)
        self.assertEqual(err.count("\n"), 1)
        for args in (["help"], ["--help"], []):
            _, out, _ = self.run_tool(*args, status=0)
            self.assertIn("run APP|TOPOLOGY [-n N]", out)
        _, out, _ = self.run_tool("run", "--help", status=0)
        self.assertIn("--keep-going", out)

    def test_no_qemu_at_all(self):
        _, _, err = self.run_tool("run", STANDIN, env=self.env(PATH="/nonexistent"),
                                  status=EXIT_TOOL)
        self.assertIn("there is no qemu-system-x86_64 on the PATH", err)

    def test_a_tmpdir_that_is_too_long_or_gone(self):
        for tmpdir in ("/nonexistent-" + "x" * 100, "relative"):
            self.run_tool("run", STANDIN, "--", "d", env=self.env(TMPDIR=tmpdir), status=0)
        _, _, err = self.run_tool("run", STANDIN, env=self.env(TMPDIR="/nonexistent"),
                                  status=EXIT_TOOL)
        self.assertIn("can't make the directory /nonexistent/isthmus-", err)


if __name__ == "__main__":
    main()
