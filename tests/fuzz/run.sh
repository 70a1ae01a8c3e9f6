#!/usr/bin/env bash
# Builds the fuzz targets and runs each from its corpus.
#
#   tests/fuzz/run.sh [SECONDS] [TARGET…]     60 seconds each, all of them, one per core at a time
#
# The stable compiler is enough: LLVM's coverage pass has stable flags. The address sanitizer has not, and is not needed
# for code that forbids `unsafe`. libFuzzer needs a C++ compiler. New inputs are kept in target/fuzz/corpus, failing
# inputs in target/fuzz/artifacts.
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
# With --target the flags do not apply to build scripts, which cannot be linked with them.
RUSTFLAGS="${flags[*]}" cargo build --locked --release --quiet --target "$host" \
  --manifest-path tests/fuzz/Cargo.toml --target-dir "$home" --bins
echo "built in ${SECONDS}s"

# Runs one target. The largest configuration file, 8 MB, takes at most 256 MB of memory.
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
