# SPDX-License-Identifier: BSD-2-Clause
# The guest's side of unplugging and plugging: the bare device, then conversations.
isthmus_test_image(replug_bare bare.c)
isthmus_test_image(replug_several several.c)
isthmus_test_image(replug_talk talk.c)
if(TARGET isthmus_peer)
	add_executable(replug_talk talk.c)
	target_link_libraries(replug_talk PRIVATE isthmus_host_flags isthmus_peer)
	set_target_properties(replug_talk PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/replug")
endif()

isthmus_replug_test(bare-native bare native native_held native_plain)
isthmus_replug_test(bare-acpi bare acpi acpi_plain_held)
isthmus_replug_test(bare-pc bare pc pc_plain_held)
isthmus_replug_test(bare-several bare native_several acpi_several)
isthmus_replug_test(bare-stubborn bare native_stubborn pc_stubborn)
isthmus_replug_test(bare-window bare native_window native_window_reserved)

isthmus_replug_test(talk-native talk native native_plain native_no_events native_delay)
isthmus_replug_test(talk-acpi talk acpi guests)
isthmus_replug_test(talk-pc talk pc pc_plain pc_no_events)
isthmus_replug_test(talk-blocked talk native_blocked pc_blocked)
isthmus_replug_test(talk-handshake talk native_connecting pc_connecting native_attaching pc_attaching)
isthmus_replug_test(talk-bereft talk native_peer_dead pc_peer_dead native_server_dead pc_server_dead)
isthmus_replug_test(talk-20-native talk native_20 ALL)
isthmus_replug_test(talk-20-acpi talk acpi_20 ALL)
isthmus_replug_test(talk-20-pc talk pc_20 ALL)
isthmus_replug_test(talk-20-plain talk native_plain_20 pc_plain_20 ALL)
