# SPDX-License-Identifier: BSD-2-Clause
"""The bare device leaves and comes back: with native slots, with ACPI's registers, on pc."""
import os
import socket
import struct
import threading

import plugs
import vms


def cycles(scene, kind, server=False, way="", rounds=3, **options):
    where = ({"server": scene.server("1M", 2, "--sticky-ids")} if server else
             {"path": scene.region(1 << 20)})
    vm = plugs.Replug(scene, "replug_bare", f"{rounds} {way}", kind,
                      **where, **options)
    for n in range(rounds):
        vm.lines("ready", n + 1)
        vm.unplug()
        vm.lines("closed", n + 1)
        vm.plug()
    vm.guest.send("q")
    vm.guest.end(expect=("^PASS",))


def test_native(scene):
    cycles(scene, "native", server=True)


def test_native_held(scene):
    cycles(scene, "native", server=True, way="held")


def test_native_plain(scene):
    cycles(scene, "native")


def test_acpi(scene):
    cycles(scene, "acpi", server=True)


def test_acpi_plain_held(scene):
    cycles(scene, "acpi", way="held")


def test_pc(scene):
    cycles(scene, "pc", server=True)


def test_pc_plain_held(scene):
    cycles(scene, "pc", way="held")


def test_native_stubborn(scene):
    cycles(scene, "native", server=True, way="stubborn", rounds=1)


def test_pc_stubborn(scene):
    cycles(scene, "pc", way="stubborn", rounds=1)


class LateServer:
    """A server by hand that gives region and id at once, and the vectors when it is told to."""

    def __init__(self, scene):
        self.path = os.path.join(scene.folder, "late")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.region = os.memfd_create("late")
        os.ftruncate(self.region, 1 << 20)
        self.event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.client = None
        self.serving = threading.Thread(target=self.serve, daemon=True)
        self.serving.start()

    def serve(self):
        self.client = self.listener.accept()[0]
        self.say(0)
        self.say(0)
        self.say(-1, self.region)

    def say(self, number, fd=None):
        socket.send_fds(self.client, [struct.pack("<q", number)], [] if fd is None else [fd])

    def shm_path(self):
        return f"/proc/self/fd/{self.region}"


def late(scene, kind):
    """QEMU has a device before it has its list of peers: that is why an early ring is lost."""
    server = LateServer(scene)
    vm = plugs.Replug(scene, "replug_bare", "1 late", kind, server=server, vectors=1)
    vm.lines("unheard", 1)
    server.say(0, server.event)
    vm.lines("ready", 1)
    vm.unplug()
    vm.lines("closed", 1)
    vm.server, vm.path = None, scene.region(1 << 20)
    vm.plug()
    vm.guest.send("q")
    vm.guest.end(expect=("^PASS",))


def test_native_late(scene):
    late(scene, "native")


def test_pc_late(scene):
    late(scene, "pc")


def test_pc_bridge(scene):
    """On pc behind a PCI bridge, by ACPI's registers, whose number for that bus nobody tells."""
    cycles(scene, "pc", server=True, bridge="pci-bridge,chassis_nr=1")


def test_pc_bridge_plain(scene):
    cycles(scene, "pc", way="held", bridge="pci-bridge,chassis_nr=1")


def test_native_bridge(scene):
    """The port's device is a bridge, and all that is behind it leaves with it, and comes with the next."""
    where = scene.server("1M", 2, "--sticky-ids")
    vm = plugs.Replug(scene, "replug_bare", "2", "native", server=where, bridge="pcie-pci-bridge")
    vm.lines("ready", 1)
    vm.monitor.run("device_del", id="bridge")
    vm.taken()
    vm.monitor.wait_event("DEVICE_DELETED", device="bridge")
    vm.lines("closed", 1)
    vm.bus, vm.address = "port0", {}
    vm.plug()
    vm.lines("ready", 2)
    vm.unplug()
    vm.lines("closed", 2)
    vm.plug()
    vm.guest.send("q")
    vm.guest.end(expect=("^PASS",))


def test_native_several(scene):
    """The second of two leaves and comes back, and each keeps its index."""
    vm = plugs.Replug(scene, "replug_several", "native", "native",
                      path=scene.region(1 << 20), count=2)
    second = vm.second(scene.region(1 << 20))
    vm.lines("first alone", 1)
    second.plug()
    vm.lines("both", 1)
    vm.unplug()
    vm.lines("second alone", 1)
    vm.plug()
    vm.lines("both again", 1)
    vm.guest.send("q")
    vm.guest.end(expect=("^PASS",))


def test_acpi_several(scene):
    """Which of two is meant can't be known: the option is named, and none is let go."""
    vm = plugs.Replug(scene, "replug_several", "acpi", "acpi", path=scene.region(1 << 20), count=2)
    second = vm.second(scene.region(1 << 20))
    vm.lines("first alone", 1)
    second.plug()
    vm.lines("both", 1)
    vm.ask()
    vm.guest.wait_output("error pci: .*ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
    vm.guest.send("q")
    vm.guest.end(expect=("^PASS",))


def test_native_window(scene):
    """A region larger than its port's window is refused, and the option that makes room is named."""
    vm = plugs.Replug(scene, "replug_bare", "1", "native", path=scene.region(1 << 20))
    vm.lines("ready", 1)
    vm.unplug()
    vm.lines("closed", 1)
    vm.path = scene.region(64 << 20)
    vm.plug()
    vm.guest.wait_output(r"BAR 2 \(65536 KiB\) finds no room .*pref64-reserve")
    vm.guest.send("q")
    vm.guest.end(expect=("^PASS",))


def test_native_window_reserved(scene):
    """With room reserved, a larger region than the one before fits."""
    vm = plugs.Replug(scene, "replug_bare", "2", "native", path=scene.region(1 << 20),
                      port_options=",pref64-reserve=256M")
    vm.lines("ready", 1)
    vm.unplug()
    vm.lines("closed", 1)
    vm.path = scene.region(64 << 20)
    vm.plug()
    vm.lines("ready", 2)
    vm.guest.wait_output("region 64 MiB")
    vm.unplug()
    vm.lines("closed", 2)
    vm.plug()
    vm.guest.send("q")
    vm.guest.end(expect=("^PASS",))


if __name__ == "__main__":
    vms.main(globals())
