#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# fetch.sh: unpacks the newer QEMU of Debian's backports beside the installed one, without installing
# it, and prints the path of its qemu-system-x86_64. Once per cache folder ($ISTHMUS_CACHE, or
# ~/.cache/isthmus). Uses the mirror and the keys that apt has already, and apt's state is left alone.
# Exit status 77, with a line SKIP: reason, where it can't be had.
set -eu

suite=bookworm-backports
packages="qemu-system-x86 qemu-system-common qemu-system-data seabios"
cache=${ISTHMUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/isthmus}
folder=$cache/qemu-$suite
program=$folder/usr/bin/qemu-system-x86_64

skip() {
	echo "SKIP: no QEMU of $suite: $*" >&2
	exit 77
}

works() {
	[ -x "$program" ] && "$program" -L "$folder/usr/share/qemu" --version >/dev/null 2>&1
}

give() {
	echo "$program"
	exit 0
}

works && give
command -v apt-get >/dev/null && command -v dpkg >/dev/null || skip "there is no apt-get"
mkdir -p "$cache"
# One at a time: whoever waited finds it done.
exec 9>"$cache/qemu-$suite.lock"
flock 9
works && give

site=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
	sed -n 's/ bookworm main$//p' | head -n 1)
[ -n "$site" ] || skip "apt has no mirror of Debian 12"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || skip "no $keys (Debian: debian-archive-keyring)"

work=$(mktemp -d "$cache/qemu-new.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/deb" "$work/root"
echo "deb [signed-by=$keys] $site $suite main" >"$work/sources.list"
apt="apt-get -q -o Dir::Etc::sourcelist=$work/sources.list -o Dir::Etc::sourceparts=-
	-o Dir::State::lists=$work/lists -o Dir::Cache=$work -o Dir::Cache::archives=$work/archives
	-o APT::Sandbox::User= -o Acquire::Languages=none"
$apt update >"$work/log" 2>&1 || skip "its list could not be fetched: $(tail -n 1 "$work/log")"
for package in $packages; do
	(cd "$work/deb" && $apt download -t "$suite" "$package" >"$work/log" 2>&1) || {
		# What backports lack is the stable release's, and perhaps installed already.
		[ "$package" = seabios ] || skip "$package: $(tail -n 1 "$work/log")"
	}
done
for file in "$work"/deb/*.deb; do
	dpkg -x "$file" "$work/root" || skip "$file could not be unpacked"
done
rm -rf "$folder"
mv "$work/root" "$folder"
# QEMU looks for firmware in its own data and then, through this link, in the installed seabios.
[ -e "$folder/usr/share/seabios" ] || ln -s /usr/share/seabios "$folder/usr/share/seabios"
works || skip "it does not run here: $("$program" --version 2>&1 | tail -n 1)"
give
