# SPDX-License-Identifier: BSD-2-Clause
# How guest code is compiled and how an image is linked.
#
#   isthmus_guest_room(name [NO_FPU] [SMALL] [FIRST] sources...)   a room of the runtime: library guest_<name>
#   isthmus_add_app(name [GUEST_ONLY] sources... [GUEST sources...] [PROCESS sources...])
#                                                  <build>/apps/<name>.elf and, unless GUEST_ONLY, the same
#                                                  sources as a host process <build>/apps/<name>; what the
#                                                  two do in different ways lies in further sources
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include
	OUTPUT_VARIABLE ISTHMUS_CC_INCLUDE OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

# assert() stays on in every build type: a guest has no second line of defence.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

add_library(isthmus_guest_flags INTERFACE)
target_compile_options(isthmus_guest_flags INTERFACE
	$<$<COMPILE_LANGUAGE:C>:-std=gnu11 ${ISTHMUS_WARNINGS}>
	${ISTHMUS_GUEST_CODEGEN}
	# A full fence as mfence, as clang makes it: QEMU's emulator calls a function for gcc's `lock or`.
	$<$<C_COMPILER_ID:GNU>:-mtune-ctrl=^avoid_mfence>
	# A frame larger than a page is touched page by page, so that it can't leap over the guard.
	$<$<COMPILE_LANGUAGE:C>:-fstack-clash-protection>
	-nostdinc "SHELL:-isystem ${ISTHMUS_NEWLIB}/include" "SHELL:-isystem ${ISTHMUS_CC_INCLUDE}")
# Of newlib's configuration: clock() counts microseconds, and time.h has the POSIX clocks.
target_compile_definitions(isthmus_guest_flags INTERFACE
	_CLOCKS_PER_SEC_=1000000 _POSIX_TIMERS=200112L _POSIX_MONOTONIC_CLOCK=200112L)
target_include_directories(isthmus_guest_flags INTERFACE
	"${ISTHMUS_ROOT}" "${ISTHMUS_ROOT}/include")

set(ISTHMUS_LINKER_SCRIPT "${ISTHMUS_ROOT}/linker/guest.ld")
# -u: ours come first, before newlib's own: abort() and assert() that bring a printf along, locks that don't lock.
set(ISTHMUS_GUEST_LINK -nostdlib -static -no-pie -Wl,-u,abort -Wl,-u,__assert_func
	-Wl,-u,__retarget_lock_acquire_recursive
	-Wl,--gc-sections -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack
	-Wl,--no-warn-rwx-segments
	"-Wl,-T,${ISTHMUS_LINKER_SCRIPT}")
set_property(GLOBAL PROPERTY ISTHMUS_GUEST_ROOMS "")

# For isthmus_add_app() in a project that took this one in with add_subdirectory().
foreach(name IN ITEMS ISTHMUS_ROOT ISTHMUS_NEWLIB ISTHMUS_LINKER_SCRIPT ISTHMUS_GUEST_LINK)
	set(${name} "${${name}}" CACHE INTERNAL "")
endforeach()

function(isthmus_guest_room name)
	cmake_parse_arguments(R "NO_FPU;SMALL;FIRST" "" "" ${ARGN})
	add_library(guest_${name} STATIC ${R_UNPARSED_ARGUMENTS})
	target_link_libraries(guest_${name} PRIVATE isthmus_guest_flags)
	if(R_NO_FPU)
		# On the interrupt path: must not touch SSE state, which nobody saved.
		target_compile_options(guest_${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:-mgeneral-regs-only>)
	endif()
	if(R_SMALL)
		# Runs once, or waits for devices: in every image, and never what is waited for.
		target_compile_options(guest_${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:-Os>)
	endif()
	add_dependencies(guest_${name} newlib)
	if(R_FIRST)
		# Linked as objects, so that they stand before what the archives have of the same names.
		set_property(GLOBAL APPEND PROPERTY ISTHMUS_GUEST_FIRST $<TARGET_OBJECTS:guest_${name}>)
	else()
		set_property(GLOBAL APPEND PROPERTY ISTHMUS_GUEST_ROOMS guest_${name})
	endif()
endfunction()

# Links an image from object library ${objects} and ${symbols}, the source of its symbol table.
function(isthmus_link_image target objects symbols)
	get_property(rooms GLOBAL PROPERTY ISTHMUS_GUEST_ROOMS)
	get_property(first GLOBAL PROPERTY ISTHMUS_GUEST_FIRST)
	add_executable(${target} $<TARGET_OBJECTS:${objects}> ${first} ${symbols})
	target_link_libraries(${target} PRIVATE isthmus_guest_flags
		-Wl,--start-group ${rooms} "${ISTHMUS_NEWLIB}/lib/libc.a" "${ISTHMUS_NEWLIB}/lib/libm.a"
		gcc -Wl,--end-group)
	target_link_options(${target} PRIVATE ${ISTHMUS_GUEST_LINK})
	set_target_properties(${target} PROPERTIES LINK_DEPENDS "${ISTHMUS_LINKER_SCRIPT}")
endfunction()

# An image is linked twice: the first link fixes where the functions are, from which the table is
# made that lets a panic name them; the second adds the table behind the code, which moves nothing.
function(isthmus_add_image name)
	cmake_parse_arguments(I "" "OUTPUT_DIR" "" ${ARGN})
	set(objects image_${name}_objects)
	add_library(${objects} OBJECT ${I_UNPARSED_ARGUMENTS})
	target_link_libraries(${objects} PRIVATE isthmus_guest_flags)
	add_dependencies(${objects} newlib)

	set(table "${CMAKE_CURRENT_BINARY_DIR}/${name}.symbols.S")
	isthmus_link_image(image_${name}_first ${objects} "${ISTHMUS_ROOT}/linker/no_symbols.S")
	add_custom_command(OUTPUT "${table}"
		COMMAND sh "${ISTHMUS_ROOT}/linker/symbols.sh" ${name}
			$<TARGET_FILE:image_${name}_first> "${table}"
		DEPENDS image_${name}_first "${ISTHMUS_ROOT}/linker/symbols.sh" VERBATIM)
	isthmus_link_image(image_${name} ${objects} "${table}")
	set_target_properties(image_${name} PROPERTIES
		OUTPUT_NAME ${name}.elf RUNTIME_OUTPUT_DIRECTORY "${I_OUTPUT_DIR}")
endfunction()

function(isthmus_add_app name)
	cmake_parse_arguments(A "GUEST_ONLY" "" "GUEST;PROCESS" ${ARGN})
	isthmus_add_image(${name} ${A_UNPARSED_ARGUMENTS} ${A_GUEST}
		OUTPUT_DIR "${CMAKE_BINARY_DIR}/apps")
	add_dependencies(programs image_${name})
	if(NOT A_GUEST_ONLY AND TARGET isthmus_peer)
		add_executable(process_${name} ${A_UNPARSED_ARGUMENTS} ${A_PROCESS})
		target_link_libraries(process_${name} PRIVATE isthmus_host_flags isthmus_peer)
		set_target_properties(process_${name} PROPERTIES
			OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/apps")
		add_dependencies(programs process_${name})
	endif()
endfunction()
