#!/bin/sh
# Compiles a crate with counters of its lines: the RUSTC_WORKSPACE_WRAPPER of cover.sh.
exec "$@" -C instrument-coverage
