# SPDX-License-Identifier: BSD-2-Clause
# The guest's side of unplugging and plugging: the bare device, then conversations.
isthmus_test_image(replug_bare bare.c)

isthmus_replug_test(bare-native bare native native_held native_plain)
isthmus_replug_test(bare-acpi bare acpi acpi_plain_held)
isthmus_replug_test(bare-pc bare pc pc_plain_held)
