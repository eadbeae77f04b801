# SPDX-License-Identifier: BSD-2-Clause
# boot, mm, platform and libc, booted.
set(hello "^Hello from hello one two three\\.$")

foreach(machine IN ITEMS pc q35 microvm,acpi=on,pcie=on)
	string(REGEX REPLACE ",.*" "" short ${machine})
	isthmus_boot_test(hello-${short} hello --machine ${machine} --append "one 'two three'"
		--expect ${hello} --refuse "warn|error")
endforeach()
