#!/usr/bin/env bash
# Generates Python from protos/ into the folder named, which is made anew: messages, gRPC
# stubs, types for both.
# Needs the tools of .venv on the path; `make gen` sees to that.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1

rm -rf "$out" && mkdir -p "$out"
buf build -o build/image.binpb
buf generate build/image.binpb -o "$out"
(cd protos && find . -name '*.proto' -printf '%P\n' | sort) > build/files
xargs python -m grpc_tools.protoc --descriptor_set_in=build/image.binpb \
  --grpc_python_out="$out" < build/files
# The contract of KEDA is none of ours: no SDK has it.
python -m grpc_tools.protoc -I deploy/keda flowmesh/keda/externalscaler.proto \
  --python_out="$out" --grpc_python_out="$out" --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out"
# flowmesh itself is a namespace that libs/ and services/ share: no __init__.py there.
find "$out/flowmesh/api" "$out/flowmesh/keda" -type d -exec touch {}/__init__.py \;
