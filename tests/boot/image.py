# SPDX-License-Identifier: BSD-2-Clause
"""`isthmus image`: what it writes, read by readers of its own, and what it says to bad requests."""
import filecmp
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

import media

HELLO = os.path.join(media.BUILD, "apps", "hello.elf")
EXIT_TOOL = 125
SECTOR = 512


def tool(*args, **env):
    return subprocess.run([media.TOOL, "image", *args], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **env}, stdin=subprocess.DEVNULL, check=False,
                          start_new_session=True)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def needs(kind):
    why = media.lacks(kind, "seabios")
    return unittest.skipIf(why, why or "")


def sections(pe):
    """name -> (address, contents) of a PE file."""
    at = struct.unpack_from("<I", pe, 0x3C)[0]
    assert pe[:2] == b"MZ" and pe[at:at + 4] == b"PE\0\0"
    count, optional = struct.unpack_from("<H12xH", pe, at + 6)
    image_size, headers_size = struct.unpack_from("<II", pe, at + 24 + 56)
    found, end = {}, headers_size
    for i in range(count):
        name, size, address, raw, offset = struct.unpack_from("<8sIIII", pe, at + 24 + optional + 40 * i)
        assert address >= end and address % 0x1000 == 0, "sections overlap or aren't on pages"
        assert offset + raw <= len(pe) and offset >= headers_size
        end = address + size
        found[name.rstrip(b"\0").decode()] = address, pe[offset:offset + size]
    assert end <= image_size
    return found


class Image(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="isthmus-image-test-")
        self.tmp = os.path.join(self.folder, "tmp")
        os.mkdir(self.tmp)

    def tearDown(self):
        left = os.listdir(self.tmp)
        shutil.rmtree(self.folder)
        self.assertEqual(left, [], "temporary files were left")

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, name, *args):
        done = tool("hello", "-o", self.path(name), *args, TMPDIR=self.tmp)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        return self.path(name)

    def refused(self, *args, says, **env):
        """One line, the tool's status, and nothing written."""
        before = sorted(os.listdir(self.folder))
        done = tool(*args, **{"TMPDIR": self.tmp, **env})
        self.assertEqual(done.returncode, EXIT_TOOL, done)
        self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done)
        self.assertIn(says, done.stderr)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_elf_has_what_is_loaded_and_no_more(self):
        small, whole = read(self.make("h.elf")), read(HELLO)
        self.assertLess(len(small), len(whole) / 3)
        count, = struct.unpack_from("<H", small, 56)
        segments = [struct.unpack_from("<QQQQQ", small, 64 + 56 * i + 8) for i in range(count)]
        self.assertEqual(len(small), max(offset + size for offset, _, _, size, _ in segments))
        # Byte for byte the built one, but for the three fields that point to what was cut.
        same = bytearray(whole[:len(small)])
        struct.pack_into("<Q", same, 40, 0)
        struct.pack_into("<HH", same, 60, 0, 0)
        self.assertEqual(small, bytes(same))

    def test_elf_is_what_pvh_monitors_expect(self):
        """One Xen note with a physical entry in the image's first 2 MiB; no other note to stumble over."""
        elf = read(self.make("h.elf"))
        entry, = struct.unpack_from("<Q", elf, 24)
        headers = [struct.unpack_from("<IIQQQQQQ", elf, 64 + 56 * i)
                   for i in range(struct.unpack_from("<H", elf, 56)[0])]
        loads = [h for h in headers if h[0] == 1]
        notes = [h for h in headers if h[0] == 4]
        self.assertEqual((min(h[4] for h in loads), len(notes)), (2 << 20, 1))
        _, _, offset, _, _, size, _, align = notes[0]
        self.assertEqual(align, 4)
        name_size, size_of, kind = struct.unpack_from("<III", elf, offset)
        self.assertEqual((name_size, size_of, kind, elf[offset + 12:offset + 16]), (4, 8, 18, b"Xen\0"))
        self.assertEqual(size, 12 + 4 + 8)
        start, = struct.unpack_from("<Q", elf, offset + 16)
        self.assertTrue(2 << 20 <= start < 4 << 20, hex(start))
        for at, field in ((start, 4), (entry, 3)):
            self.assertTrue(any(h[field] <= at < h[field] + h[5] and h[1] & 1 for h in loads), hex(at))

    @needs("uefi")
    def test_efi_carries_the_elf_and_its_arguments(self):
        elf = read(self.make("h.elf"))
        found = sections(read(self.make("h.efi", "--", "one", "two three", "it's")))
        self.assertEqual(found[".guest"][1], elf)
        self.assertEqual(found[".cmdline"][1], b"one 'two three' 'it'\\''s'\0")
        self.assertIn(".text", found)
        self.assertNotIn(".cmdline", sections(read(self.make("bare.efi"))))

    @needs("disk")
    def test_disk_has_a_partition_table_that_others_read(self):
        disk, efi = read(self.make("h.img")), read(self.make("h.efi"))
        sectors = len(disk) // SECTOR
        self.assertEqual((len(disk) % SECTOR, disk[510:512], disk[450]), (0, b"\x55\xaa", 0xEE))
        for here, other in ((1, sectors - 1), (sectors - 1, 1)):
            header = bytearray(disk[here * SECTOR:here * SECTOR + 92])
            magic, revision, size, crc, _, me, twin, first, last = \
                struct.unpack_from("<8sIIIIQQQQ", header)
            entries, count, entry_size, entries_crc = struct.unpack_from("<QIII", header, 72)
            self.assertEqual((magic, revision, size, me, twin), (b"EFI PART", 0x10000, 92, here, other))
            struct.pack_into("<I", header, 16, 0)
            self.assertEqual(crc, zlib.crc32(header))
            table = disk[entries * SECTOR:entries * SECTOR + count * entry_size]
            self.assertEqual(entries_crc, zlib.crc32(table))
            start, end = struct.unpack_from("<QQ", table, 32)
            self.assertTrue(first <= start < end <= last, (first, start, end, last))
            self.assertEqual(table[:16].hex(), "28732ac11ff8d211ba4b00a0c93ec93b")
            self.assertEqual(table[entry_size:], bytes(len(table) - entry_size))
        copy = self.path("copy.efi")
        subprocess.run(["mcopy", "-i", f"{self.path('h.img')}@@{start * SECTOR}",
                        "::/EFI/BOOT/BOOTX64.EFI", copy], check=True, timeout=20)
        self.assertEqual(read(copy), efi)

    @needs("disk")
    def test_the_same_input_gives_the_same_image(self):
        for tail in ("elf", "efi", "img"):
            one, two = self.make("one." + tail), self.make("two." + tail)
            self.assertTrue(filecmp.cmp(one, two, shallow=False), tail)

    @needs("uefi")
    @unittest.skipIf(not shutil.which("sbsign"), "no sbsign (Debian: sbsigntool)")
    @unittest.skipIf(not os.path.exists(media.SNAKEOIL_KEY), "no OVMF test keys (Debian: ovmf)")
    def test_signature_is_valid(self):
        phrase = self.path("phrase")
        with open(phrase, "w", encoding="ascii") as f:
            f.write("snakeoil\n")
        sign = ["--sign", media.SNAKEOIL_KEY, media.SNAKEOIL_CERT]
        signed = self.make("h.efi", *sign, "--passphrase", phrase)
        check = subprocess.run(["sbverify", "--cert", media.SNAKEOIL_CERT, signed], check=False,
                               capture_output=True, text=True, timeout=20)
        self.assertEqual(check.returncode, 0, check)
        self.assertNotIn("warning", check.stderr)
        self.refused("hello", "-o", self.path("x.efi"), *sign, says="--passphrase FILE")
        with open(phrase, "w", encoding="ascii") as f:
            f.write("wrong\n")
        self.refused("hello", "-o", self.path("x.efi"), *sign, "--passphrase", phrase, says="sbsign failed")

    def test_an_old_file_stays_where_the_new_one_fails(self):
        path = self.path("old.efi")
        with open(path, "wb") as f:
            f.write(b"old")
        self.refused("hello", "-o", path, "--sign", "/no/key", "/no/cert", says="can't read /no/key")
        self.assertEqual(read(path), b"old")

    @needs("iso")
    def test_ctrl_c_leaves_nothing_behind(self):
        ended = 0
        for delay in (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2):
            out = self.path("x.iso")
            process = subprocess.Popen([media.TOOL, "image", "hello", "-o", out], start_new_session=True,
                                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env={**os.environ, "TMPDIR": self.tmp})
            time.sleep(delay)
            try:
                os.killpg(process.pid, signal.SIGINT)
            except ProcessLookupError:
                pass
            ended += process.wait(timeout=20) == -signal.SIGINT
            self.assertEqual(os.listdir(self.tmp), [])
            if os.path.exists(out):
                os.unlink(out)
            self.assertEqual(os.listdir(self.folder), ["tmp"])
        self.assertGreater(ended, 0, "no signal came before the end")

    def test_bad_requests(self):
        out = self.path("x.efi")
        self.refused(says="which app")
        self.refused("hello", says="add -o hello.efi")
        self.refused("hello", "-o", self.path("x.bin"), says="must end in .elf, .efi, .img or .iso")
        self.refused("nosuch", "-o", out, says="no app or topology 'nosuch'")
        self.refused("/etc/passwd", "-o", out, says="/etc/passwd is no guest image")
        self.refused("/dev/null", "-o", out, says="/dev/null is no guest image")
        self.refused("hello", "world", "-o", out, says="one app at a time")
        self.refused("hello", "-o", out, "--sign", "key", says="--sign isn't an option")
        self.refused("hello", "-o", "/no/such/folder/x.efi", says="can't write /no/such/folder/x.efi: No such")
        self.refused("hello", "-o", self.path("x.elf"), "--", "a", says="no place for arguments")
        self.refused("hello", "-o", self.path("x.elf"), "--sign", "a", "b", says="only UEFI programs are signed")
        self.refused("hello", "-o", self.path("x.iso"), "--sign", "a", "b", says="boots through GRUB")
        self.refused("hello", "-o", out, "--", "x" * 5000, says="longer than 4095 bytes")
        self.refused("hello", "-o", out, TMPDIR="/no/such/folder", says="folder for temporary files")
        cut = self.path("cut.elf")
        with open(cut, "wb") as f:
            f.write(read(HELLO)[:5000])
        self.refused(cut, "-o", out, says="is cut short")

    def test_missing_programs_name_their_package(self):
        for name, package in (("x.img", "mtools"), ("x.iso", "grub-common grub-pc-bin")):
            if media.lacks({"x.img": "disk", "x.iso": "iso"}[name], "seabios"):
                continue
            self.refused("hello", "-o", self.path(name), PATH="/no/such/folder",
                         says=f"apt-get install {package}")


if __name__ == "__main__":
    unittest.main()
