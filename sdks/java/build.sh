#!/usr/bin/env bash
# Runs goals of Maven for the contracts, the SDK, the examples and the conformance driver; called
# by `make sdks` with `package`. Without network, if all that it needs is there.
set -euo pipefail
cd "$(dirname "$0")"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
nice -n 5 mvn --offline --batch-mode --quiet "$@" > "$log" 2>&1 \
  || nice -n 5 mvn --batch-mode --quiet --no-transfer-progress "$@" > "$log" 2>&1 \
  || { cat "$log" >&2; exit 1; }
