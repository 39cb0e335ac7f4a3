#!/bin/sh
# tests/fuzz.sh BUILD CORE_SECONDS: every fuzz target of BUILD, two at a time, seeded by the samples.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build-fuzz}
budget_s=${2:-240}

targets=$(find "$build/fuzz" -maxdepth 1 -type f -perm -u+x | sort)
n=$(printf '%s\n' "$targets" | grep -c . || true)
if [ "$n" -eq 0 ]; then
	echo "tests/fuzz.sh: no fuzz target in $build/fuzz" >&2
	exit 1
fi
each_s=$((budget_s / n))
[ "$each_s" -ge 5 ] || each_s=5
echo "$n fuzz targets, $each_s s each"

one='
target=$0 build=$1 each_s=$2
name=$(basename "$target")
mkdir -p "$build/corpus/$name" "$build/crashes"
seeds=samples
[ ! -d "tests/fuzz/seeds/$name" ] || seeds="$seeds tests/fuzz/seeds/$name"
if "$target" -max_total_time="$each_s" -timeout=10 -rss_limit_mb=1500 -max_len=65536 -print_final_stats=1 \
	-artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" $seeds >"$build/corpus/$name.log" 2>&1; then
	echo "$name: $(sed -n "s/^stat::number_of_executed_units: *//p" "$build/corpus/$name.log") runs, clean"
else
	tail -n 40 "$build/corpus/$name.log"
	echo "$name: FAILED, the input is in $build/crashes"
	exit 1
fi'
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\n' "$targets" | xargs -P2 -I{} sh -c "$one" {} "$build" "$each_s"
