# SPDX-License-Identifier: BSD-2-Clause
# isthmus_add_test(NAME name AREA area [TIMEOUT seconds] [ALL] [SERIAL] COMMAND command...)
#
# Registers one ctest case. AREA becomes its label, for which the run prints the seconds.
# ALL: only with ISTHMUS_ALL_TESTS (`./isthmus test --all`). SERIAL: runs alone.
# The command's exit status: 0 passes, 77 skips (with a line "SKIP: reason"), else fails.
set(ISTHMUS_PYTHON /usr/bin/python3)
set(ISTHMUS_TEST_AREAS boot server channels simulator mutations adversity fuzzing matrix
	replug msg bench tree launch)
set_property(GLOBAL PROPERTY ISTHMUS_TESTS_BEHIND_ALL 0)

function(isthmus_add_test)
	cmake_parse_arguments(T "ALL;SERIAL" "NAME;AREA;TIMEOUT" "COMMAND" ${ARGN})
	if(T_UNPARSED_ARGUMENTS OR NOT T_NAME OR NOT T_COMMAND OR NOT T_AREA IN_LIST ISTHMUS_TEST_AREAS)
		message(FATAL_ERROR "isthmus_add_test(${ARGN}): needs NAME, AREA (one of "
			"${ISTHMUS_TEST_AREAS}) and COMMAND")
	endif()
	if(T_ALL AND NOT ISTHMUS_ALL_TESTS)
		get_property(n GLOBAL PROPERTY ISTHMUS_TESTS_BEHIND_ALL)
		math(EXPR n "${n} + 1")
		set_property(GLOBAL PROPERTY ISTHMUS_TESTS_BEHIND_ALL ${n})
		return()
	endif()
	if(NOT T_TIMEOUT)
		set(T_TIMEOUT 60)
	endif()
	add_test(NAME ${T_AREA}/${T_NAME} COMMAND ${T_COMMAND})
	set_tests_properties(${T_AREA}/${T_NAME} PROPERTIES
		LABELS ${T_AREA} TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77 RUN_SERIAL "${T_SERIAL}"
		ENVIRONMENT "ISTHMUS_BUILD=${CMAKE_BINARY_DIR};ISTHMUS_SOURCE=${ISTHMUS_ROOT}")
endfunction()
