#!/usr/bin/env bash
# Generates Java from the public services of protos/ into target/, unless it is there already.
# Called by Maven, which has put the generators into target/generators.
set -euo pipefail
cd "$(dirname "$0")"
root=$PWD/../../..
export PATH=$root/.venv/bin:$PATH
platform=$1
chmod +x target/generators/*.exe

types=()
while read -r name; do types+=(--type "$name"); done \
  < <(cd "$root" && python -m tools.public_services)
(cd "$root" && buf build "${types[@]}" -o "$OLDPWD/target/public.binpb")
cat target/public.binpb generate.sh > target/stamp.new
cmp -s target/stamp.new target/stamp && exit 0

cat > target/template.json <<TEMPLATE
{
  "version": "v2",
  "plugins": [
    {"protoc_builtin": "java", "out": ".",
     "protoc_path": "$PWD/target/generators/protoc-$platform.exe"},
    {"local": "$PWD/target/generators/protoc-gen-grpc-java-$platform.exe", "out": ".",
     "opt": "@generated=omit"}
  ]
}
TEMPLATE
rm -rf target/generated-sources
mkdir -p target/generated-sources
buf generate target/public.binpb --template target/template.json -o target/generated-sources/java
# The messages of google.protobuf are a part of the runtime.
rm -rf target/generated-sources/java/com/google
mv target/stamp.new target/stamp
