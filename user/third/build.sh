#!/bin/bash
# SPDX-License-Identifier: MIT
# build.sh NAME DIR: build the third-party program NAME (tools/third-party.def) as it comes, static with musl, in DIR, and pack
# what a run of it and of its own tests needs as DIR.tar (paths start with NAME/). THIRD, MUSL_GCC, JOBS: as for make.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
name=$1 dir=$2
cc=${MUSL_GCC:-musl-gcc}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
stage=$dir/stage/$name
exec 9>"$dir.lock" # build directories may share $THIRD
flock 9
rm -rf "$dir"
mkdir -p "$dir/src" "$stage" "$dir/linux"
# Other projects' makefiles must not see ours.
unset MAKEFLAGS MAKELEVEL MFLAGS BUILD

tarball=$("$root/tools/fetch-source" "$name")
tar xf "$tarball" -C "$dir/src" --strip-components=1
cd "$dir/src"

log=$dir/build.log
quietly() {
	echo "+ $*" >>"$log"
	"$@" >>"$log" 2>&1 </dev/null && return 0
	tail -20 "$log" >&2
	echo "build.sh: $name does not build; the whole log is $log" >&2
	exit 1
}

# Linux's headers, which musl does not have, behind its own.
lend_headers() {
	ln -s /usr/include/linux /usr/include/asm-generic /usr/include/mtd "$dir/linux/"
	ln -s "/usr/include/$(gcc -print-multiarch)/asm" "$dir/linux/asm"
}

build_busybox() {
	lend_headers
	quietly make defconfig
	sed -i -e 's/.*CONFIG_STATIC is not set/CONFIG_STATIC=y/' -e 's/^CONFIG_TC=y/# CONFIG_TC is not set/' .config
	quietly make oldconfig
	quietly make "-j${JOBS:-2}" "CC=$cc -idirafter $dir/linux" busybox
	local p
	for p in printenv recho zecho; do # the shell's tests use them
		quietly "$cc" -static -O2 -w -o "shell/ash_test/$p" "shell/ash_test/$p.c"
	done
	mkdir "$stage/shell"
	cp -r busybox .config testsuite "$stage/"
	cp -r shell/ash_test "$stage/shell/"
}

build_lua() {
	quietly make -C src "-j${JOBS:-2}" lua luac "CC=$cc -static -std=gnu99" SYSCFLAGS=-DLUA_USE_POSIX
	cp src/lua src/luac "$stage/"
}

build_zlib() {
	CC="$cc -static" quietly ./configure --static
	quietly make "-j${JOBS:-2}" libz.a example minigzip infcover
	cp example minigzip infcover "$stage/"
}

build_bc() {
	CC=$cc CFLAGS=-O2 LDFLAGS=-static quietly ./configure
	quietly make "-j${JOBS:-2}" -C lib
	quietly make "-j${JOBS:-2}" -C bc
	quietly make "-j${JOBS:-2}" -C dc
	cp -r bc/bc dc/dc Test "$stage/"
}

# One compilation for three programs, with the options that SQLite's own makefile gives fuzzcheck.
build_sqlite() {
	mkdir b
	cd b
	CC=$cc LDFLAGS=-static quietly ../configure --disable-tcl --disable-readline --disable-shared BUILD_CC=gcc
	quietly make sqlite3.c shell.c
	local test=../test recover=../ext/recover
	local flags=(-O2 -w -static -I. -I$test -I$recover -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_ENABLE_MEMSYS5
		-DSQLITE_OSS_FUZZ -DSQLITE_MAX_MEMORY=50000000 -DSQLITE_PRINTF_PRECISION_LIMIT=1000 -DSQLITE_ENABLE_FTS4
		-DSQLITE_ENABLE_FTS3_PARENTHESIS -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_GEOPOLY
		-DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_BYTECODE_VTAB)
	quietly "$cc" "${flags[@]}" -c sqlite3.c &
	local library=$!
	quietly "$cc" "${flags[@]}" -c shell.c $test/speedtest1.c $test/fuzzcheck.c $test/ossfuzz.c $test/fuzzinvariants.c \
		$recover/dbdata.c $recover/sqlite3recover.c $test/vt02.c
	wait $library
	quietly "$cc" -static -o "$stage/sqlite3" shell.o sqlite3.o -lm
	quietly "$cc" -static -o "$stage/speedtest1" speedtest1.o sqlite3.o -lm
	quietly "$cc" -static -o "$stage/fuzzcheck" fuzzcheck.o ossfuzz.o fuzzinvariants.o dbdata.o sqlite3recover.o vt02.o sqlite3.o -lm
	cp $test/fuzzdata?.db "$stage/"
}

# -fcommon: its headers define variables, as C programs did.
build_gnugo() {
	CC="$cc -fcommon" CFLAGS=-O2 LDFLAGS=-static quietly ./configure --without-curses --without-readline
	quietly make "-j${JOBS:-2}"
	cp -r interface/gnugo regression "$stage/"
}

"build_$name"
for f in "$stage"/*; do
	[ ! -f "$f" ] || [ ! -x "$f" ] || strip "$f" 2>/dev/null || true
done
tar cf "$dir.tar.new" -C "$dir/stage" --owner=0 --group=0 "$name"
mv "$dir.tar.new" "$dir.tar"
rm -rf "$dir/src"
