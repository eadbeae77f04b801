#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An independent reader of the wire format, written from docs/wire-format.md, not from the C code.

Usage: golden.py IMAGE.hex [EXPECTED.txt]   prints what it found, or compares it with EXPECTED
       golden.py --raw REGION               reads a region file

Exits 1 where the image breaks a rule of the document."""
import struct
import sys

MAGIC = 0x0053554D48545349
CLAIMS = ["free", "held", "dead", "left"]
STATES = ["free", "connect", "open", "closed", "reset"]
ENDPOINTS = ["free", "tentative", "firm"]
TYPES = {1: "message", 2: "buffer", 3: "run"}
POLICIES = ["back-pressure", "drop oldest", "latest"]
PHASES = ["none", "candidate", "founder", "founded", "member"]
KINDS = {1: "calls", 2: "queue"}
# Of each kind: words in a letter's head, names of its types, names of its figures.
LETTERS = {
    1: (3, {1: "request", 2: "reply", 3: "cancel", 4: "refusal"}, ("outstanding", "answered", "cancelled", "late")),
    2: (4, {1: "producer", 2: "worker", 3: "item", 4: "reported", 5: "held", 6: "done", 7: "return", 8: "welcome",
            9: "give", 10: "safe", 11: "result"}, ("outstanding", "done", "redelivered", "failed")),
}


class Broken(Exception):
    pass


def need(truth, what):
    if not truth:
        raise Broken(what)


def fnv1a64(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def fnv1a(data):
    h = 2166136261
    for byte in data:
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def read_hex(path):
    image = None
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.startswith("# size"):
                image = bytearray(int(line.split()[2].rstrip(";")))
            elif line.strip():
                where, data = line.split(":")
                data = bytes.fromhex(data)
                image[int(where, 16):int(where, 16) + len(data)] = data
    return bytes(image)


class Region:
    def __init__(self, image):
        self.image = image
        self.lines = []
        self.header()
        self.slots = [self.slot(i) for i in range(self.n_slots)]
        self.check_land()
        self.topics = set()
        for slot in self.slots:
            for channel in slot["channels"]:
                self.channel(slot, channel)

    def u32(self, at):
        return struct.unpack_from("<I", self.image, at)[0]

    def u64(self, at):
        return struct.unpack_from("<Q", self.image, at)[0]

    def text(self, at, size=48):
        raw = self.image[at:at + size]
        need(0 in raw, f"name at {at:#x} is not terminated")
        return raw[:raw.index(0)].decode("ascii", "backslashreplace")

    def say(self, line):
        self.lines.append(line)

    def header(self):
        size = len(self.image)
        need(self.u64(0) == MAGIC, "magic")
        version = self.u32(8)
        need(version >> 16 == 1, f"major version {version >> 16}")
        need(self.u32(12) == fnv1a(self.image[8:12] + self.image[16:128]), "header check")
        need(self.u64(16) == size, "size")
        self.slot_offset, self.stride, self.n_slots, self.n_channels, self.n_deeds, self.grain = \
            struct.unpack_from("<6I", self.image, 24)
        self.land, self.land_size, death, beat, _ = struct.unpack_from("<5Q", self.image, 48)
        ring, endpoints = struct.unpack_from("<2I", self.image, 88)
        need(endpoints == 8, "endpoints per slot")
        need(not any(self.image[96:128]) and not any(self.image[256:1024]), "reserved bytes")
        need(self.stride >= 1024 + 8 * self.n_deeds + 256 * self.n_channels, "stride")
        scratch = min(size // 16 // 256 * 256, 65536)
        need(self.land >= self.slot_offset + self.n_slots * self.stride, "land overlaps slots")
        need(self.land + self.land_size <= size - scratch, "land overlaps the scratch area")
        self.say(f"region {size} bytes, format {version >> 16}.{version & 0xffff}, "
                 f"{self.n_slots} slots of {self.n_channels} channels and {self.n_deeds} deeds, "
                 f"grain {self.grain}, default ring {ring}")
        self.say(f"land {self.land:#x} + {self.land_size:#x}, scratch {size - scratch:#x}, "
                 f"beat {beat} ns, death {death} ns, formatting "
                 f"{'under way' if self.u64(128) else 'done'}")

    def slot(self, index):
        at = self.slot_offset + index * self.stride
        claim = self.u64(at)
        slot = {"index": index, "at": at, "claim": claim, "channels": [], "deeds": [],
                "state": CLAIMS[claim & 3]}
        if not claim:
            return slot
        need(self.u64(at + 192) | 3 == claim | 3, f"slot {index}: life and claim differ")
        peer_id, vectors, abilities = struct.unpack_from("<3I", self.image, at + 192 + 8)
        asleep = self.u32(at + 128)
        slot["name"] = self.text(at + 256)
        self.say(f"slot {index}: {slot['state']}, epoch {claim >> 32}, '{slot['name']}', "
                 f"id {'none' if peer_id == 0xFFFFFFFF else peer_id}, {vectors} vectors, "
                 f"abilities {abilities}, {'asleep' if asleep & 1 else 'awake'}, "
                 f"{self.u64(at + 320)} sleeps, {self.u64(at + 328)} rescues, "
                 f"{self.u64(at + 336)} resets")
        for e in range(8):
            where = at + 512 + 64 * e
            state, kind, refusal = struct.unpack_from("<2IQ", self.image, where)
            if state:
                self.say(f"  endpoint {e}: {ENDPOINTS[state & 3]}, generation {state >> 2}, "
                         f"kind {kind}, '{self.text(where + 16)}'"
                         + (f", refused {refusal:#x}" if refusal else ""))
        self.group(slot)
        for d in range(self.n_deeds):
            deed = self.u64(at + 1024 + 8 * d)
            if deed:
                first, count, state = deed & 0xFFFFFFF, deed >> 28 & 0xFFFFFFF, deed >> 56
                start = self.land + first * self.grain
                slot["deeds"].append((start, count * self.grain))
                self.say(f"  deed {d}: {['none', 'tentative', 'firm'][state]}, "
                         f"{start:#x} + {count * self.grain:#x}")
        for c in range(self.n_channels):
            where = at + 1024 + 8 * self.n_deeds + 256 * c
            status = self.u64(where)
            if status & 0xFFFFFFFF:
                slot["channels"].append((c, where))
        return slot

    def group(self, slot):
        at = slot["at"] + 448
        name, generation = struct.unpack_from("<2Q", self.image, at)
        phase, size = struct.unpack_from("<2I", self.image, at + 16)
        step, done, offset, length, source = struct.unpack_from("<5Q", self.image, at + 24)
        slot["source"] = source if phase != 3 else 0
        if not any(self.image[at:at + 64]):
            return
        need(phase < len(PHASES), f"group phase {phase}")
        call = step & 0xFFFF
        need(call <= size, "a call with a root that the group doesn't have")
        need(done >> 8 in (step >> 16, (step >> 16) - 1), "a verdict on a call that it isn't in")
        self.say(f"  group {name:#018x}: {PHASES[phase]}, generation {generation:#x}, {size} members, "
                 f"call {step >> 16} {'barrier' if not call else f'broadcast of rank {call - 1}'}, "
                 f"verdict on {done >> 8} (failures {done & 255:#x}), {length} bytes at {offset:#x}"
                 + (f", reads of {source:#x}" if source else ""))
        if phase == 3:
            table = self.image[offset:offset + length]
            need(length == 24 * size and fnv1a64(table) == source, "a founder's table")

    def topic(self, slot, ring, size, block):
        """A publisher's block: its topic, told once, and where this subscription began."""
        front = ring - 256
        policy, ring_size, start = struct.unpack_from("<2IQ", self.image, front)
        tail, newest, published, count = struct.unpack_from("<4Q", self.image, front + 64)
        full, doorbells, subscribers = struct.unpack_from("<3Q", self.image, front + 128)
        begin, number = struct.unpack_from("<2Q", self.image, block + 72)
        need(any(front >= s and ring + size + size // 2 + 64 <= s + n for s, n in slot["deeds"]),
             "topic outside its publisher's deeds")
        need(policy < 3 and ring_size == size and start % 64 == 0, "front of a topic")
        need(start <= begin <= newest + size and begin % 64 == 0 and begin & 0xFFFFFFFF == self.u32(block + 44)
             and 1 <= number <= published + 1, "where a subscription begins")
        self.say(f"  began at {begin:#x} with message {number}")
        if ring in self.topics:
            return
        self.topics.add(ring)
        self.say(f"  topic, {POLICIES[policy]}: {published} messages of {count} bytes from {start:#x} on, "
                 f"{full} full, {doorbells} doorbells, {subscribers} subscribers")
        need(tail <= newest, "the newest message is gone")
        at, last = tail, published
        while True:
            word = self.u64(ring + at % size)
            length, kind, flags = word & 0xFFFFFFFF, word >> 32 & 15, word >> 36 & 15
            if word >> 40 != (at >> 4) & 0xFFFFFF or not kind:
                break
            need(kind == 4 and flags == 1 and 8 <= length <= size // 2 - 8, "a record of a topic")
            last = self.u64(ring + at % size + 8)
            payload = self.image[ring + at % size + 16:ring + at % size + 8 + length]
            need(last == published or at != newest, "the newest message has another number")
            if at in (tail, newest) or length - 8 > 40:
                self.say(f"  at {at:#x}: message {last}, {len(payload)} bytes: {payload[:8].hex()}... "
                         f"check {fnv1a(payload):#010x}")
            at += (8 + length + 63) // 64 * 64
        need(last == published and at <= tail + size, "messages behind the newest")
        self.say(f"  from {tail:#x} to {at:#x}")

    def counts(self, slot):
        """Does the land of this slot belong to somebody? While it is held, or a live peer refers to that life."""
        if slot["state"] == "held":
            return True
        return any(other["state"] == "held" and (other["source"] | 3 == slot["claim"] | 3 or any(
            self.u64(at + 8) | 3 == slot["claim"] | 3 for _, at in other["channels"])) for other in self.slots)

    def check_land(self):
        taken = sorted(d for s in self.slots if self.counts(s) for d in s["deeds"])
        for (start, size), (following, _) in zip(taken, taken[1:]):
            need(start + size <= following, f"deeds overlap at {following:#x}")
        for start, size in taken:
            need(start >= self.land and start + size <= self.land + self.land_size,
                 "deed outside the land")

    def channel(self, slot, channel):
        index, at = channel
        status, life = struct.unpack_from("<2Q", self.image, at)
        peer, peer_index, peer_generation, endpoint = struct.unpack_from("<4I", self.image, at + 16)
        offset, size, start, kind, want, reason = struct.unpack_from("<Q5I", self.image, at + 32)
        generation, state = status >> 32, STATES[status & 0xFFFFFFFF]
        released = self.u32(at + 64)
        sent, sent_bytes, doorbells, suppressed, full = \
            struct.unpack_from("<5Q", self.image, at + 128)
        received, received_bytes, wakeups, empty = struct.unpack_from("<4Q", self.image, at + 192)
        self.say(f"slot {slot['index']} channel {index}: {state}, generation {generation}, "
                 f"kind {kind}, with slot {peer} channel {peer_index} generation {peer_generation}"
                 f", want {want}, reason {reason}, endpoint {endpoint:#x}")
        subscriber = kind == 3 and not size
        need(subscriber and not offset or
             any(offset >= s and offset + size + size // 2 + 64 <= s + n for s, n in slot["deeds"]),
             "ring outside its owner's deeds")
        self.say(f"  sent {sent} ({sent_bytes} bytes), {doorbells} doorbells, "
                 f"{suppressed} suppressed, {full} full; "
                 f"received {received} ({received_bytes} bytes), {wakeups} wake-ups, "
                 f"{empty} empty")
        self.say(f"  ring {offset:#x} + {size}, from position {start:#x}; "
                 f"has released {released:#x}")
        if kind in LETTERS:
            names = LETTERS[kind][2]
            values = struct.unpack_from("<3Q", self.image, at + 168) + struct.unpack_from("<3Q", self.image, at + 232)
            self.say(f"  {KINDS[kind]}: " + ", ".join(f"{n} {v}" for n, v in zip(names, values)))
            need(not any(values[len(names):]), "figures that the kind doesn't have")
            options = self.u32(at + 60)
            need(options in ((2, 4) if kind == 2 and endpoint else (0,)), f"options {options}")
            if options:
                self.say("  a producer" if options == 2 else "  a worker")
        other = self.slots[peer]
        need(other["claim"] | 3 == life | 3, "the other side is of another life")
        if subscriber:
            self.say(f"  subscriber{', from the retained message' if self.u32(at + 60) & 1 else ''}: "
                     f"lost {self.u64(at + 224)}")
        elif kind == 3:
            self.topic(slot, offset, size, at)
        if state != "open":
            return
        there = self.slots[peer]["at"] + 1024 + 8 * self.n_deeds + 256 * peer_index
        need(self.u64(there) >> 32 == peer_generation, "the other side has another generation")
        need(self.u32(there + 48) == kind, "the other side is of another kind")
        if kind != 3:
            self.records(offset, size, self.u32(there + 64), kind)

    def letter(self, kind, payload, body):
        """What a letter says. body: it is the body of the one before."""
        words, types, _ = LETTERS[kind]
        if body:
            return False, f" the body, {payload[:8].hex()}... check {fnv1a(payload):#010x}"
        need(len(payload) >= 8 * words, "a letter without a head")
        head = struct.unpack_from(f"<{words}Q", payload)
        kind_of, parted, rest = head[0] & 255, bool(head[0] >> 8 & 1), payload[8 * words:]
        need(kind_of in types, f"letter of type {kind_of}")
        need(not (parted and rest), "a letter with two bodies")
        line = f" {types[kind_of]}"
        if kind == 1:
            need(not head[0] >> 9, "reserved bits of a call")
            line += f" id {head[1]:#x}" + (f" waits {head[2]} ns" if kind_of == 1 and head[2] != 2**64 - 1 else "")
        else:
            need(not head[3] and not head[0] >> 11 & 31 and (kind_of == 11 or not head[0] >> 10 & 1), "reserved bits of a queue")
            line += f" life {head[1]:#x} number {head[2]:#x}" if head[1] else ""
            line += f" window {head[0] >> 32}" if head[0] >> 32 else ""
            line += f" deliveries {head[0] >> 16 & 0xffff}" + (", before" if head[0] >> 9 & 1 else "") + (
                ", failed" if head[0] >> 10 & 1 else "")
        return parted, line + (", its body follows" if parted else f", {len(rest)} bytes {rest[:8].hex()}")

    def records(self, ring, size, position, channel_kind):
        body = False
        while True:
            at = ring + position % size
            word = self.u64(at)
            length, kind, flags = word & 0xFFFFFFFF, word >> 32 & 15, word >> 36 & 15
            if word >> 40 != (position >> 4) & 0xFFFFFF or not kind:
                break
            need(length <= size // 2, "record longer than half the ring")
            need(kind in TYPES, f"record type {kind}")
            line = f"  unreleased at {position:#x}: {TYPES[kind]} of {length}" \
                   + (", last" if flags & 1 else "")
            if kind == 2:
                where, length = struct.unpack_from("<2Q", self.image, at + 8)
                payload = self.image[where:where + length]
                line += f", {length} bytes at {where:#x}"
            elif kind == 3:
                each, count = struct.unpack_from("<2I", self.image, at + 8)
                skip = 56 if each * count >= 512 else 8
                need(skip + each * count == length, "run of another length")
                line += f", {count} messages of {each}"
                payload = self.image[at + 8 + skip:at + 8 + length]
            else:
                payload = self.image[at + 8:at + 8 + length]
            if channel_kind in LETTERS:
                need(kind != 3, "a run on a channel of letters")
                body, said = self.letter(channel_kind, payload, body)
                self.say(line + ":" + said)
            else:
                self.say(line + f": {payload[:8].hex()}... check {fnv1a(payload):#010x}")
            position += (8 + (word & 0xFFFFFFFF) + 15) // 16 * 16
            if flags & 1:
                position = (position + 63) // 64 * 64
            position &= 0xFFFFFFFF
        need(not body, "a letter's body is missing")
        self.say(f"  sender's position {position:#x}")


def main():
    args = sys.argv[1:]
    if not args or args[0] == "--raw" and len(args) != 2:
        sys.exit(__doc__)
    try:
        if args[0] == "--raw":
            with open(args[1], "rb") as f:
                image = f.read()
        else:
            image = read_hex(args[0])
        found = Region(image).lines
    except Broken as rule:
        sys.exit(f"golden.py: {args[-1]}: breaks the format: {rule}")
    if args[0] != "--raw" and len(args) == 2:
        with open(args[1], encoding="utf-8") as f:
            expected = f.read().splitlines()
        for number, (want, got) in enumerate(zip(expected + [""] * len(found), found), 1):
            if want != got:
                sys.exit(f"{args[1]}:{number}: expected {want!r}, the image says {got!r}")
        if len(expected) != len(found):
            sys.exit(f"{args[1]}: {len(expected)} lines, the image has {len(found)}")
        print(f"PASS {len(found)} lines as expected")
    else:
        print("\n".join(found))


if __name__ == "__main__":
    main()
