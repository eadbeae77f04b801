# SPDX-License-Identifier: BSD-2-Clause
# Booted tests of cpu/ and log/: every panic, vectors, timers and the clock.
isthmus_test_image(traps traps.c faults.S)
isthmus_test_image(processor processor.c cpu_state.S)

# isthmus_traps_test(name arguments of traps.py...)
function(isthmus_traps_test name)
	isthmus_add_test(NAME traps-${name} AREA boot TIMEOUT 240 COMMAND ${ISTHMUS_PYTHON} -B
		"${CMAKE_CURRENT_SOURCE_DIR}/traps.py" ${ARGN})
endfunction()

isthmus_traps_test(faults-q35 faults --machine q35)
isthmus_traps_test(faults-pc faults --machine pc)
isthmus_traps_test(faults-max faults --machine q35 --cpu max)
isthmus_traps_test(raise-q35 raise --machine q35)
isthmus_traps_test(paths-q35 paths --machine q35)
isthmus_traps_test(paths-pc paths --machine pc)

# "-cpu max" has AVX and XSAVE, qemu64 neither.
foreach(cpu IN ITEMS qemu64 max)
	foreach(machine IN ITEMS q35 pc)
		isthmus_boot_test(processor-${machine}-${cpu} processor
			--machine ${machine} --cpu ${cpu}
			--expect "^PASS" --expect "warn .*vector 0xef, which nobody holds")
	endforeach()
endforeach()
isthmus_boot_test(processor-microvm processor --machine microvm,acpi=on,pcie=on --expect "^PASS")

# Each source of the clock. Five seconds: longer than the APIC timer and a 24-bit PM timer can count.
function(isthmus_clock_test name seconds source)
	isthmus_add_test(NAME clock-${name} AREA boot COMMAND ${ISTHMUS_PYTHON} -B
		"${CMAKE_CURRENT_SOURCE_DIR}/clock.py" ${seconds} ${source} ${ARGN})
endfunction()

isthmus_clock_test(hpet 2 HPET --machine q35)
isthmus_clock_test(pm-timer 5 "PM timer" --machine pc,hpet=off)
isthmus_clock_test(apic-timer 5 "APIC timer" --machine microvm,acpi=on,pcie=on)

isthmus_add_test(NAME log-lines AREA boot COMMAND ${ISTHMUS_PYTHON} -B
	"${CMAKE_CURRENT_SOURCE_DIR}/log_lines.py" q35)
isthmus_add_test(NAME gdb AREA boot TIMEOUT 180 COMMAND ${ISTHMUS_PYTHON} -B
	"${CMAKE_CURRENT_SOURCE_DIR}/gdb.py")

# More CPUs.
isthmus_test_image(processors processors.c)

# isthmus_processors_test(name boot.py's options...). More CPUs than a busy host has wait for each other long.
function(isthmus_processors_test name)
	isthmus_add_test(NAME processors-${name} AREA boot TIMEOUT 260 COMMAND ${ISTHMUS_PYTHON}
		"${CMAKE_CURRENT_SOURCE_DIR}/boot.py" processors --timeout 240 ${ARGN})
endfunction()

foreach(machine IN ITEMS pc q35 microvm,acpi=on,pcie=on)
	string(REGEX REPLACE ",.*" "" short ${machine})
	isthmus_processors_test(${short} --machine ${machine} --smp 4 --append 4
		--expect "^PASS")
endforeach()
# A panic on one of them, with the others at work, one with interrupts off: nobody says a word after it.
isthmus_processors_test(panic --smp 4 --append "4 panic" --panic
	--expect "panic given in on purpose" --expect "in image processors, on cpu 3"
	--expect "end_here" --refuse "(?s)panic .*is at work")
isthmus_processors_test(fault --smp 4 --append "4 fault" --panic
	--expect "write to 0x10 " --expect "on cpu 3, error" --refuse "(?s)panic .*is at work")
isthmus_processors_test(overflow --smp 4 --append "4 overflow" --panic
	--expect "stack overflow in deep\\+.*the main stack of 2[0-9]+ KiB is used up"
	--expect "on cpu 3, error" --refuse "(?s)panic .*is at work")
isthmus_processors_test(exit --smp 4 --append "4 exit" --status 7)
isthmus_processors_test(exit-in-words --smp 4 --append "4 exit" --no-debug-exit --code 0
	--expect "^isthmus: exit 7$" --refuse "(?s)isthmus: exit.*is at work")
isthmus_processors_test(one --append 1 --expect "^PASS")
isthmus_processors_test(many --smp 9 --append 9 --memory 32 --cpu max --expect "^PASS")
