#!/bin/sh
# SPDX-License-Identifier: MIT
# busybox.sh PROGRAM APPLET...: run BusyBox's own tests (the unpacked package is the current directory) of these applets, for
# PROGRAM's applets and with PROGRAM as the shell. Prints what the suite prints: a line PASS, FAIL, SKIPPED or UNTESTED each.
# RUN: put before the suite.
top=$(pwd)
program=$1
shift
umask 022
unset LANG LC_ALL TERM
export SKIP_INTERNET_TESTS=1
[ "$program" = ./busybox ] || cp "$program" ./busybox
# The suite's scripts begin with #!/bin/sh. A shell of another build would run its own applets.
mkdir -p "$top/sh"
for applet in $(./busybox --list); do
	ln -sf "$top/busybox" "$top/sh/$applet"
done
[ -z "$INSIDE" ] || ln -sf "$top/busybox" /bin/sh
export PATH="$top/sh:$PATH"
cd testsuite || exit 2
$RUN "$top/busybox" sh ./runtest "$@"
cd ../shell/ash_test || exit 2
case " $* " in *" ash "*)
	rm -f ash
	ln -s ../../busybox ash
	$RUN "$top/busybox" sh ./run-all 2>&1 | sed -n 's/^\(.*\):\(.*\): *ok$/PASS: \1 \2/p; s/^\(.*\): *ok$/PASS: \1/p; s/^\(.*\): *fail$/FAIL: \1/p'
	;;
esac
