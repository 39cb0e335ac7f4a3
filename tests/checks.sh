#!/bin/sh
# tests/checks.sh includes|calls|format|manuals|kinds|marks: what can be seen without running anything.
set -eu
cd "$(dirname "$0")/.."

sources() {
	find mailhook parsers actions samples tests -name '*.[ch]' | sort
}

# Prints what stdin holds; fails when that is anything.
nothing() {
	! grep . >&2
}

case "${1-}" in
includes) # a parser knows of no action, an action of no parser
	{
		grep -rnE '#[[:space:]]*include.*actions/' parsers --include='*.[ch]' || true
		grep -rnE '#[[:space:]]*include.*parsers/' actions --include='*.[ch]' || true
		grep -nE 'mh_parsers' actions/CMakeLists.txt || true
		grep -nE 'mh_(action|ticket|http|secret)' parsers/CMakeLists.txt || true
	} | nothing
	;;
calls) # what the house style rules out
	sources | xargs grep -nE \
		'(^|[^A-Za-z0-9_>.])(system|popen|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|strncpy|gets|sleep|usleep)[[:space:]]*\(' |
		grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)' | nothing
	;;
format)
	sources | xargs clang-format --dry-run -Werror
	;;
manuals) # what warns or worse; STYLE asks for manuals that may not be installed. Our own must be there
	find mailhook/man -name '*.[1-8]' | sort | xargs mandoc -T lint -W warning | nothing
	sed -n 's/^\.Xr \(mailhook[^ ]*\) \([1-8]\).*/\1.\2/p' mailhook/man/*.[1-8] | sort -u |
		while read -r page; do
			[ -f "mailhook/man/$page" ] || echo "no manual $page, and another speaks of it"
		done | nothing
	for page in mailhook/man/mailhook[.-]*.[2-8]; do # and mailhook(1) leads to each
		name=${page##*/}
		sed -n '/^\.Sh SEE ALSO/,$p' mailhook/man/mailhook.1 | grep -q "^\.Xr ${name%.*} ${name##*.}" ||
			echo "mailhook.1: SEE ALSO lacks $name"
	done | nothing
	;;
kinds) # README.md and mailhook.conf(5) name those that are compiled in and those of the worker, and no others
	there=$({
		sed -n 's/^\tkind *= *"\(.*\)"$/\1/p' parsers/*.notice
		sed -n 's/^#define \(KIND_[A-Z]*\|CASE_UNRECOGNISED\|CASE_FLOOD\) "\(.*\)"$/\2/p' mailhook/work/*.h
	} | sort)
	{
		sed -n '/^## What it reads/,/^## Put/s/^| `\([a-z.-]*\)`.*/\1/p' README.md | sort |
			diff - /dev/fd/3 3<<-END | sed 's/^/README.md: /'
			$there
			END
		sed -n '/^What mailhook reads by itself/,/^\.It Ic/s/^\.It Li \([a-z.-]*\)$/\1/p' mailhook/man/mailhook.conf.5 |
			sort | diff - /dev/fd/3 3<<-END | sed 's/^/mailhook.conf.5: /'
			$there
			END
	} | nothing
	;;
marks) # nothing is left for later
	sources | xargs grep -nE '\b(TODO|FIXME|XXX)\b' | nothing
	;;
*)
	echo 'usage: tests/checks.sh includes|calls|format|manuals|kinds|marks' >&2
	exit 2
	;;
esac
