# SPDX-License-Identifier: BSD-2-Clause
# `cmake --install BUILD --prefix DIR` after a build:
#
#   bin/isthmus, bin/ivshmem-server      links into lib/isthmus/
#   lib/isthmus/{bin,apps,boot}          what `isthmus` looks for beside itself
#   lib/libisthmus_*.a, include/isthmus/, lib/pkgconfig/isthmus.pc
#                                        for host processes: cc peer.c $(pkg-config --cflags --libs isthmus)
#   share/doc/isthmus/
include(GNUInstallDirs)
set(CMAKE_SKIP_INSTALL_RPATH ON)
set(home "${CMAKE_INSTALL_LIBDIR}/isthmus")

install(TARGETS isthmus ivshmem-server RUNTIME DESTINATION "${home}/bin")
foreach(program IN ITEMS isthmus ivshmem-server)
	install(CODE "
		set(bin \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
		file(MAKE_DIRECTORY \"\${bin}\")
		file(CREATE_LINK ../${home}/bin/${program} \"\${bin}/${program}\" SYMBOLIC)")
endforeach()

# Guest images and processes of the apps; the others in that folder are of tests and benchmarks.
get_property(targets DIRECTORY "${ISTHMUS_ROOT}/apps" PROPERTY BUILDSYSTEM_TARGETS)
list(FILTER targets INCLUDE REGEX "^(process|image)_[a-z]+$")
install(TARGETS ${targets} RUNTIME DESTINATION "${home}/apps")
file(GLOB topologies "${ISTHMUS_ROOT}/apps/*.topo")
install(FILES ${topologies} DESTINATION "${home}/apps")
install(FILES "${CMAKE_BINARY_DIR}/boot/stub.efi" DESTINATION "${home}/boot" OPTIONAL)

install(TARGETS isthmus_peer isthmus_msg isthmus_client ARCHIVE)
file(GLOB headers "${ISTHMUS_ROOT}/include/isthmus/msg*.h")
# That one brings msg/'s own headers along: for what is built with the rooms.
list(FILTER headers EXCLUDE REGEX "/msg_inline.h$")
install(FILES ${headers} "${ISTHMUS_ROOT}/include/isthmus/scratch.h" DESTINATION
	"${CMAKE_INSTALL_INCLUDEDIR}/isthmus")
file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/isthmus.pc" @ONLY CONTENT
"prefix=\${pcfiledir}/@up@
Name: isthmus
Description: Messages with bare-metal guests and other processes in shared memory
Version: @PROJECT_VERSION@
Cflags: -I\${prefix}/@CMAKE_INSTALL_INCLUDEDIR@
Libs: -L\${prefix}/@CMAKE_INSTALL_LIBDIR@ -listhmus_peer -listhmus_msg -listhmus_client -pthread
")
install(FILES "${CMAKE_BINARY_DIR}/isthmus.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

file(GLOB documents "${ISTHMUS_ROOT}/docs/*.md")
install(FILES ${documents} "${ISTHMUS_ROOT}/README.md" "${ISTHMUS_ROOT}/LICENSE"
	DESTINATION "${CMAKE_INSTALL_DOCDIR}")
