# SPDX-License-Identifier: BSD-2-Clause
# Links by themselves: both ends in one process.
if(TARGET isthmus_peer)
	add_executable(replug_link link.c)
	target_link_libraries(replug_link PRIVATE isthmus_host_flags isthmus_peer cmocka)
	set_target_properties(replug_link PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/replug")
	isthmus_add_test(NAME link AREA replug TIMEOUT 120 COMMAND replug_link)
endif()
