#!/usr/bin/env bash
# Format, lint, tests and examples of the Rust SDK; called by `make test-sdks`.
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_INCREMENTAL=0

cargo fmt --check
cargo clippy --locked --quiet -j 2 --all-targets -- -D warnings
cargo test --locked --quiet -j 2
