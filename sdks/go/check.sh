#!/usr/bin/env bash
# Format, lint and unit tests of the Go SDK; called by `make test-sdks`.
set -euo pipefail
cd "$(dirname "$0")"

STATICCHECK=v0.8.2
bin=$PWD/../../build/sdks/staticcheck-$STATICCHECK
[ -x "$bin/staticcheck" ] || GOBIN=$bin go install "honnef.co/go/tools/cmd/staticcheck@$STATICCHECK"

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "gofmt: $unformatted" >&2; exit 1; }
go vet ./...
"$bin/staticcheck" ./...
go test ./...
