#!/usr/bin/env bash
# Runs the tests of the Rust SDK and writes the lines that they reach to rust.lcov in a folder;
# called by `make coverage-sdks`. Needs llvm-cov of the LLVM of rustc: that of rustup's component
# llvm-tools, or that of a package of the system, which it installs where it is missing.
set -euo pipefail
folder=$(realpath "$1")
cd "$(dirname "$0")"
# As the compiler of the crate itself: its dependencies are not measured, and not built again.
export CARGO_INCREMENTAL=0 RUSTC_WORKSPACE_WRAPPER=$PWD/instrumented.sh
export LLVM_PROFILE_FILE=$folder/rust/%p-%m.profraw

llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
tool() {
  PATH=$(rustc --print target-libdir)/../bin type -P "$1" || type -P "$1-$llvm"
}
tool llvm-cov >/dev/null || apt-get install -qy --no-install-recommends "llvm-$llvm" >/dev/null \
  || { echo "needs llvm-cov of LLVM $llvm: rustup component add llvm-tools" >&2; exit 1; }

rm -rf "$folder/rust"
cargo test --locked --quiet -j 2 --tests
programs=$(cargo test --locked --quiet -j 2 --tests --no-run --message-format=json \
  | sed -n 's/.*"executable":"\([^"]*\)".*/-object \1/p')
"$(tool llvm-profdata)" merge -sparse "$folder"/rust/*.profraw -o "$folder/rust.profdata"
# shellcheck disable=SC2086
"$(tool llvm-cov)" export -format=lcov -instr-profile "$folder/rust.profdata" $programs \
  > "$folder/rust.lcov"
