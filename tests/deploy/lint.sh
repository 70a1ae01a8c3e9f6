#!/usr/bin/env bash
# Lints template.yaml as it is written, and as CloudFormation gets it once SAM's transform has been applied. Validates
# the configuration's schema, and the examples against it.
# Needs python3 with venv; installs the rest from PyPI into target/, once for each set of versions.
set -euo pipefail
cd "$(dirname "$0")/../.."

versions=(cfn-lint==1.58.0 aws-sam-translator==1.115.0 jsonschema==4.26.0 PyYAML==6.0.3)
# Regions that differ in what they have: the first, an ordinary one, a newer one.
regions=(us-east-1 eu-west-2 eu-central-2)

home=${CARGO_TARGET_DIR:-target}/deploy-lint
if [[ "$(cat "$home/versions" 2>/dev/null)" != "${versions[*]}" ]]; then
  rm -rf "$home"
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet --disable-pip-version-check "${versions[@]}"
  echo "${versions[*]}" >"$home/versions"
fi

"$home/bin/cfn-lint" --regions "${regions[@]}" --template template.yaml
"$home/bin/python" tests/deploy/transform.py template.yaml >"$home/transformed.json"
"$home/bin/cfn-lint" --regions "${regions[@]}" --template "$home/transformed.json"

"$home/bin/python" tests/deploy/schema.py warm-configs
