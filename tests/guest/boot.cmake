# SPDX-License-Identifier: BSD-2-Clause
# boot, mm, platform and libc, booted.
set(hello "^Hello from hello one two three\\.$")

foreach(machine IN ITEMS pc q35 microvm,acpi=on,pcie=on)
	string(REGEX REPLACE ",.*" "" short ${machine})
	isthmus_boot_test(hello-${short} hello --machine ${machine} --append "one 'two three'"
		--expect ${hello} --refuse "^\\[.*(warn|error)")
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

isthmus_test_image(libc libc.c)
isthmus_test_image(endings endings.c)
isthmus_test_image(memory memory.c)
isthmus_test_image(maps maps.c)
foreach(target IN ITEMS image_maps image_maps_first)
	target_link_options(${target} PRIVATE -Wl,--wrap=boot_main)
endforeach()

isthmus_boot_test(libc libc --expect "^PASS" --expect "^TIME 20[2-9][0-9]-" --expect "^atexit in order$"
	-- -rtc base=utc)
isthmus_boot_test(libc-rtc libc --expect "^TIME 2031-02-03T04:05:0" -- -rtc base=2031-02-03T04:05:06)

# Ways to end.
isthmus_boot_test(end-return endings --append "return 7" --status 7)
isthmus_boot_test(end-exit endings --append "exit 0")
isthmus_boot_test(end-_exit endings --append "_exit 3" --status 3)
isthmus_boot_test(end-large endings --append "return 500" --status 100)
isthmus_boot_test(end-negative endings --append "return -1" --status 100)
isthmus_boot_test(end-assert endings --append "assert" --panic
	--expect "panic assertion failed: .*an assertion that does not hold.*, in main\\(\\), .*endings\\.c:[0-9]+")
isthmus_boot_test(end-abort endings --append "abort" --panic --expect "panic abort\\(\\) was called" --expect "main")
isthmus_boot_test(end-raise endings --append "raise" --panic --expect "signal 15 was raised")
isthmus_boot_test(end-panic endings --append "panic" --panic --expect "panic gave in, with 3 words"
	--expect "give_in")
foreach(machine IN ITEMS pc q35 microvm,acpi=on,pcie=on)
	string(REGEX REPLACE ",.*" "" short ${machine})
	isthmus_boot_test(power-off-${short} endings --machine ${machine} --append "power-off" --code 0
		--refuse "how should I end")
	# Without isa-debug-exit: the status in words, then power-off.
	isthmus_boot_test(no-debug-exit-${short} endings --machine ${machine} --append "return 5" --no-debug-exit
		--code 0 --expect "^isthmus: exit 5$")
endforeach()
isthmus_boot_test(no-debug-exit-panic endings --append "panic" --no-debug-exit --code 0
	--expect "^isthmus: panic")
isthmus_boot_test(stdin endings --append "echo" --stdin [[one\n two three\r\nfour\n\004]]
	--expect "^<one>$" --expect "^< two three>$" --expect "^<four>$")
isthmus_boot_test(flood endings --append "flood 2000" --expect "^line 0 of 2000: .* dog$"
	--expect "^line 1999 of 2000: .* dog$")
isthmus_boot_test(no-serial-port endings --append "return 4" --status 4 --no-serial)

# Memory: sizes and CPUs.
isthmus_boot_test(memory memory --expect "^PASS")
isthmus_boot_test(memory-pc-small memory --machine pc --memory 16 --expect "^PASS")
isthmus_boot_test(memory-microvm memory --machine microvm,acpi=on,pcie=on --expect "^PASS")
isthmus_boot_test(memory-qboot memory --bios qboot.rom --expect "^PASS")
isthmus_boot_test(memory-6g memory --memory 6G --expect "^PASS" --expect "up to 0x1[0-9a-f]{8}$")
isthmus_boot_test(memory-huge-pages memory --cpu qemu64,+pdpe1gb --expect "^PASS")
isthmus_boot_test(hello-3m hello --memory 3 --append "one 'two three'" --expect ${hello})
isthmus_boot_test(hello-8m-pc hello --machine pc --memory 8 --append "one 'two three'" --expect ${hello})
isthmus_boot_test(hello-8m-qboot hello --memory 8 --bios qboot.rom --append "one 'two three'" --expect ${hello})
isthmus_boot_test(ram-ends-in-image hello --memory 2400K --bios qboot.rom --status 1
	--expect "^error boot: RAM ends within the image: give the guest more memory, QEMU's -m$")
# Opteron_G5: XSAVE that QEMU's translator offers and won't let be switched on.
foreach(cpu IN ITEMS qemu64 max Haswell EPYC kvm64 qemu64,-nx Opteron_G5 qemu64,+xsave)
	string(REPLACE "," "" short ${cpu})
	isthmus_boot_test(cpu-${short} hello --cpu ${cpu} --append "one 'two three'" --expect ${hello}
		--refuse "^\\[.*(warn|error)")
endforeach()
isthmus_boot_test(cpu-without-long-mode hello --cpu qemu32 --status 1 --expect "no 64-bit mode")
isthmus_boot_test(cpu-without-mtrr-and-pat hello --cpu qemu64,-mtrr,-pat --append "one 'two three'" --expect ${hello})

# What firmware may say.
foreach(how IN ITEMS unsorted overlapping fragments no-rsdp wrong-rsdp far-rsdp)
	isthmus_boot_test(map-${how} maps --append "as=${how}" --expect "^PASS")
endforeach()
isthmus_boot_test(map-hole maps --append "as=hole" --status 1 --expect "mm: the image needs RAM from 0x200000 to ")
isthmus_boot_test(map-elsewhere maps --append "as=elsewhere" --status 1 --expect "mm: the image needs RAM ")
isthmus_boot_test(map-empty maps --append "as=empty" --status 1 --expect "mm: the image needs RAM .*QEMU's -m")
isthmus_boot_test(map-tight maps --append "as=tight" --status 1 --expect "are left beside the image, at least")

# The command line.
isthmus_boot_test(options-unknown hello --append "isthmus.nmae=a" --status 1
	--expect "no option \"isthmus.nmae=a\", only isthmus.log=LEVEL")
isthmus_boot_test(options-log hello --append "isthmus.log=loud" --status 1 --expect "error, warn, info or debug")
isthmus_boot_test(options-quote hello --append "one 'two" --status 1 --expect "a quotation in it does not end")
isthmus_boot_test(options-removed hello --append "one isthmus.log=debug isthmus.name='a b' 'two three'"
	--expect ${hello} --expect "debug boot: PVH, image at 0x200000")
string(REPEAT "word " 300 words)
isthmus_boot_test(options-many hello --append "${words}" --status 1 --expect "more than 256 words")
string(REPEAT "x" 5000 long)
foreach(bios IN ITEMS bios-256k.bin qboot.rom)
	isthmus_boot_test(options-long-${bios} hello --bios ${bios} --append "${long}" --status 1
		--expect "command line .*longer than 4095 bytes")
endforeach()

# Where the image may lie, what may lie beside it, and what else a machine may have or lack.
isthmus_add_test(NAME placed AREA boot TIMEOUT 120
	COMMAND ${ISTHMUS_PYTHON} "${CMAKE_CURRENT_SOURCE_DIR}/placed.py" hello)
isthmus_test_image(modules modules.c)
isthmus_add_test(NAME modules AREA boot TIMEOUT 120
	COMMAND ${ISTHMUS_PYTHON} "${CMAKE_CURRENT_SOURCE_DIR}/modules.py")
isthmus_boot_test(hello-4-cpus hello --smp 4 --append "one 'two three'" --expect ${hello})
isthmus_boot_test(hello-without-acpi hello --machine microvm,acpi=off --append "one 'two three'" --expect ${hello})
isthmus_boot_test(maps-without-acpi maps --machine microvm,acpi=off --append "as=it-is" --expect "^PASS"
	--expect "warn  acpi: no tables found")
isthmus_boot_test(hello-without-hpet hello --machine q35,hpet=off --append "one 'two three'" --expect ${hello})

# Damaged tables: named in a line, left out, and the guest goes on.
isthmus_boot_test(acpi-sum-mcfg maps --append "as=bad-sum-mcfg" --expect "^PASS"
	--expect "warn  acpi: table \"MCFG\" at .* has a wrong checksum: left out")
isthmus_boot_test(acpi-sum-madt maps --append "as=bad-sum-madt" --expect "^PASS"
	--expect "warn  acpi: table \"APIC\" at .* has a wrong checksum: left out")
isthmus_boot_test(acpi-long-hpet maps --append "as=long-hpet" --expect "^PASS"
	--expect "warn  acpi: table \"HPET\" at .* says that it is 4294967292 bytes long: left out")
isthmus_boot_test(acpi-short-fadt maps --append "as=short-fadt" --expect "^PASS"
	--expect "warn  acpi: table \"FACP\" at .* says that it is 7 bytes long: left out")

isthmus_add_test(NAME outside-project AREA boot ALL TIMEOUT 600
	COMMAND ${ISTHMUS_PYTHON} "${CMAKE_CURRENT_SOURCE_DIR}/outside.py")
