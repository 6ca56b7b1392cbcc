#!/usr/bin/env bash
# Builds the package, the examples and the conformance driver. Installs packages only if the lock
# changed.
set -euo pipefail
cd "$(dirname "$0")"

mkdir -p build
if ! cmp -s package-lock.json build/installed.json; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json build/installed.json
fi
npm run --silent build
npx tsc -p tsconfig.programs.json
npx esbuild dist/web/index.js --bundle --minify --format=esm --platform=browser \
  --outfile=build/web.js --log-level=error
