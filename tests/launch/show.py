# SPDX-License-Identifier: BSD-2-Clause
"""`isthmus show`: against the golden images and their independent reader, live processes and guests, and
regions that are none or lie."""
import hashlib
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile

from harness import BUILD, EXIT_TOOL, PATIENCE, TOOL, LaunchTest, main, wait_until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../msg"))
import golden  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(golden.__file__)), "golden")
IMAGES = ("exchange", "calls", "queue", "topics")


class ShowTest(LaunchTest):
    def show(self, *args, status=0):
        return self.run_tool("show", *args, status=status, clean=False)

    def objects(self, *args):
        """What --json says, by type."""
        found = {}
        for line in self.show("--json", *args)[1].splitlines():
            thing = json.loads(line)
            found.setdefault(thing["type"], []).append(thing)
        return found

    def image(self, name):
        path = self.path(f"{name}.raw")
        with open(path, "wb") as f:
            f.write(golden.read_hex(os.path.join(GOLDEN, f"{name}.hex")))
        return path

    def patched(self, name, at, data):
        path = self.image(name)
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(data)
        return path

    def zeroes(self, name, size):
        path = self.path(name)
        with open(path, "wb") as f:
            f.truncate(size)
        return path


class Golden(ShowTest):
    def test_figures_are_those_of_the_independent_reader(self):
        """Each line of golden.py's about a slot, a channel and its figures, made of what --json says."""
        for name in IMAGES:
            found = self.objects(self.image(name), "--at-once")
            with open(os.path.join(GOLDEN, f"{name}.txt"), encoding="utf-8") as f:
                lines = f.read().splitlines()
            mine = [
                f"slot {p['slot']}: {p['state']}, epoch {p['epoch']}, '{p['name']}', "
                f"id {'none' if p['id'] is None else p['id']}, {p['vectors']} vectors, "
                f"abilities {p['rings'] + 2 * p['futex']}, {'asleep' if p['asleep'] else 'awake'}, "
                f"{p['sleeps']} sleeps, {p['rescues']} rescues, {p['resets']} resets"
                for p in found["peer"]]
            self.assertEqual(mine, [line for line in lines if re.match(r"slot \d+:", line)])
            kinds = ["messages", "calls", "queue", "topic", "group", "link"]
            mine = []
            for c in found["channel"]:
                mine.append((f"slot {c['slot']} channel {c['index']}: {c['state']}, generation "
                             f"{c['generation']}, kind {kinds.index(c['kind'])}, "
                             f"with slot {c['other_slot']} channel {c['other_index']}"))
                mine.append(f"  sent {c['sent']} ({c['sent_bytes']} bytes), {c['doorbells']} doorbells, "
                            f"{c['suppressed']} suppressed, {c['full_waits']} full; received {c['received']} "
                            f"({c['received_bytes']} bytes), {c['wakeups']} wake-ups, {c['empty_waits']} empty")
                for kind in ("calls", "queue"):
                    names = golden.LETTERS[kinds.index(kind)][2]
                    if c["kind"] == kind:
                        mine.append(f"  {kind}: " + ", ".join(f"{n} {c[n]}" for n in names))
                if "role" in c:
                    mine.append(f"  a {c['role']}")
            want = [re.sub(r" generation \d+, want.*", "", line) for line in lines
                    if re.match(r"slot \d+ channel|  sent |  calls: |  queue: |  a ", line)]
            self.assertEqual(mine, want)

    def test_pairs_names_and_what_is_unread(self):
        found = self.objects(self.image("exchange"), "--at-once")
        beta, alpha = found["channel"]
        self.assertEqual((beta["peer"], beta["other_peer"], beta["name"], beta["connecting"]),
                         ("beta", "alpha", "golden service", True))
        self.assertEqual((alpha["name"], alpha["connecting"], alpha["other_found"]),
                         ("golden service", False, True))
        # The script sent eight and had four received; and six, of which none.
        self.assertEqual((beta["unread"], alpha["unread"]), (4, 6))
        self.assertEqual([(n["name"], n["peer"], n["kind"], n["state"]) for n in found["name"]],
                         [("golden service", "alpha", "messages", "firm")])
        region = found["region"][0]
        self.assertEqual((region["size"], region["slots"], region["channels_per_slot"], region["format"]),
                         (65536, 4, 4, "1.1"))
        self.assertEqual(region["land_held"], 0x800 + 0x2000 + 0x800)
        self.assertEqual([(p["land_rings"], p["land_buffers"]) for p in found["peer"] if p["state"] == "held"],
                         [(0x800, 0x2000), (0x800, 0)])

    def test_topics_and_groups(self):
        found = self.objects(self.image("topics"), "--at-once")
        self.assertEqual([(t["name"], t["policy"], t["published"], t["subscribers"]) for t in found["topic"]],
                         [("all of it", "back-pressure", 13, 1), ("the recent", "drop oldest", 23, 1),
                          ("the latest", "latest", 22, 2)])
        readers = {(c["peer"], c["name"]): (c["received"], c["lost"], c["behind"])
                   for c in found["channel"] if c["connecting"]}
        self.assertEqual(readers[("beta", "all of it")], (4, 0, 9))
        self.assertEqual(readers[("beta", "the recent")], (2, 17, 4))
        self.assertEqual([(g["peer"], g["name"], g["phase"], g["size"], g["call"], g["of"])
                          for g in found["group"]],
                         [("beta", "golden group", "member", 2, 2, "broadcast"),
                          ("alpha", "golden group", "member", 2, 3, "barrier")])

    def test_the_tables_say_the_same(self):
        for name in IMAGES:
            _, out, _ = self.show(self.image(name), "--at-once")
            for thing in self.objects(self.image(name), "--at-once").get("channel", []):
                self.assertRegex(out, rf"(?m){thing['kind']} .*{thing['peer']} +{thing['other_peer']} +"
                                 rf"{thing['state']}|^ +{thing['peer']} +{thing['other_peer']} +{thing['state']}")
        self.assertIn("drop oldest: 23 messages", out)
        self.assertIn("to beta   2 received, 17 lost, 4 behind", out)

    def test_a_heart_that_stands_still_is_told(self):
        _, out, _ = self.show(self.image("exchange"))
        self.assertRegex(out, r"beta +0 +2 +silent +>1\.\ds")
        self.assertRegex(out, r"delta +2 +4 +dead +- ")


class Live(ShowTest):
    def peer(self, name, region):
        return subprocess.Popen([os.path.join(BUILD, "apps/chat"), "--name", name], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, env=self.env(ISTHMUS_REGION=region), cwd=self.dir)

    def chat(self, region, *names):
        """Processes that all have a channel to each other. On a very busy machine one may be taken for dead, and
        ends: then again, in a region of zeroes."""
        want = {(a, b) for a in names for b in names if a != b}

        def settled():
            pairs = {(c["peer"], c["other_peer"]) for c in self.found(region).get("channel", [])
                     if c["state"] == "open"}
            return pairs == want or any(p.poll() is not None for p in peers)
        for _ in range(10):
            peers = [self.peer(name, region) for name in names]
            self.started += peers
            wait_until("all to be connected, or one to end", settled)
            if all(p.poll() is None for p in peers):
                return peers
            for process in peers:
                process.kill()
                process.wait()
            size = os.path.getsize(region)
            os.unlink(region)
            self.zeroes(region, size)
        raise AssertionError("nobody lives long enough on this machine")

    def found(self, region):
        """As objects(), but somebody may not have formatted the region yet."""
        code, out, _ = self.run_tool("show", "--json", region, "--at-once", clean=False)
        return {} if code else {t: [x for x in map(json.loads, out.splitlines()) if x["type"] == t]
                                for t in ("region", "peer", "channel", "name")}

    def test_processes_on_a_file(self):
        region = self.zeroes("room", 1 << 20)
        ann, bob, eve = self.chat(region, "ann", "bob", "eve")
        found = self.objects(region)
        self.assertEqual(sorted(p["name"] for p in found["peer"]), ["ann", "bob", "eve"])
        for p in found["peer"]:
            self.assertEqual((p["state"], p["beats"]), ("held", True))
            self.assertLess(p["beat_age_ns"], found["region"][0]["death_ns"])
        before = {(c["slot"], c["index"]): c for c in found["channel"]}
        ann.stdin.write(b"one\ntwo\nthree\n")
        ann.stdin.flush()

        def arrived():
            mine = [c for c in self.objects(region, "--at-once")["channel"] if c["other_peer"] == "ann"]
            return all(c["received"] == before[c["slot"], c["index"]]["received"] + 3 for c in mine)
        wait_until("three lines to arrive at two", arrived)
        bob.kill()
        bob.wait()
        wait_until("bob's death to be seen", lambda: [
            p["state"] for p in self.objects(region, "--at-once")["peer"] if p["name"] == "bob"] == ["dead"])
        eve.stdin.write(b"/quit\n")
        eve.stdin.flush()
        self.assertEqual(eve.wait(PATIENCE), 0)
        states = {p["name"]: p["state"] for p in self.objects(region, "--at-once")["peer"]}
        self.assertEqual((states["ann"], states["eve"]), ("held", "left"))

    def test_it_changes_nothing(self):
        """Everybody stopped: not a byte is another afterwards, and no page was touched that wasn't there."""
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="isthmus-test-") as folder:
            region = os.path.join(folder, "room")
            self.zeroes(region, 4 << 20)
            for process in self.chat(region, "ann", "bob"):
                process.send_signal(signal.SIGSTOP)

            def state():
                with open(region, "rb") as f:
                    return hashlib.sha256(f.read()).hexdigest(), os.stat(region).st_blocks
            before = state()
            for words in ((), ("--json",), ("--watch", "0.05")):
                process = self.start("show", region, "--at-once", *words)
                self.read_until(process.stdout, "ann")
                process.terminate()
                process.communicate(timeout=PATIENCE)
            self.assertEqual(state(), before)
            self.assertLess(before[1] * 512, 1 << 20, "the region is not sparse")

    def mapping(self, process, what):
        with open(f"/proc/{process.pid}/maps", encoding="utf-8") as f:
            return {line.split()[1] for line in f if what in line}

    def test_it_maps_for_reading_alone(self):
        region = self.zeroes("room", 1 << 20)
        self.chat(region, "ann", "bob")
        process = self.start("show", region, "--watch", "0.05")
        self.read_until(process.stdout, "sent/s")
        self.assertEqual(self.mapping(process, region), {"r--s"})
        process.terminate()

    def test_rates_while_it_watches(self):
        region = self.zeroes("room", 1 << 20)
        ann, _ = self.chat(region, "ann", "bob")
        process = self.start("show", region, "--watch=0.1", "--json")
        self.read_until(process.stdout, '"per_second"')
        ann.stdin.write(b"line\n" * 20)
        ann.stdin.flush()
        wait_until("a rate", lambda: re.search(r'"peer": "ann".*"per_second": {"sent": (?!0\.0)',
                                               process.stdout.readline().decode()))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), -signal.SIGINT)

    def test_a_file_that_is_cut_short(self):
        """A lost page is a SIGBUS for whoever has mapped it: one line, and no crash."""
        path = self.image("exchange")
        process = self.start("show", path, "--watch", "0.05", "--at-once")
        self.read_until(process.stdout, "sent/s")
        os.truncate(path, 0)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err.decode().strip()),
                         (EXIT_TOOL, f"isthmus: {path}: was cut short while it was read"))

    def test_guests_by_their_server(self):
        """Two guests of a run, through the server's socket: it takes no slot, however often it asks."""
        where = self.path("here")
        run = self.start("run", "chat.elf", "-n", "2", "--dir", where, "--input", "none", "--timeout", "100",
                         stdin=subprocess.PIPE)
        socket = os.path.join(where, "shm.sock")
        for _ in range(3):
            wait_until("two guests", lambda: sum(
                p["state"] == "held" for p in self.found(socket).get("peer", [])) == 2)
        found = self.objects(socket)
        self.assertEqual(sorted((p["name"], p["beats"], p["futex"]) for p in found["peer"]),
                         [("a", True, False), ("b", True, False)])
        self.assertEqual(len({p["id"] for p in found["peer"]}), 2)
        self.assertEqual(run.poll(), None)
        run.terminate()
        run.communicate(timeout=PATIENCE)

    def test_the_name_of_a_shared_memory(self):
        name = f"isthmus-show-{os.getpid()}"
        with open(self.image("exchange"), "rb") as f, open(f"/dev/shm/{name}", "wb") as to:
            to.write(f.read())
        try:
            for word in (name, "/" + name, f"/dev/shm/{name}"):
                self.assertEqual(len(self.objects(word, "--at-once")["peer"]), 4)
        finally:
            os.unlink(f"/dev/shm/{name}")


class Refusals(ShowTest):
    def refused(self, line, *args):
        _, out, err = self.show(*args, status=EXIT_TOOL)
        self.assertEqual((out, err.count("\n")), ("", 1), err)
        self.assertRegex(err, line)

    def test_what_is_no_region(self):
        os.mkfifo(self.path("fifo"))
        self.refused("no such file, socket or shared memory", "not-there-at-all")
        self.refused("No such file", self.path("not/there"))
        self.refused("not a region: give a file", self.path("fifo"))
        self.refused("not a region: give a file", self.dir)
        self.refused("can't be a region", self.zeroes("empty", 0))
        self.refused("4096 bytes are too few", self.zeroes("small", 4096))
        self.refused("nobody has joined", self.zeroes("zero", 65536))
        self.refused("not a region of Isthmus", self.path("text", "some text\n" * 10000))
        self.refused("nobody|refused|not there|listens", "socket=" + self.path("text"))

    def test_headers_that_are_wrong(self):
        self.refused("format is version 2.7, and this program knows 1.x",
                     self.patched("exchange", 8, struct.pack("<I", 2 << 16 | 7)))
        self.refused("header is damaged", self.patched("exchange", 12, b"xxxx"))
        self.refused("header is damaged", self.patched("exchange", 40, b"\xff\xff\xff\xff"))
        self.refused("131072 bytes with the header of a region of 65536",
                     self.patched("exchange", 131071, b"\0"))

    def test_a_region_that_is_never_formatted_to_the_end(self):
        self.refused("is formatting this region, or died over it",
                     self.patched("exchange", 0, bytes(8) + struct.pack("<I", 0x10001) + bytes(116) + b"claim of"))

    def test_words_that_make_no_sense(self):
        image = self.image("exchange")
        self.refused("wants a region")
        self.refused("'--yaml' is too much", image, "--yaml")
        self.refused("too much", image, image)
        for seconds in ("0", "-1", "x", "nan", "1e9", ""):
            self.refused("wants seconds", image, "--watch", seconds)
        self.assertIn("usage: isthmus show REGION", self.show("--help")[1])

    def test_nobody_reads_its_output(self):
        with open("/dev/full", "wb") as full:
            process = self.start("show", self.image("exchange"), "--at-once", "--watch", "0.05", stdout=full)
            _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, EXIT_TOOL)
        self.assertIn("could not be written", err.decode())

    def test_names_do_nothing_to_a_terminal(self):
        slot = 1024  # the first one's name is at 256 in it
        path = self.patched("exchange", slot + 256, b"\x1b[2Jred\x9b\"\\" + b"\xff" * 38)
        _, out, _ = self.show(path, "--at-once")
        self.assertIn(r"\x1b[2Jred\x9b", out)
        self.assertTrue(all(c == "\n" or " " <= c < "\x7f" for c in out), out)
        peer = self.objects(path, "--at-once")["peer"][0]
        self.assertEqual(peer["name"], "\x1b[2Jred\x9b\"\\" + "\xff" * 37)

    def test_lies_behind_a_good_header(self):
        """Any bytes behind a header that stands: tables or objects, and an end."""
        chance = random.Random(1)
        path = self.image("topics")
        with open(path, "rb") as f:
            good = f.read()
        for _ in range(40):
            image = bytearray(good)
            for _ in range(chance.randrange(1, 400)):
                at = chance.randrange(16, 0x1400) * 8
                image[at:at + 8] = struct.pack("<Q", chance.choice(
                    (0, 1, 2**64 - 1, 2**32 - 1, chance.getrandbits(64), chance.getrandbits(16))))
            with open(path, "wb") as f:
                f.write(image)
            self.objects(path, "--at-once")
            self.show(path, "--at-once")


if __name__ == "__main__":
    main()
