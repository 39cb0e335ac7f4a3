#!/bin/sh
# tests/tidy.sh BUILD [quick]: clang-tidy over every source that BUILD compiles, two at a time. quick leaves out the
# static analyzer, which takes minutes; tests/long.sh does not.
set -euf
cd "$(dirname "$0")/.."
build=${1:-build-clang}
checks=
[ "${2-}" != quick ] || checks=--checks=-clang-analyzer-*

# shellcheck disable=SC2086 # no word where it is empty
grep -o '"file": "[^"]*"' "$build/compile_commands.json" | cut -d'"' -f4 | sort -u |
	grep -E '/(mailhook|parsers|actions|tests)/[^"]*\.c$' | grep -v "/$build/" |
	xargs -P2 -n1 clang-tidy --quiet $checks -p "$build" 2>/dev/null
