# SPDX-License-Identifier: BSD-2-Clause
"""VMs with a monitor, whose device is taken away and given back.

QEMU 7.2 wants it in this order: device_del, DEVICE_DELETED, then chardev-remove or object-del, and
a fresh chardev or object before device_add; and no server that sends a disconnect message."""
import copy
import json
import os
import socket
import sys
import time

SOURCE = os.environ.get("ISTHMUS_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/system")]
import vms  # noqa: E402

PATIENCE = vms.PATIENCE
NATIVE = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]


class Monitor:
    def __init__(self, path):
        end = time.monotonic() + PATIENCE
        self.sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.sock.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise vms.Failure("no monitor") from None
                time.sleep(0.01)
        self.sock.settimeout(PATIENCE)
        self.lines = self.sock.makefile("r")
        self.events = []
        self.read()
        self.run("qmp_capabilities")

    def read(self):
        try:
            line = self.lines.readline()
        except (TimeoutError, socket.timeout):
            raise vms.Failure("the monitor says nothing") from None
        if not line:
            raise vms.Failure("QEMU has ended")
        return json.loads(line)

    def run(self, command, **arguments):
        self.sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = self.read()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise vms.Failure(f"{command}: {answer['error']['desc']}")
            elif "return" in answer:
                return answer["return"]

    def wait_event(self, name, **data):
        def fits(event):
            return event["event"] == name and all(
                event.get("data", {}).get(k) == v for k, v in data.items())
        while True:
            for event in self.events:
                if fits(event):
                    self.events.remove(event)
                    return event
            answer = self.read()
            if "event" in answer:
                self.events.append(answer)

    def close(self):
        self.lines.close()
        self.sock.close()


class Replug:
    """One VM with one device, "shm", of a server or a file."""

    def __init__(self, scene, image, append, kind, server=None, path=None, vectors=2, count=1,
                 port_options="", plugged=True, more=(), bridge=None, **options):
        self.scene, self.server, self.path, self.vectors = scene, server, path, vectors
        self.name, self.generation = "", 0
        machine, self.bus, extra = "q35", "port0", list(more)
        if kind == "pc":
            machine, self.bus = "pc", "pci.0"
        else:
            for n in range(count):
                extra += ["-device", f"pcie-root-port,id=port{n},chassis={n + 1}{port_options}"]
            if kind == "native":
                extra += NATIVE
        self.address = {}
        if bridge:  # the device is behind one more bridge, whose slot 0 takes nothing
            extra += ["-device", f"{bridge},id=bridge,bus={self.bus}"]
            self.bus, self.address = "bridge", {"addr": "1"}
        monitor = os.path.join(scene.folder, f"monitor.{len(scene.guests)}")
        extra += ["-qmp", f"unix:{monitor},server=on,wait=off"]
        if plugged:
            if server:
                extra += ["-chardev", f"socket,path={server.path},id={self.back()}"]
            else:
                extra += ["-object", f"memory-backend-file,id={self.back()},share=on,"
                          f"mem-path={path},size={os.path.getsize(path)}"]
            words = self.device()
            extra += ["-device", ",".join([words.pop("driver")] +
                                          [f"{k}={v}" for k, v in words.items()])]
        self.guest = scene.guest(image, append, extra, machine=machine, **options)
        self.monitor = Monitor(monitor)

    def second(self, path):
        """A second device of the same VM, behind the second port, not plugged yet."""
        other = copy.copy(self)
        other.name, other.path, other.server, other.bus = "second-", path, None, "port1"
        return other

    def back(self):
        return f"back-{self.name}{self.generation}"

    def shm(self):
        return f"shm-{self.name}{self.generation}"

    def device(self):
        words = {"driver": "ivshmem-doorbell" if self.server else "ivshmem-plain",
                 "id": self.shm(), "bus": self.bus, **self.address}
        if self.server:
            return {**words, "chardev": self.back(), "vectors": self.vectors}
        return {**words, "memdev": self.back()}

    def ask(self):
        self.monitor.run("device_del", id=self.shm())

    def taken(self):
        """After ask(): waits until the guest has let it go, and tidies up behind it."""
        self.monitor.wait_event("DEVICE_DELETED", device=self.shm())
        self.wait_region_closed()
        back = self.back()
        if self.server:
            self.monitor.run("chardev-remove", id=back)
        else:
            self.monitor.run("object-del", id=back)

    def wait_region_closed(self):
        """QEMU closes the server's region a moment after DEVICE_DELETED, and still listens to the
        numbers of closed eventfds: only when a new device gets the same numbers does it not run
        into freed memory."""
        if not self.server:
            return
        folder = f"/proc/{self.guest.process.pid}/fd"
        region = os.stat(self.server.shm_path())
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            held = False
            for number in os.listdir(folder):
                try:
                    status = os.stat(os.path.join(folder, number))
                except OSError:
                    continue
                held |= (status.st_dev, status.st_ino) == (region.st_dev, region.st_ino)
            if not held:
                return
            time.sleep(0.01)
        raise vms.Failure("QEMU keeps the region open")

    def unplug(self):
        self.ask()
        self.taken()

    def plug(self):
        self.generation += 1
        back = self.back()
        if self.server:
            self.monitor.run("chardev-add", id=back, backend={"type": "socket", "data": {
                "addr": {"type": "unix", "data": {"path": self.server.path}}, "server": False}})
        else:
            self.monitor.run("object-add", **{"qom-type": "memory-backend-file", "id": back,
                                              "share": True, "mem-path": self.path,
                                              "size": os.path.getsize(self.path)})
        words = self.device()
        self.monitor.run("device_add", **words)

    def job(self, command, **arguments):
        """One of QEMU's jobs, to its end."""
        self.monitor.run(command, **{"job-id": "job"}, **arguments)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            job = self.monitor.run("query-jobs")[0]
            if job["status"] == "concluded":
                self.monitor.run("job-dismiss", id="job")
                if job.get("error"):
                    raise vms.Failure(f"{command}: {job['error']}")
                return
            time.sleep(0.02)
        raise vms.Failure(f"{command} doesn't end")

    def lines(self, pattern, count):
        """Waits until the guest has printed so many such lines."""
        self.guest.wait_output(rf"(?s)(^{pattern}\s*?$.*?){{{count}}}")
