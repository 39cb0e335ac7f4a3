#!/bin/sh
# tests/long.sh: what takes hours: all of tests/run.sh, then the static analyzer, every kill point and half an hour of fuzzing a target.
set -eu
cd "$(dirname "$0")/.."

./tests/packages.sh long
./tests/run.sh
./tests/tidy.sh build-clang
/usr/bin/python3 tests/faults/kill_test.py --all --build build
/usr/bin/python3 tests/life_test.py --kills 50 --share 0.5 --build build # prints its seed
MAILHOOK_BUILD=$PWD/build MAILHOOK_SOURCE=$PWD /usr/bin/python3 tests/bench/ledger.py
n=$(find build-fuzz/fuzz -maxdepth 1 -type f -perm -u+x | grep -c .)
./tests/fuzz.sh build-fuzz $((n * 1800))
