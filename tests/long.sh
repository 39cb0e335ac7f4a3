#!/bin/sh
# tests/long.sh: what takes hours: all of tests/run.sh, then the static analyzer, every kill point, every
# fault of a disk, 100,000 files, and half an hour of fuzzing a target.
set -eu
cd "$(dirname "$0")/.."

./tests/packages.sh long
./tests/run.sh
./tests/tidy.sh build-clang
/usr/bin/python3 tests/faults/kill_test.py --all --build build
/usr/bin/python3 tests/life_test.py --kills 50 --share 0.5 --build build # prints its seed
/usr/bin/python3 tests/life_test.py --all --build build
/usr/bin/python3 tests/rotate_kill_test.py --count 100 --build build # prints its seed
/usr/bin/python3 tests/faults/unsynced_test.py --build build
/usr/bin/python3 tests/faults/disk_test.py --all --build build
/usr/bin/python3 tests/faults/intake_many_test.py --files 100000 --build build
/usr/bin/python3 tests/valgrind_test.py --all --build build
MAILHOOK_BUILD=$PWD/build /usr/bin/python3 tests/schema_test.py # fetches the schemas by npm
MAILHOOK_BUILD=$PWD/build /usr/bin/python3 tests/foreign_test.py # fetches the other ends by npm
MAILHOOK_BUILD=$PWD/build /usr/bin/python3 tests/servers/ticket_servers_test.py --all
MAILHOOK_BUILD=$PWD/build MAILHOOK_SOURCE=$PWD /usr/bin/python3 tests/bench/ledger.py
MAILHOOK_BUILD=$PWD/build /usr/bin/python3 tests/ledger_copy_test.py --all
MAILHOOK_BUILD=$PWD/build /usr/bin/python3 tests/ledger_copy_test.py --cases 100000
MAILHOOK_LONG=1 MAILHOOK_BUILD=$PWD/build MAILHOOK_SOURCE=$PWD /usr/bin/python3 tests/imap_test.py
MAILHOOK_BUILD=$PWD/build MAILHOOK_SOURCE=$PWD /usr/bin/python3 tests/imap_kill_test.py --messages 250 --kills 1000
MAILHOOK_BUILD=$PWD/build MAILHOOK_SOURCE=$PWD /usr/bin/python3 tests/mailbox_nodes_test.py --real # with leases of 30 s
MAILHOOK_BUILD=$PWD/build MAILHOOK_SOURCE=$PWD /usr/bin/python3 tests/lease_nodes_test.py --long
MAILHOOK_BUILD=$PWD/build MAILHOOK_SOURCE=$PWD /usr/bin/python3 tests/bench/imap.py # 100,000 messages, and imapfilter
n=$(find build-fuzz/fuzz -maxdepth 1 -type f -perm -u+x | grep -c .)
./tests/fuzz.sh build-fuzz $((n * 1800))
