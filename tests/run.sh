#!/bin/sh
# tests/run.sh: all tests, as a fresh Debian 12 runs them: packages, checks, three builds, fuzzing, and last the tests of
# the release build, whose summary is the last line. Fails when anything failed, and says so at the end.
set -u
cd "$(dirname "$0")/.." || exit 1

failed=
log=$(mktemp)
trap 'rm -f "$log"' EXIT

step() { # step NAME COMMAND...: its output is shown when it fails, its end always
	name=$1
	shift
	printf '== %s: ' "$name"
	start=$(date +%s)
	if "$@" >"$log" 2>&1; then
		printf 'ok, %s s\n' "$(($(date +%s) - start))"
		[ "$name" != fuzz ] || cat "$log"
	else
		printf 'FAILED\n'
		tail -n 120 "$log"
		failed="$failed $name"
	fi
}

build() { # build PRESET
	cmake --preset "$1" && cmake --build --preset "$1" -j2
}

build_fuzz() {
	cmake --preset fuzz && cmake --build build-fuzz -j2 --target fuzz-targets
}

sanitized() {
	build asan && ctest --preset asan -L 'unit|golden' -j2 --no-tests=error
}

step packages ./tests/packages.sh test
step release build release
step demo ./samples/demo.sh
step clang build clang
step clang-tidy ./tests/tidy.sh build-clang quick
step sanitizers sanitized
step fuzz-build build_fuzz
step fuzz ./tests/fuzz.sh build-fuzz 240

echo '== tests of the release build'
ctest --preset release -j2 --no-tests=error >"$log" 2>&1 || failed="$failed tests"
cat "$log"
if [ -n "$failed" ]; then
	grep 'tests passed' "$log"
	echo "tests/run.sh: FAILED:$failed"
	exit 1
fi
grep 'tests passed' "$log"
