# SPDX-License-Identifier: BSD-2-Clause
# boot, mm, platform and libc, booted.
set(hello "^Hello from hello one two three\\.$")

foreach(machine IN ITEMS pc q35 microvm,acpi=on,pcie=on)
	string(REGEX REPLACE ",.*" "" short ${machine})
	isthmus_boot_test(hello-${short} hello --machine ${machine} --append "one 'two three'"
		--expect ${hello} --refuse "warn|error")
endforeach()

# What the runtime costs an app in bytes.
isthmus_test_image(size_puts size_puts.c)
isthmus_test_image(size_iprintf size_iprintf.c)
foreach(case IN ITEMS "size_puts 64" "size_iprintf 64" "hello 112")
	separate_arguments(case)
	list(GET case 0 image)
	isthmus_add_test(NAME size-${image} AREA boot
		COMMAND ${ISTHMUS_PYTHON} "${CMAKE_CURRENT_SOURCE_DIR}/size.py" ${case})
endforeach()
