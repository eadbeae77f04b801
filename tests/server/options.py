# SPDX-License-Identifier: BSD-2-Clause
"""The command line: QEMU's options and defaults, Isthmus's own, and one clear line for each mistake."""
import fcntl
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Case, SECONDS, SERVER, main, seals  # noqa: E402


class Options(Case):
    def region_size(self, *args, **kwargs):
        client = self.client(self.server(*args, **kwargs))
        client.greeting()
        return os.fstat(client.region).st_size

    def test_help(self):
        for option in "-h", "--help":
            result = self.start(option)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            for text in ("-h", "-v", "-F", "-p", "-S", "-M", "-m", "-l", "-n", "--memfd",
                         "--sticky-ids", "/var/run/ivshmem-server.pid", "/tmp/ivshmem_socket",
                         "ivshmem", "4M"):
                self.assertIn(text, result.stdout)
        self.assertEqual(self.start("-h", "-l", "nonsense").returncode, 0)

    def test_help_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            run = subprocess.run([SERVER, "-h"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn("could not be written", run.stderr)

    def test_sizes(self):
        for text, size in (("4194304", 4 << 20), ("1", 4096), ("1000", 4096), ("64k", 64 << 10),
                           ("64K", 64 << 10), ("5M", 8 << 20), ("3m", 4 << 20), ("0x100000", 1 << 20),
                           ("1.5M", 2 << 20), ("1g", 1 << 30), ("3G", 4 << 30), ("4G", 4 << 30)):
            self.assertEqual(self.region_size("-l", text, "--memfd", shm=False), size, text)
        self.assertEqual(self.region_size(), 4 << 20)
        self.assertEqual(self.region_size("-l", "2t", "--memfd", shm=False), 2 << 40)

    def test_sizes_that_cannot_be(self):
        folder = self.folder()
        path = folder + "/socket"
        for text in ("", "x", "M", "-1", "-4M", "+4M", " 4M", "4M ", "4MB", "4 M", "4X", "1.5", "1.",
                     ".5M", "1e6", "4M4", "0x", "0xM", "1.5.5M", "4,5M"):
            self.refused("-F", "-S", path, "-M", "isthmus-test-none", "-l", text, says=["-l", "size"])
        for text in "0", "0M", "0.0G", "00", "0x0", "0.0001k":
            self.refused("-F", "-S", path, "-M", "isthmus-test-none", "-l", text,
                         says=["-l " + text, "4K"])
        for text in ("16E", "99999999999999999999", "18446744073709551616", "8E", "4611686018427387905",
                     "17179869184G", "0xffffffffffffffffff"):
            self.refused("-F", "-S", path, "-M", "isthmus-test-none", "-l", text,
                         says=["too large", "4 EiB"])
        self.refused("-F", "-S", path, "-M", "isthmus-test-none", "-l", "1P",
                     says=["/dev/shm has room for", "1 PiB"])
        self.refused("-F", "-S", path, "-m", folder, "-l", "1P", says=[folder, "1 PiB"])
        self.assertEqual(os.listdir(folder), [])
        self.assertFalse(os.path.exists("/dev/shm/isthmus-test-none"))

    def test_vectors(self):
        for text, count in ("0x10", 16), ("010", 8), ("256", 256), ("1", 1):
            client = self.client(self.server("-n", text), count)
            self.assertTrue(client.nothing())
        for text in "257", "1000", "99999999999999999999", "4294967297":
            self.refused("-F", "-n", text, says=["-n " + text, "too many", "256"])
        for text in "", "x", "-1", "+1", " 1", "1x", "08", "1.0", "0x":
            self.refused("-F", "-n", text, says=["-n", "not a number"])

    def test_verbose_needs_foreground(self):
        self.refused("-v", says=["-v", "-F"])
        server = self.server("-v")
        self.client(server, 1).close()
        server.wait_log("listening on " + server.path)
        server.wait_log("peer 0 joined (process %d)" % os.getpid())
        server.wait_log("peer 0 left")

    def test_quiet_without_verbose(self):
        server = self.server()
        self.client(server, 1).close()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.log(), "")

    def test_unknown(self):
        for args, says in ((["-x"], "-x"), (["--no-such"], "--no-such"), (["-F", "socket"], "socket"),
                           (["-S"], "-S"), (["-l"], "-l"), (["--memfd=1"], "--memfd"),
                           (["--size"], "--size"), (["-F", "--ready-fd", "x"], "--ready-fd")):
            self.refused(*args, says=[says])

    def test_paths(self):
        self.refused("-F", "-S", "", says=["-S", "107"])
        self.refused("-F", "-S", "/tmp/" + "x" * 103, says=["-S", "107"])
        self.refused("-p", "", says=["-p", "empty"])
        self.refused("-F", "-S", "/no/such/folder/socket", "-M", "isthmus-test-none",
                     says=["-S /no/such/folder/socket", "No such file"])
        self.assertFalse(os.path.exists("/dev/shm/isthmus-test-none"))

    def test_the_longest_path(self):
        folder = self.folder()
        path = folder + "/" + "s" * (107 - len(folder) - 1)
        server = self.server("-S", path)
        self.client(path, 1)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(os.listdir(folder), [])

    def test_shm_names(self):
        server = self.server("-M", f"/isthmus-test-{os.getpid()}-slash", shm=False)
        self.assertTrue(os.path.exists(f"/dev/shm/isthmus-test-{os.getpid()}-slash"))
        self.assertEqual(server.stop(), 0)
        self.assertFalse(os.path.exists(f"/dev/shm/isthmus-test-{os.getpid()}-slash"))
        for name in "", "/", "a/b", "/dev/hugepages":
            self.refused("-F", "-M", name, says=["-M", "-m"])
        self.refused("-F", "-S", self.folder() + "/socket", "-M", "x" * 300, says=["-M", "255"])

    def test_a_name_given_to_m_is_told_of_M(self):
        folder = self.folder()
        for name in "ivshmem", "/no/such/folder", __file__:
            self.refused("-F", "-S", folder + "/socket", "-m", name, says=["-m " + name, "-M"])
        self.assertEqual(os.listdir(folder), [])

    def test_a_folder(self):
        folder = self.folder()
        server = self.server("-m", folder, "-l", "64K", shm=False)
        client = self.client(server, 1)
        self.assertEqual(os.fstat(client.region).st_size, 64 << 10)
        self.assertEqual(os.fstat(client.region).st_dev, os.stat(folder).st_dev)
        self.assertEqual(os.listdir(folder), [], "no name is left behind, whatever happens")

    def test_the_last_region_wins(self):
        folder = self.folder()
        name = f"isthmus-test-{os.getpid()}-last"
        for args, kind in ((["-m", folder, "-M", name], "shm"), (["-M", name, "-m", folder], "dir"),
                           (["--memfd", "-M", name], "shm"), (["-M", name, "--memfd"], "memfd"),
                           (["-m", "/no/such/folder", "--memfd"], "memfd")):
            server = self.server(*args, shm=False)
            client = self.client(server, 1)
            self.assertEqual(os.path.exists("/dev/shm/" + name), kind == "shm", args)
            found = os.readlink(f"/proc/self/fd/{client.region}")
            self.assertEqual(found.startswith("/memfd:"), kind == "memfd", args)
            self.assertEqual(found.startswith(folder), kind == "dir", args)
            server.stop()

    def test_memfd_is_sealed(self):
        client = self.client(self.server("--memfd", "-l", "1M", shm=False), 1)
        self.assertEqual(seals(client.region), 1 | 2 | 4)  # SEAL, SHRINK, GROW
        for size in 0, 4096, 2 << 20:
            with self.assertRaises(PermissionError):
                os.ftruncate(client.region, size)
        os.pwrite(client.region, b"x", (1 << 20) - 1)

    def test_long_options(self):
        folder = self.folder()
        name = f"isthmus-test-{os.getpid()}-long"
        server = self.server("--foreground", "--verbose", "--socket", folder + "/s", "--size=1M",
                             "--vectors", "3", "--shm-name", name, "--pid-file", folder + "/p",
                             shm=False)
        client = self.client(folder + "/s", 3)
        self.assertEqual(os.fstat(client.region).st_size, 1 << 20)
        self.assertEqual(os.stat("/dev/shm/" + name).st_size, 1 << 20)
        self.assertFalse(os.path.exists(folder + "/p"), "for daemons only")
        server.stop()

    def test_huge_pages(self):
        """Two pages are reserved and given back; the mount is seen by this server alone."""
        if os.geteuid():
            self.skipTest("needs root, to mount a hugetlbfs and reserve pages")
        folder, size = self.folder(), "pagesize=2M"
        inside = ["unshare", "-m", "/bin/sh", "-c",
                  f'mount -t hugetlbfs -o {size} none {folder} && exec "$@"', "sh"]
        if subprocess.run(inside + ["true"], capture_output=True, check=False).returncode:
            self.skipTest("a hugetlbfs of 2 MiB pages can't be mounted here")
        pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
        with open(pool, "r+", encoding="ascii") as pages:
            # As all tests that change this number do.
            fcntl.flock(pages, fcntl.LOCK_EX)
            before = int(pages.read())
            path = self.folder() + "/socket"
            result = subprocess.run(inside + [SERVER, "-F", "-S", path, "-m", folder, "-l", "64G"],
                                    capture_output=True, text=True, check=False, timeout=SECONDS)
            self.assertEqual(result.returncode, 1)
            for text in ("64 GiB need 32768 huge pages of 2 MiB", "echo 32768 >",
                         "hugepages-2048kB/nr_hugepages"):
                self.assertIn(text, result.stderr)
            self.assertFalse(os.path.exists(path))
            try:
                os.pwrite(pages.fileno(), str(before + 2).encode(), 0)
                if int(os.pread(pages.fileno(), 20, 0)) < before + 2:
                    self.skipTest("the kernel has no 2 MiB pages to spare")
                for wanted, size in ("4K", 2 << 20), ("3M", 4 << 20):
                    server = self.server("-m", folder, "-l", wanted, shm=False, before=inside)
                    client = self.client(server, 1)
                    self.assertEqual(os.fstat(client.region).st_size, size)
                    self.assertEqual(os.fstat(client.region).st_blksize, 2 << 20)
                    client.close()
                    server.stop()
            finally:
                os.pwrite(pages.fileno(), str(before).encode(), 0)

    def test_closed_standard_files(self):
        folder = self.folder()
        read, write = os.pipe()
        line = (f'exec {SERVER} -F -S {folder}/s --memfd --ready-fd {write} <&- >&- 2>&-')
        with subprocess.Popen(["/bin/sh", "-c", line], pass_fds=[write]) as process:
            os.close(write)
            self.assertEqual(os.read(read, 1), b"\n")
            os.close(read)
            client = self.client(folder + "/s", 1)
            self.assertGreater(min(client.own + [client.region]), 2)
            names = [os.readlink(f"/proc/{process.pid}/fd/{i}") for i in range(3)]
            self.assertEqual(names, ["/dev/null"] * 3)
            process.terminate()
            self.assertEqual(process.wait(SECONDS), 0)


if __name__ == "__main__":
    main()
