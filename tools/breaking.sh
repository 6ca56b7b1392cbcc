#!/usr/bin/env bash
# Refuses contracts that break those of the commit before and of the last tag.
# The first commits, clones without history and trees without git have nothing to compare with.
set -euo pipefail
cd "$(dirname "$0")/.."

compare() {
  git cat-file -e "$1:protos" 2>/dev/null || return 0
  echo "buf breaking against $1"
  rm -rf build/before && mkdir -p build/before
  git archive "$1" protos buf.yaml | tar -x -C build/before
  buf breaking --against build/before
}

git rev-parse --git-dir >/dev/null 2>&1 || exit 0
compare HEAD
compare HEAD~1
tag=$(git describe --tags --abbrev=0 2>/dev/null || true)
if [ -n "$tag" ]; then compare "$tag"; fi
