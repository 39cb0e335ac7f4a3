#!/bin/sh
# tests/long.sh [SECONDS]: what takes hours: all of tests/run.sh, then the static analyzer, every kill point and every
# fault of a disk on both engines, thousands of random kills, 100,000 files, and half an hour of fuzzing a target.
# SECONDS: so long and no longer each of the walks through kill points and faults, in an order by chance, and the trouble of
# the nodes, which is else ten minutes; without it every point is taken.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-0}
MAILHOOK_BUILD=$PWD/build
MAILHOOK_SOURCE=$PWD
export MAILHOOK_BUILD MAILHOOK_SOURCE

./tests/packages.sh long
./tests/run.sh
./tests/tidy.sh build-clang
for engine in sqlite postgresql; do # each prints its seed
	at="--build build --engine $engine --all --seconds $seconds"
	# shellcheck disable=SC2086 # the options are words
	{
		/usr/bin/python3 tests/faults/kill_test.py $at
		/usr/bin/python3 tests/faults/kill_test.py --trigger $at
		/usr/bin/python3 tests/faults/imap_point_test.py $at
		/usr/bin/python3 tests/rotate_kill_test.py $at
		/usr/bin/python3 tests/faults/disk_test.py $at
	}
	/usr/bin/python3 tests/rotate_kill_test.py --engine $engine --count 100 --build build
done
/usr/bin/python3 tests/nodes_test.py --build build --seconds "$((seconds > 0 ? seconds : 600))" --lease 60 --rotations 4 --patience 1800
/usr/bin/python3 tests/nodes_test.py --build build --nodes 8 --kills 3000 --every 0.3 --rotations 4 --patience 1800
/usr/bin/python3 tests/nodes_test.py --build build --engine sqlite --nodes 1 --mailmen 8 --kills 1000 --every 1 --patience 1800
/usr/bin/python3 tests/life_test.py --kills 50 --share 0.5 --build build # prints its seed
/usr/bin/python3 tests/life_test.py --all --build build
/usr/bin/python3 tests/life_test.py --engine postgresql --kills 10 --share 0.5 --build build
/usr/bin/python3 tests/faults/unsynced_test.py --build build
/usr/bin/python3 tests/faults/intake_many_test.py --files 100000 --build build
/usr/bin/python3 tests/valgrind_test.py --all --build build
/usr/bin/python3 tests/schema_test.py # fetches the schemas by npm
/usr/bin/python3 tests/foreign_test.py # fetches the other ends by npm
/usr/bin/python3 tests/postgresql_versions_test.py # fetches other versions by npm
/usr/bin/python3 tests/servers/ticket_servers_test.py --all
/usr/bin/python3 tests/bench/ledger.py
/usr/bin/python3 tests/bench/ledger.py --engine postgresql
/usr/bin/python3 tests/bench/nodes.py
/usr/bin/python3 tests/ledger_copy_test.py --all
/usr/bin/python3 tests/ledger_copy_test.py --cases 100000
MAILHOOK_LONG=1 /usr/bin/python3 tests/imap_test.py
/usr/bin/python3 tests/imap_kill_test.py --messages 250 --kills 1000 --postgresql
/usr/bin/python3 tests/mailbox_nodes_test.py --real # with leases of 30 s
/usr/bin/python3 tests/lease_nodes_test.py --long
/usr/bin/python3 tests/bench/imap.py # 100,000 messages, and imapfilter
n=$(find build-fuzz/fuzz -maxdepth 1 -type f -perm -u+x | grep -c .)
./tests/fuzz.sh build-fuzz $((n * 1800))
