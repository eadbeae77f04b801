#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pairs of guests on the bare device: doorbell and polling, machines, orders of start, one killed."""
import os
import re
import signal
import socket
import struct
import time

import vms

ONE_CORE = len(os.sched_getaffinity(0)) == 1


def polled(count):
    """So many balls by polling; few on one core, where each ball waits for a time slice."""
    return min(count, 300) if ONE_CORE else count


SHORT = f"--doorbell 500 --polled {polled(5000)} --timeout 30"
KILLED = "--timeout 5"  # which is also how much later the other guest may boot on a busy host
DOORBELL = r"^pingpong: doorbell count={} min=[\d.]+ p50=[\d.]+ p99=[\d.]+ p99\.9=[\d.]+ max=[\d.]+ us$"
POLLED = DOORBELL.replace("doorbell", "polled")
RETURNED = r"^pingpong: (?:doorbell|polled): returned and checked {} balls$"


def check_pair(a, b, doorbell, polled):
    """Both end well; one has served, the other returned, in both modes."""
    for guest in (a, b):
        guest.end(refuse=("^FAIL", "panic", r"^\[.*(warn|error)"))
    text = a.output() + b.output()
    for count, served in ((doorbell, DOORBELL), (polled, POLLED)):
        if count and len(re.findall(served.format(count), text, re.MULTILINE)) != 1:
            raise vms.Failure(f"not exactly one line like {served.format(count)!r}")
        if count and not re.search(RETURNED.format(count), text, re.MULTILINE):
            raise vms.Failure(f"no line like {RETURNED.format(count)!r}")
    if text.count("this guest serves") != 1 or text.count("this guest returns") != 1:
        raise vms.Failure("the roles were not one of each")


def pair(scene, server, append=SHORT, machines=("q35", "q35"), vectors=1, **options):
    return [scene.guest("pingpong", append, scene.doorbell(server, vectors), machine=m, **options)
            for m in machines]


def wait_balls(server, guests, count=100, seconds=vms.PATIENCE):
    """Until a ball with that number or a later one lies in a mailbox: the game is going on. Where the
    mailboxes are: include/isthmus/scratch.h and the head of apps/pingpong_bare.c."""
    for guest in guests:  # before that a mailbox may hold another run's ball
        guest.wait_output("^pingpong: met partner")
    with open(server.shm_path(), "rb") as file:
        region = file.read()
    scratch = min(len(region) // 16 // 256 * 256, 65536)
    slots = min(scratch // 128, 32)
    start = len(region) - scratch + slots * 64
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with open(server.shm_path(), "rb") as file:
            file.seek(start)
            words = struct.unpack(f"<{slots * 8}Q", file.read(slots * 64))
        if max(words[7::8]) >= count:
            return
        time.sleep(0.01)
    raise vms.Failure("the game did not begin")


def say(client, number, *fds):
    """One message of the server's protocol: eight bytes and at most one file."""
    socket.send_fds(client, [struct.pack("<q", number)], fds)


def full_size(scene, machine):
    """What the README shows: 10,000 by doorbell and 100,000 by polling."""
    count = f" --polled {polled(100000)} --doorbell 10000" if ONE_CORE else ""
    a, b = pair(scene, scene.server("4M", 2, "--sticky-ids"), "--bare --timeout 50" + count,
                (machine, machine), vectors=2)
    check_pair(a, b, 10000, polled(100000))


def test_q35(scene):
    full_size(scene, "q35")


def test_pc(scene):
    full_size(scene, "pc")


def test_pc_with_q35(scene):
    a, b = pair(scene, scene.server("64K", 8), machines=("pc", "q35"), vectors=8)
    check_pair(a, b, 500, polled(5000))


def test_microvm_with_q35(scene):
    a, b = pair(scene, scene.server(), machines=("microvm,acpi=on,pcie=on", "q35"))
    check_pair(a, b, 500, polled(5000))


def test_start_orders(scene):
    """One is there long before the other, whichever it is; ids follow the order of start."""
    server = scene.server("4K")
    first = scene.guest("pingpong", SHORT, scene.doorbell(server))
    first.wait_output("doorbell, id 0")
    time.sleep(0.7)
    second = scene.guest("pingpong", SHORT, scene.doorbell(server))
    check_pair(first, second, 500, polled(5000))


def test_starts_without_partner(scene):
    """Alone, a guest says so and fails when its time is over."""
    guest = scene.guest("pingpong", "--timeout 1", scene.doorbell(scene.server()))
    guest.end(1, (r"^pingpong: no partner within 1 s: start another guest",))


def test_again_and_again(scene):
    """What a run leaves in the region, or a guest that died there, doesn't confuse the next."""
    server = scene.server("4K", 1)  # two places for announcements: the tightest there is
    for _ in range(2):
        check_pair(*pair(scene, server), 500, polled(5000))
    guests = pair(scene, server, f"--doorbell 2000000 --polled 0 {KILLED}")
    wait_balls(server, guests)
    guests[1].kill()
    guests[0].end(1, (r"^pingpong: partner \d+ has been silent in round trip \d+",))
    check_pair(*pair(scene, server), 500, polled(5000))


def test_killed_at_doorbell(scene):
    server = scene.server()
    a, b = pair(scene, server, f"--doorbell 2000000 --polled 0 {KILLED}")
    wait_balls(server, (a, b))
    a.kill()
    b.end(1, (r"^pingpong: partner \d+ has been silent in round trip \d+ \(doorbell\) for 5 s: it is "
              "gone, or hangs$",))
    lines = [line for line in b.output().splitlines() if line.startswith("pingpong:")]
    if len(lines) != 2:
        raise vms.Failure(f"more than one line about it: {lines}")


def test_killed_at_polling(scene):
    server = scene.server()
    a, b = pair(scene, server, f"--doorbell 0 --polled 10000000 {KILLED}", memory="256")
    wait_balls(server, (a, b))
    b.kill()
    a.end(1, (r"^pingpong: partner \d+ has been silent in round trip \d+ \(polled\) for 5 s",))


def test_stopped_for_a_while(scene):
    """A partner that doesn't run for a second (a busy host) costs time and nothing else."""
    count = polled(300000)
    a, b = pair(scene, scene.server(), f"--doorbell 20000 --polled {count} --timeout 30")
    a.wait_output("pingpong: met partner")
    for _ in range(3):
        if a.process.poll() is None:
            a.process.send_signal(signal.SIGSTOP)
            time.sleep(0.5)
            a.process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
    check_pair(a, b, 20000, count)


def test_plain(scene):
    """ivshmem-plain: no ids, no doorbells, the same game by polling."""
    for size, count in ((4096, polled(5000)), (1 << 20, polled(100000))):
        region = scene.region(size)
        a, b = [scene.guest("pingpong", f"--polled {count} --timeout 30", scene.plain(region))
                for _ in range(2)]
        check_pair(a, b, 0, count)
        if "doorbell round trips are left out" not in a.output():
            raise vms.Failure("nothing says why there are no doorbell round trips")


def test_plain_with_doorbell(scene):
    """The region of a server is a file: a plain device can share it."""
    server = scene.server("1M")
    count = polled(5000)
    a = scene.guest("pingpong", f"--polled {count}", scene.doorbell(server))
    b = scene.guest("pingpong", f"--polled {count}", scene.plain(server.shm_path()))
    check_pair(a, b, 0, count)


def test_plain_asked_for_doorbell(scene):
    region = scene.region(4096)
    for guest in [scene.guest("pingpong", "--doorbell 10 --timeout 30", scene.plain(region))
                  for _ in range(2)]:
        guest.end(1, ("ivshmem-plain, which can't ring$",))


def test_second_device(scene):
    """Two devices in each guest, the second one a doorbell on another region."""
    server, region = scene.server("256K", 4), scene.region(1 << 20)
    a, b = [scene.guest("pingpong", SHORT + " --device 1",
                        scene.plain(region, more=",addr=5") +
                        scene.doorbell(server, 4, "iv1", ",addr=6")) for _ in range(2)]
    check_pair(a, b, 500, polled(5000))


def test_largest_ids(scene):
    """Ids at the end of their 16 bits, which the project's server reaches only after 65535 guests."""
    ids = (65535, 32768)
    path = os.path.join(scene.folder, "socket")
    shm = os.memfd_create("region")
    os.truncate(shm, 1 << 16)
    bells = {n: os.eventfd(0, os.EFD_NONBLOCK) for n in ids}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(vms.PATIENCE)
        devices = ["-chardev", f"socket,path={path},id=iv0",
                   "-device", "ivshmem-doorbell,chardev=iv0,vectors=1"]
        guests = [scene.guest("pingpong", SHORT, devices) for _ in ids]
        clients = []
        for n in ids:
            client = listener.accept()[0]
            # As in docs/server-protocol.md: the others hear of the newcomer before it hears of them.
            for other, _ in clients:
                say(other, n, bells[n])
            say(client, 0)
            say(client, n)
            say(client, -1, shm)
            for _, m in clients:
                say(client, m, bells[m])
            say(client, n, bells[n])
            clients.append((client, n))
        check_pair(*guests, 500, polled(5000))
    text = guests[0].output() + guests[1].output()
    for n in ids:
        if f"doorbell, id {n}," not in text or f"met partner {n};" not in text:
            raise vms.Failure(f"id {n} doesn't show")
        os.close(bells[n])
    for client, _ in clients:
        client.close()
    os.close(shm)


def test_vectors_differ(scene):
    """Fewer or more vectors in a guest than the server gives: the first one works in any case."""
    server = scene.server("1M", 4)
    a = scene.guest("pingpong", SHORT, scene.doorbell(server, 1))
    b = scene.guest("pingpong", SHORT, scene.doorbell(server, 16))
    check_pair(a, b, 500, polled(5000))


CHANNEL = r"^pingpong: channel-{} count={} min=[\d.]+ p50=[\d.]+ p99=[\d.]+ p99\.9=[\d.]+ max=[\d.]+ us$"


def check_channel(peers, asleep, awake):
    """Each mode was served once and returned once."""
    text = "".join(peer.output() for peer in peers)
    for mode, count in (("asleep", asleep), ("awake", awake)):
        for pattern in (CHANNEL.format(mode, count),
                        rf"^pingpong: channel-{mode}: returned and checked {count} balls$"):
            if len(re.findall(pattern, text, re.MULTILINE)) != 1:
                raise vms.Failure(f"not exactly one line like {pattern!r}")


def test_channel(scene):
    """Without options: first the bare device, then a channel. With --asleep or --awake, this alone."""
    if not ONE_CORE:
        a, b = pair(scene, scene.server("64K"), "--timeout 50")
        check_pair(a, b, 10000, 100000)
        check_channel((a, b), r"\d+", r"\d+")  # up to 10,000 and 100,000 in ten seconds each
    a, b = pair(scene, scene.server(), f"--asleep 300 --awake {polled(3000)}")
    for guest in (a, b):
        guest.end()
    check_channel((a, b), 300, polled(3000))
    if "pingpong: doorbell" in a.output() + b.output():
        raise vms.Failure("a bare mode that nobody asked for")


def test_channel_plain(scene):
    """Sleepers that nobody can ring are woken by their timers."""
    region = scene.region(1 << 20)
    a, b = [scene.guest("pingpong", f"--asleep 50 --awake {polled(5000)}", scene.plain(region))
            for _ in range(2)]
    for guest in (a, b):
        guest.end()
    check_channel((a, b), 50, polled(5000))


def test_one_core(scene):
    """Both guests on one core: polling must let the other run."""
    cpu = min(os.sched_getaffinity(0))
    a, b = pair(scene, scene.server(), "--doorbell 300 --polled 300 --timeout 50",
                before=("taskset", "-c", str(cpu)))
    check_pair(a, b, 300, 300)


def test_one_possible_cpu(scene):
    """-smp 1: the game is safe without barriers, and each guest says once what isn't."""
    a, b = pair(scene, scene.server(), SHORT, smp="1")
    for guest in (a, b):
        guest.end(expect=("warn .*ivshmem: with one possible CPU.* start QEMU with -smp 1,maxcpus=2$",))
        if guest.output().count("maxcpus=2") != 1:
            raise vms.Failure("the warning came more than once")


def test_options_differ(scene):
    server = scene.server()
    a = scene.guest("pingpong", "--doorbell 10 --polled 20", scene.doorbell(server))
    b = scene.guest("pingpong", "--doorbell 11 --polled 20", scene.doorbell(server))
    a.end(1, (r"^pingpong: partner \d+ (wants 11 doorbell and 20 polled|gave up)",))
    b.end(1, (r"^pingpong: partner \d+ (wants 10 doorbell and 20 polled|gave up)",))


def test_wrong_arguments(scene):
    """One line that names what is wrong, status 2, and no device needed."""
    for append, line in (
            ("--doorbell", r"^pingpong: --doorbell \(nothing\): a number from 0 to"),
            ("--polled x1", "^pingpong: --polled x1: a number from 0 to"),
            ("--doorbell -1", "^pingpong: --doorbell -1: a number from 0 to"),
            ("--timeout 99999999999999999999", "^pingpong: --timeout 9+: a number from 0 to 86400"),
            ("--asleep 1 --awake", r"^pingpong: --awake \(nothing\): a number from 0 to"),
            ("--fast", "^pingpong: --fast: no such option; --help lists them$")):
        guest = scene.guest("pingpong", f"'{append.split()[0]}' {' '.join(append.split()[1:])}")
        guest.end(2, (line,))
    scene.guest("pingpong").end(1, (r"ivshmem: no device: give QEMU -device ivshmem-doorbell",))
    scene.guest("pingpong", "--device 1", scene.plain(scene.region(4096))).end(
        1, (r"ivshmem: no device 1: there are 1, counted from 0",))


if __name__ == "__main__":
    vms.main(globals())
