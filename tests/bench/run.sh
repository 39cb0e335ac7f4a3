#!/bin/sh
# tests/bench/run.sh [BUILD [ROUNDS [NOTICES]]]: mailhook against procmail, maildrop and a Python script, in one run, and
# its check of a signature against OpenSSL's alone, and parse against GMime.
# Ratios are what counts: all programs get the same mail in interleaved rounds on the same disk.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build}
rounds=${2:-200}
notices=${3:-20000}
case $build in /*) ;; *) build=$PWD/$build ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 tests/bench/mails.py "$work"
mkdir -m 700 "$work/state" "$work/state/intake" "$work/procmail"
echo '2026-01-05T09:00:00Z' >"$work/clock"
export MAILHOOK_CLOCK_FILE="$work/clock"
printf 'state_dir = "%s"\n' "$work/state" >"$work/mailhook.conf"
# A held lock: what is measured is the pipe, not a worker that it starts.
: >"$work/state/worker.lock"
printf 'MAILDIR=%s/procmail\nDEFAULT=%s/procmail/inbox/\nLOGFILE=/dev/null\n' "$work" "$work" >"$work/procmailrc"
printf 'MAILHOOK=1\nto "%s/procmail/drop"\n' "$work" >"$work/maildroprc"
chmod 600 "$work/maildroprc"
maildirmake=$(command -v maildirmake.maildrop || command -v maildirmake)
"$maildirmake" "$work/procmail/drop"

measure() { # measure MAIL: "NAME median_us min_us rss_kb exit" lines
	flock "$work/state/worker.lock" "$build/tests/spawn" "$rounds" "$work/$1" \
		mailhook "$build/bin/mailhook" pipe --config "$work/mailhook.conf" -- \
		procmail procmail -m "$work/procmailrc" -- \
		maildrop maildrop "$work/maildroprc"
}
value() { # value LINES NAME COLUMN
	printf '%s\n' "$1" | awk -v name="$2" -v column="$3" '$1 == name { print $column }'
}
row() { # row WHAT MAILHOOK PEER_NAME PEER UNIT
	awk -v what="$1" -v a="$2" -v peer="$3" -v b="$4" -v unit="$5" \
		'BEGIN { printf "%-44s %9s %-3s  %-10s %9s %-3s  ratio %.2f\n", what, a, unit, peer, b, unit, a / b }'
}

printf 'rounds %s, notices %s, %s\n' "$rounds" "$notices" "$(uname -mr)"
lines=$(measure ordinary-7k)
for peer in procmail maildrop; do
	row 'ordinary 7 kB mail, spawn to exit' "$(value "$lines" mailhook 2)" $peer "$(value "$lines" $peer 2)" us
done
lines=$(measure notice-7k)
row 'SCIM notice of 7 kB made durable' "$(value "$lines" mailhook 2)" procmail "$(value "$lines" procmail 2)" us
[ "$(value "$lines" mailhook 5)" = 0 ] || echo "mailhook ended with $(value "$lines" mailhook 5)"
find "$work/state/intake" -type f -delete

# The script reads and prints, and makes nothing durable: only on the ordinary mail do both do the same.
for mail in ordinary-7k notice-7k; do
	python=$(flock "$work/state/worker.lock" "$build/tests/spawn" "$((rounds / 8 + 1))" "$work/$mail" mailhook \
		"$build/bin/mailhook" pipe --config "$work/mailhook.conf" -- python /usr/bin/python3 tests/bench/peer.py)
	row "$mail, and a Python script that reads it" "$(value "$python" mailhook 2)" python "$(value "$python" python 2)" us
	awk -v a="$(value "$python" mailhook 2)" -v b="$(value "$python" python 2)" \
		'BEGIN { printf "%-44s %9.1f times\n", "  the script needs", b / a }'
done
for mail in ordinary-50k notice-50k; do
	lines=$(measure $mail)
	row "peak memory, $mail" "$(value "$lines" mailhook 4)" procmail "$(value "$lines" procmail 4)" kB
done

/usr/bin/python3 tests/bench/parse.py "$build" 5 "$notices"
"$build/tests/verify-bench" 2000 20000 100000
echo "again: tests/bench/run.sh ${1:-build} $rounds $notices"
