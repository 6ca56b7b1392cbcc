#!/usr/bin/env bash
# Generates Go, TypeScript and Rust from the public services of protos/: `write` puts the code
# into gen/<language>, `verify` fails if it differs from the one there.
# A language without its tool chain is skipped, or an error with CI=true. The generators have
# fixed versions, come from the package manager of their language and are kept in build/sdks.
set -euo pipefail
cd "$(dirname "$0")/.."

GO_MESSAGES=1.36.12
GO_SERVICES=1.6.2
build=build/sdks
image=$build/public.binpb
generators=tools/sdk_generators
mode=${1:-}
case $mode in write | verify) ;; *) echo "usage: tools/gen-sdks.sh write|verify" >&2; exit 2 ;; esac

# The public services with the messages that they use. The comments travel in the image.
public_image() {
  mkdir -p "$build"
  local types=()
  while read -r name; do types+=(--type "$name"); done < <(python -m tools.public_services)
  buf build "${types[@]}" -o "$image"
}

# Prints the folder of a language in gen/ that holds generated code alone.
place() {
  case $1 in
    go) echo gen/go/flowmesh ;;
    *) echo "gen/$1/src" ;;
  esac
}

# Prints the command that a language needs.
tool() {
  case $1 in
    go) echo go ;;
    typescript) echo npm ;;
    rust) echo cargo ;;
  esac
}

# A marker per version and language keeps a generator from being built again.
go_out() {
  local bin=$PWD/$build/go-$GO_MESSAGES-$GO_SERVICES
  if [ ! -x "$bin/protoc-gen-go-grpc" ]; then
    GOBIN=$bin go install "google.golang.org/protobuf/cmd/protoc-gen-go@v$GO_MESSAGES"
    GOBIN=$bin go install "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v$GO_SERVICES"
  fi
  PATH=$bin:$PATH buf generate "$image" --template "$generators/go.yaml" -o "$1.all"
  mv "$1.all/flowmesh" "$1" && rmdir "$1.all"
}

typescript_out() {
  local node=$build/node
  mkdir -p "$node"
  if ! cmp -s "$generators/node/package-lock.json" "$node/package-lock.json"; then
    cp "$generators/node/package.json" "$node/"
    cp "$generators/node/package-lock.json" "$node/package-lock.new"
    mv "$node/package-lock.new" "$node/package-lock.json"
    (cd "$node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) \
      || { rm "$node/package-lock.json"; return 1; }
  fi
  local plugin=$node/node_modules/.bin/protoc-gen-es
  # The details of errors, which the runtime of TypeScript does not bring along.
  local google
  google=$(python -c 'import google.rpc as m; print(list(m.__path__)[0].removesuffix("/rpc"))')
  PATH=$PWD/$node/node_modules/.bin:$PATH \
    buf generate "$image" --template "$generators/typescript.yaml" -o "$1"
  python -m grpc_tools.protoc "--plugin=protoc-gen-es=$plugin" --es_out="$1" \
    --es_opt=target=ts,import_extension=js "-I${google%/google}" google/rpc/error_details.proto
}

rust_out() {
  mkdir -p "$1"
  CARGO_TARGET_DIR=$build/rust-target CARGO_INCREMENTAL=0 \
    cargo run --quiet --locked --manifest-path "$generators/rust/Cargo.toml" -- "$image" "$1"
}

public_image
for language in go typescript rust; do
  command=$(tool "$language")
  if ! command -v "$command" >/dev/null; then
    echo "skipped: no $command" >&2
    [ "${CI:-}" != true ] || { echo "CI needs $command for gen/$language" >&2; exit 1; }
    continue
  fi
  made=$build/$language
  rm -rf "$made" "$made.all"
  "${language}_out" "$made"
  if [ "$mode" = write ]; then
    rm -rf "$(place "$language")" && cp -r "$made" "$(place "$language")"
  else
    diff -rq "$made" "$(place "$language")" \
      || { echo "gen/$language is stale: run \"make gen\" and commit it" >&2; exit 1; }
  fi
done
