#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# build-newlib.sh TARBALL PREFIX CODEGEN-FLAGS: newlib for a freestanding x86-64 guest, with the
# host's gcc as the cross compiler. Installs into PREFIX/x86_64-elf in one step (a rename), so that
# a build that is interrupted leaves nothing that looks finished, and two at once don't mix.
set -eu

tarball=$1 prefix=$2 codegen=$3
mkdir -p "$(dirname "$prefix")"
work=$(mktemp -d "$prefix.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

step() {
	printf 'newlib: %s\n' "$1"
	shift
	"$@" >>"$work/log" 2>&1 || {
		tail -n 20 "$work/log" >&2
		printf 'newlib: that step failed; the last lines of its log are above\n' >&2
		exit 1
	}
}

step "unpacking $tarball" tar -C "$work" -xf "$tarball"
src=$(find "$work" -mindepth 1 -maxdepth 1 -type d -name 'newlib-*' | head -n 1)
mkdir "$work/build"
cd "$work/build"

# -nostdinc with gcc's own include folder: nothing of the host's libc may leak in. -Os makes images 10 %
# smaller; without its macro, which would also choose string functions that go byte by byte.
CFLAGS_FOR_TARGET="-g -Os -U__OPTIMIZE_SIZE__ -nostdinc -isystem $(gcc -print-file-name=include) $codegen"
export CFLAGS_FOR_TARGET
step configuring "$src/configure" --target=x86_64-elf --prefix="$prefix" \
	--disable-newlib-supplied-syscalls --disable-multilib --disable-nls \
	--enable-newlib-io-c99-formats --enable-newlib-io-long-long \
	--enable-newlib-retargetable-locking --disable-libgloss \
	CC_FOR_TARGET=gcc AS_FOR_TARGET=as LD_FOR_TARGET=ld AR_FOR_TARGET=ar \
	RANLIB_FOR_TARGET=ranlib NM_FOR_TARGET=nm STRIP_FOR_TARGET=strip \
	OBJCOPY_FOR_TARGET=objcopy READELF_FOR_TARGET=readelf
step "compiling (about a minute)" make -j"$(nproc)" all-target-newlib MAKEINFO=true
step installing make install-target-newlib DESTDIR="$work/root" MAKEINFO=true
# newlib's <stdatomic.h> makes a struct of _Atomic(T) under gcc and knows no plain _Atomic: the
# compiler's own, next in the search, is the right one.
rm "$work/root$prefix/x86_64-elf/include/stdatomic.h"
mkdir -p "$prefix"
rm -rf "$prefix/x86_64-elf"
mv "$work/root$prefix/x86_64-elf" "$prefix/x86_64-elf"
printf 'newlib: ready in %s\n' "$prefix"
