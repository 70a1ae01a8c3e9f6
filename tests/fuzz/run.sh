#!/usr/bin/env bash
# Builds the fuzz targets and runs each from its corpus.
#
#   tests/fuzz/run.sh [SECONDS] [TARGET…]     60 seconds each, all of them, one per core at a time
#
# The stable compiler is enough: LLVM's coverage pass is switched on by stable flags. (The address sanitizer is not,
# and has nothing to find in code that forbids `unsafe`.) Needs a C++ compiler for libFuzzer. What is found on the way
# is kept in target/fuzz/corpus; an input that fails is written to target/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
targets=("${@:2}")
((${#targets[@]})) || targets=(answers config events report state)

home=${CARGO_TARGET_DIR:-target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
flags=(
  --cfg fuzzing
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
)
# With --target the flags are not those of build scripts, which could not be linked with them.
RUSTFLAGS="${flags[*]}" cargo build --locked --release --quiet --target "$host" \
  --manifest-path tests/fuzz/Cargo.toml --target-dir "$home" --bins
echo "built in ${SECONDS}s"

# Runs one target. The largest configuration file, 8 MB, takes no more than 256 MB; nothing smaller does either.
fuzz() {
  local target=$1 log="$home/log.$1"
  local corpora=("$home/corpus/$target" "tests/fuzz/corpus/$target")
  [[ $target != config ]] || corpora+=(warm-configs -dict=tests/fuzz/config.dict)
  mkdir -p "$home/corpus/$target" "$home/artifacts/$target"
  "$home/$host/release/$target" "${corpora[@]}" -artifact_prefix="$home/artifacts/$target/" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -print_funcs=0 -print_final_stats=1 \
    >"$log" 2>&1 || { echo "--- $target failed"; tail -n 60 "$log"; return 1; }
  printf -- '--- %s, %ss\n%s\n' "$target" "$seconds" "$(grep '^stat::' "$log")"
}

# One target per core at a time.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
running=0
for target in "${targets[@]}"; do
  if ((running == $(nproc))); then
    wait -n
    running=$((running - 1))
  fi
  fuzz "$target" &
  running=$((running + 1))
done
for ((; running > 0; running--)); do
  wait -n
done
