#!/usr/bin/env bash
# Lint, documentation of every exported symbol, size of the entry for browsers, and the tests that
# need no suite; called by `make test-sdks`.
set -euo pipefail
cd "$(dirname "$0")"

npm run --silent lint
bytes=$(gzip -9c build/web.js | wc -c)
[ "$bytes" -le 15360 ] \
  || { echo "the entry for browsers has $bytes bytes, over 15 KiB" >&2; exit 1; }
npm test --silent
