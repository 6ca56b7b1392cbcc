#!/usr/bin/env bash
# Compiles the Java SDK with all warnings as errors, documentation included, and bounds its size;
# called by `make test-sdks`.
set -euo pipefail
cd "$(dirname "$0")"
bash build.sh verify
long=$(grep -rnE '^.{101,}' --include='*.java' sdk/src programs/src || true)
[ -z "$long" ] || { echo "lines of more than 100 characters: $long" >&2; exit 1; }
