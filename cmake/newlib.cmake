# SPDX-License-Identifier: BSD-2-Clause
# newlib, the guest's libc, built once from Debian's newlib-source into a cache outside the build
# folder. The cache's key is made of newlib's version and all that decides its code, so that a clean
# rebuild finds it and a changed flag doesn't find the wrong one.

file(GLOB ISTHMUS_NEWLIB_TARBALL "/usr/src/newlib/newlib-*.tar.xz")
if(NOT ISTHMUS_NEWLIB_TARBALL)
	message(FATAL_ERROR "no newlib source in /usr/src/newlib: apt-get install newlib-source")
endif()
list(SORT ISTHMUS_NEWLIB_TARBALL COMPARE NATURAL)
list(GET ISTHMUS_NEWLIB_TARBALL -1 ISTHMUS_NEWLIB_TARBALL)

# What decides how guest code is generated; newlib and the rooms must agree on all of it.
set(ISTHMUS_GUEST_CODEGEN -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone
	-fno-stack-protector -fcf-protection=none -ffunction-sections -fdata-sections
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-math-errno)

if(DEFINED ENV{ISTHMUS_CACHE})
	set(cache "$ENV{ISTHMUS_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
	set(cache "$ENV{XDG_CACHE_HOME}/isthmus")
else()
	set(cache "$ENV{HOME}/.cache/isthmus")
endif()

execute_process(COMMAND gcc -dumpfullversion OUTPUT_VARIABLE gcc_version
	OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(SHA256 "${ISTHMUS_NEWLIB_TARBALL}" tarball_hash)
file(SHA256 "${CMAKE_CURRENT_LIST_DIR}/build-newlib.sh" recipe_hash)
string(SHA256 key "${tarball_hash} ${recipe_hash} ${gcc_version} ${ISTHMUS_GUEST_CODEGEN}")
string(SUBSTRING "${key}" 0 12 key)
get_filename_component(newlib_name "${ISTHMUS_NEWLIB_TARBALL}" NAME_WLE)
string(REPLACE ".tar" "" newlib_name "${newlib_name}")
set(ISTHMUS_NEWLIB "${cache}/${newlib_name}-${key}/x86_64-elf")

string(JOIN " " codegen ${ISTHMUS_GUEST_CODEGEN})
# Ninja runs this in every fresh build folder, since its log knows of no earlier run: what another
# folder has built must stay as it is, or builds under way lose their headers.
add_custom_command(OUTPUT "${ISTHMUS_NEWLIB}/lib/libc.a" "${ISTHMUS_NEWLIB}/lib/libm.a"
	COMMAND sh -c "test -e '${ISTHMUS_NEWLIB}/lib/libc.a' || \
exec sh '${CMAKE_CURRENT_LIST_DIR}/build-newlib.sh' '${ISTHMUS_NEWLIB_TARBALL}' \
'${cache}/${newlib_name}-${key}' '${codegen}'"
	COMMENT "newlib: building once into ${cache}/${newlib_name}-${key} (about a minute)"
	USES_TERMINAL VERBATIM)
add_custom_target(newlib DEPENDS "${ISTHMUS_NEWLIB}/lib/libc.a")
