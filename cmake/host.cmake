# SPDX-License-Identifier: BSD-2-Clause
# How host code is compiled: one INTERFACE target that every host program and library links.
option(ISTHMUS_WERROR "Warnings are errors" OFF)

set(ISTHMUS_WARNINGS -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
	-Wundef -Wvla -Wpointer-arith)
if(ISTHMUS_WERROR)
	list(APPEND ISTHMUS_WARNINGS -Werror)
endif()

add_library(isthmus_host_flags INTERFACE)
target_compile_options(isthmus_host_flags INTERFACE
	$<$<COMPILE_LANGUAGE:C>:-std=gnu11 ${ISTHMUS_WARNINGS}>)
target_compile_definitions(isthmus_host_flags INTERFACE _GNU_SOURCE)
target_include_directories(isthmus_host_flags INTERFACE
	"${ISTHMUS_ROOT}" "${ISTHMUS_ROOT}/include")
if(ISTHMUS_SANITIZE)
	target_compile_options(isthmus_host_flags INTERFACE
		-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
	target_link_options(isthmus_host_flags INTERFACE -fsanitize=address,undefined)
endif()

# What a user runs, as opposed to tests and benchmarks: `./isthmus run` builds no more than that.
add_custom_target(programs)

# isthmus_host_program(name sources...): a program in <build>/bin/.
function(isthmus_host_program name)
	add_executable(${name} ${ARGN})
	target_link_libraries(${name} PRIVATE isthmus_host_flags)
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
	add_dependencies(programs ${name})
endfunction()
