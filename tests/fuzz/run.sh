#!/usr/bin/env bash
# Builds the fuzz targets and runs each from its corpus.
#
#   tests/fuzz/run.sh [SECONDS] [TARGET…]     60 seconds each, all of them
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

for target in "${targets[@]}"; do
  corpora=("$home/corpus/$target" "tests/fuzz/corpus/$target")
  [[ $target != config ]] || corpora+=(warm-configs -dict=tests/fuzz/config.dict)
  mkdir -p "$home/corpus/$target" "$home/artifacts/$target"
  echo "--- $target, ${seconds}s"
  # The largest configuration file, 8 MB, needs at most 256 MB of memory.
  "$home/$host/release/$target" "${corpora[@]}" -artifact_prefix="$home/artifacts/$target/" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -print_funcs=0 -print_final_stats=1 \
    >"$home/log" 2>&1 || { tail -n 60 "$home/log"; exit 1; }
  grep '^stat::' "$home/log"
done
