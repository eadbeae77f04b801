# SPDX-License-Identifier: BSD-2-Clause
# How the UEFI boot stub is compiled, linked and turned into PE, with Debian's gnu-efi.
#
#   isthmus_add_uefi_stub(name sources...)   <build>/boot/<name>.efi
#
# Without gnu-efi there is no stub, and `isthmus image` says what to install.
find_path(ISTHMUS_EFI_INCLUDE efi.h PATH_SUFFIXES efi)
find_file(ISTHMUS_EFI_CRT0 crt0-efi-x86_64.o PATHS /usr/lib /usr/lib64 PATH_SUFFIXES gnuefi)
find_library(ISTHMUS_EFI_LIBRARY gnuefi)
find_program(ISTHMUS_OBJCOPY objcopy)

# Position-independent, as it relocates itself; general registers only, as its C runs beside the
# firmware's interrupts; 16-bit wchar_t, and the firmware's calling convention by attribute.
set(ISTHMUS_EFI_CODEGEN -O2 -ffreestanding -fpic -fvisibility=hidden -fshort-wchar -mno-red-zone
	-mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
	-fno-strict-aliasing)
set(ISTHMUS_EFI_LINKER_SCRIPT "${ISTHMUS_ROOT}/boot/uefi/stub.ld")

function(isthmus_add_uefi_stub name)
	if(NOT ISTHMUS_EFI_INCLUDE OR NOT ISTHMUS_EFI_CRT0 OR NOT ISTHMUS_EFI_LIBRARY)
		message(STATUS "no gnu-efi: ${name}.efi is left out")
		return()
	endif()
	add_executable(${name} ${ARGN})
	target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:-std=gnu11 ${ISTHMUS_WARNINGS}>
		${ISTHMUS_EFI_CODEGEN})
	target_compile_definitions(${name} PRIVATE GNU_EFI_USE_MS_ABI)
	target_include_directories(${name} PRIVATE "${ISTHMUS_ROOT}" "${ISTHMUS_ROOT}/include")
	target_include_directories(${name} SYSTEM PRIVATE
		"${ISTHMUS_EFI_INCLUDE}" "${ISTHMUS_EFI_INCLUDE}/x86_64")
	target_link_libraries(${name} PRIVATE "${ISTHMUS_EFI_CRT0}" "${ISTHMUS_EFI_LIBRARY}")
	target_link_options(${name} PRIVATE -nostdlib -shared -Wl,-Bsymbolic -Wl,--build-id=none
		-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-undefined
		"-Wl,-T,${ISTHMUS_EFI_LINKER_SCRIPT}")
	set_target_properties(${name} PROPERTIES OUTPUT_NAME ${name}.so
		RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}"
		POSITION_INDEPENDENT_CODE ON LINK_DEPENDS "${ISTHMUS_EFI_LINKER_SCRIPT}")

	set(out "${CMAKE_BINARY_DIR}/boot/${name}.efi")
	add_custom_command(OUTPUT "${out}"
		COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_BINARY_DIR}/boot"
		COMMAND "${ISTHMUS_OBJCOPY}" -j .text -j .reloc -j .data -j .dynamic -j .rela
			-j .dynsym --target efi-app-x86_64 --subsystem=10 $<TARGET_FILE:${name}> "${out}"
		DEPENDS ${name} VERBATIM)
	add_custom_target(${name}_pe ALL DEPENDS "${out}")
endfunction()
