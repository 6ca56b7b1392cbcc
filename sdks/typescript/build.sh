#!/usr/bin/env bash
# Builds the package with its contracts and the types of REST, the examples and the conformance
# driver. Installs packages only if the lock changed.
set -euo pipefail
cd "$(dirname "$0")"
export PATH=$PWD/../../.venv/bin:$PATH

mkdir -p build
if ! cmp -s package-lock.json build/installed.json; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json build/installed.json
fi
# The document of the gateway; types are generated again if it changed.
python - > build/openapi.new <<'PROGRAM'
import json
from flowmesh.gateway import openapi
print(json.dumps(openapi.document()))
PROGRAM
if ! cmp -s build/openapi.new build/openapi.json || [ ! -e src/web/openapi.ts ]; then
  npx openapi-typescript build/openapi.new -o src/web/openapi.ts >&2
  mv build/openapi.new build/openapi.json
fi
npm run --silent build
npx tsc -p tsconfig.programs.json
npx esbuild dist/web/index.js --bundle --minify --format=esm --platform=browser \
  --outfile=build/web.js --log-level=error
