# SPDX-License-Identifier: BSD-2-Clause
"""The bare device leaves and comes back: with native slots, with ACPI's registers, on pc."""
import plugs
import vms


def cycles(scene, kind, server=False, held=False, rounds=3, **options):
    where = ({"server": scene.server("1M", 2, "--sticky-ids")} if server else
             {"path": scene.region(1 << 20)})
    vm = plugs.Replug(scene, "replug_bare", f"{rounds}{' held' if held else ''}", kind,
                      **where, **options)
    for n in range(rounds):
        vm.lines("ready", n + 1)
        vm.unplug()
        vm.lines("closed", n + 1)
        vm.plug()
    vm.guest.end(expect=("^PASS",))


def test_native(scene):
    cycles(scene, "native", server=True)


def test_native_held(scene):
    cycles(scene, "native", server=True, held=True)


def test_native_plain(scene):
    cycles(scene, "native")


def test_acpi(scene):
    cycles(scene, "acpi", server=True)


def test_acpi_plain_held(scene):
    cycles(scene, "acpi", held=True)


def test_pc(scene):
    cycles(scene, "pc", server=True)


def test_pc_plain_held(scene):
    cycles(scene, "pc", held=True)


if __name__ == "__main__":
    vms.main(globals())
