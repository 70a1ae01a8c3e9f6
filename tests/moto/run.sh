#!/usr/bin/env bash
# Runs warmd against moto, a stand-in for AWS that others have written: tests/moto/main.rs says what for.
# Needs python3 with venv; installs the rest from PyPI into target/, once for each set of versions.
set -euo pipefail
cd "$(dirname "$0")/../.."

versions=("moto[server]==5.2.5" boto3==1.44.5 cbor2==6.2.1)

home=${CARGO_TARGET_DIR:-target}/moto
if [[ "$(cat "$home/versions" 2>/dev/null)" != "${versions[*]}" ]]; then
  rm -rf "$home"
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet --disable-pip-version-check "${versions[@]}"
  echo "${versions[*]}" >"$home/versions"
fi

SECONDS=0
# Those of another run: the redirection below happens in the background.
rm -f "$home/addresses"
"$home/bin/python" tests/moto/shim.py >"$home/addresses" 2>"$home/log" &
servers=$!
ended() {
  status=$?
  kill "$servers" 2>/dev/null || true
  wait "$servers" 2>/dev/null || true
  if ((status)); then
    echo "--- what moto and the shim said last" >&2
    tail -n 100 "$home/log" >&2
  fi
}
trap ended EXIT
trap 'exit 130' INT TERM

# They are there as soon as both servers answer.
until grep -qs WARMD_SHIM "$home/addresses"; do
  kill -0 "$servers" || exit 1
  ((SECONDS < 60)) || { echo "moto does not answer" >&2; exit 1; }
  sleep 0.1
done
env $(<"$home/addresses") cargo test --locked --test moto -- --ignored
