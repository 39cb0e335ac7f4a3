#!/bin/sh
# samples/demo.sh: builds mailhook and shows its main job: three mails of AWS about one expiry become one case, one
# ticket and one reply; and all of it again changes nothing. Exits non-zero when that is not so.
set -eu
cd "$(dirname "$0")/.."

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}
fail() {
	printf '\ndemo: FAILED: %s\n' "$*" >&2
	exit 1
}
must_be() { # must_be WHAT WANTED FOUND
	[ "$2" = "$3" ] || fail "$1: $3 instead of $2"
}

say '== Building (into build/)'
./tests/packages.sh build
cmake --preset release >/dev/null
cmake --build --preset release -j2 | tail -n 1

mailhook=$PWD/build/bin/mailhook
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
state=$home/state
mkdir -m 700 "$state"

# The notices are of 6 November 2025, so it is that day here. Nothing else is configured but the folder.
echo '2025-11-06T09:00:00Z' >"$home/clock"
export MAILHOOK_CLOCK_FILE="$home/clock"
printf 'state_dir = "%s"\n' "$state" >"$home/mailhook.conf"
say '== The whole configuration'
cat "$home/mailhook.conf"

mails='samples/notices/scim/a-qp.eml samples/notices/scim/b-qp.eml samples/notices/scim/c-event.eml'
take_all() {
	for mail in $mails; do
		printf '$ mailhook pipe < %s\n' "$mail"
		"$mailhook" pipe --config "$home/mailhook.conf" <"$mail" || fail "pipe ended with $?"
	done
	printf '$ mailhook run --once\n'
	"$mailhook" run --once --config "$home/mailhook.conf" || fail "run --once ended with $?"
}
count() {
	find "$@" -type f 2>/dev/null | grep -c . || true
}
check() {
	must_be cases 1 "$("$mailhook" list --json --config "$home/mailhook.conf" | grep -c '"kind"' || true)"
	must_be tickets 1 "$(count "$state/tickets" -name '[!.]*.txt')"
	must_be replies 1 "$(count "$state/replies/new" "$state/replies/cur")"
	must_be 'messages that wait' 0 "$(count "$state/intake" -name '*.msg')"
}

say '== One of the three mails, and what mailhook reads in it'
grep -B 4 'expires in' samples/notices/scim/a-qp.eml
printf '$ mailhook parse samples/notices/scim/a-qp.eml\n'
"$mailhook" parse samples/notices/scim/a-qp.eml

say '== Three mails about one expiry: as text, as HTML, and by way of SNS'
take_all
check

say '== What expires when'
"$mailhook" list --config "$home/mailhook.conf"
say '== The case'
"$mailhook" show 1 --config "$home/mailhook.conf"
say '== The one ticket'
cat "$state"/tickets/*.txt
say '== The one reply: header and text; the same follows as HTML'
sed -e '/^Content-Type: text\/html/Q' -e '/^Content-T/d' "$state"/replies/new/* |
	sed -e ':join' -e '/=$/{N;s/=\n//;bjoin' -e '}' -e 's/=20/ /g' -e 's/=2E/./g' |
	grep -Ev '^( boundary=|--=_|MIME-Version)' | cat -s
say '== and its calendar entry'
sed -n '/^Content-Type: text\/calendar/,$p' "$state"/replies/new/* | sed -e '1,/^$/d' -e '/^--/,$d' |
	base64 -d | tr -d '\r' | sed '/^DESCRIPTION/,/^END/{/^END/!d;}'

before=$(find "$state/tickets" "$state/replies" -type f -exec cksum {} + | sort)
say '== All of it again'
take_all
check
must_be 'tickets and replies after the second time' "$before" \
	"$(find "$state/tickets" "$state/replies" -type f -exec cksum {} + | sort)"

say 'Still one case, one ticket, one reply: nothing new.'
