#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# linux.sh: prints the path of a Linux kernel to boot beside ours: the newest in /boot, else Debian's
# small kernel for virtual machines, unpacked into the cache folder ($ISTHMUS_CACHE, or
# ~/.cache/isthmus) without being installed. One line and status 1 where there is none.
set -eu

package=linux-image-cloud-amd64
cache=${ISTHMUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/isthmus}
kernel=$cache/$package/vmlinuz

fail() {
	echo "no Linux kernel: $*; ISTHMUS_BENCH_LINUX=PATH names one" >&2
	exit 1
}

for found in $(ls -r /boot/vmlinuz-* 2>/dev/null); do
	echo "$found"
	exit 0
done
if [ ! -e "$kernel" ]; then
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "there is no apt-get"
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/linux-new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' INT TERM HUP
	real=$(apt-cache depends "$package" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
	[ -n "$real" ] || fail "apt knows no $package (apt-get update?)"
	(cd "$work" && apt-get -q -o APT::Sandbox::User= download "$real" >log 2>&1) ||
		fail "$real: $(tail -n 1 "$work/log")"
	mkdir "$work/root" "$work/new"
	dpkg -x "$work"/*.deb "$work/root" || fail "$real could not be unpacked"
	mv "$work"/root/boot/vmlinuz-* "$work/new/vmlinuz"
	mv "$work/new" "$cache/$package" 2>/dev/null || [ -e "$kernel" ] || fail "$cache/$package is in the way"
fi
echo "$kernel"
