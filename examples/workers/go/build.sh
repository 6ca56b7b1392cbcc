#!/usr/bin/env bash
# Builds the worker into the folder named: ./build.sh build/go-worker
# Needs Go and protoc; without protoc, Python's (pip install grpcio-tools) does as well.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
protos=$here/../../../protos
mkdir -p "$1/gen" && cd "$1"
export GOBIN=$PWD/bin GOFLAGS=-mod=mod
export PATH=$GOBIN:$PATH

go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2

# Messages and stubs: the options in the contracts name the packages.
(cd "$protos" && find . -name '*.proto' -printf '%P\n') | xargs "${PROTOC:-protoc}" -I "$protos" \
  --go_out=gen --go_opt=module=flowmesh.dev/gen \
  --go-grpc_out=gen --go-grpc_opt=module=flowmesh.dev/gen
printf 'module flowmesh.dev/gen\n\ngo 1.24\n' > gen/go.mod

cp "$here/main.go" .
printf 'module greeter\n\ngo 1.24\n' > go.mod
go mod edit -require flowmesh.dev/gen@v0.0.0 -replace flowmesh.dev/gen=./gen \
  -require google.golang.org/grpc@v1.85.0 -require google.golang.org/protobuf@v1.36.12
go build -o greeter .
