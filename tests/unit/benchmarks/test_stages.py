"""Samples of a profile find their stage."""

import json
from pathlib import Path

import pytest

from benchmarks.profiling.samples import busy, by_function, by_stage, read
from benchmarks.profiling.stages import LOOP, STAGES, stage_of
from flowmesh import core

ENTRY = "main (/src/services/flowmesh/suite/main.py:34)"
TURN = "uv_run (/project/src/unix/core.c:452)"
COMMIT = "Committer._commit (/src/services/flowmesh/orchestrator/commit/committer.py:178)"
DECIDE = "decide (/src/libs/flowmesh/engine/decide.py:60)"
CALL = "Api.Start (/src/services/flowmesh/orchestrator/api/execution_server.py:36)"
RESULT = "Relay.complete (/src/services/flowmesh/worker/relay.py:291)"
CYGRPC = "0x7f1019ee79fa (grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so)"
MERGE = "PyUpb_Message_MergeFrom (google/_upb/_message.abi3.so)"
ENCODE = "PyUpb_Message_SerializeInternal (google/_upb/_message.abi3.so)"


@pytest.mark.parametrize(
    ("frames", "stage"),
    [
        ((ENTRY, TURN), LOOP),
        ((ENTRY, TURN, COMMIT), "commit"),
        ((ENTRY, TURN, COMMIT, DECIDE, MERGE), "engine"),
        ((ENTRY, TURN, COMMIT, ENCODE, "malloc (libc.so.6)"), "encode"),
        ((ENTRY, TURN, CYGRPC, CALL), "gRPC in"),
        ((ENTRY, TURN, CYGRPC, "write (libc.so.6)"), "gRPC itself"),
        ((ENTRY, TURN, RESULT), "result"),
        ((ENTRY, TURN, COMMIT, "gc_collect_main (libpython3.11.so.1.0)"), "garbage collector"),
    ],
)
def test_the_innermost_known_frame_decides(frames: tuple[str, ...], stage: str) -> None:
    """A library counts for its caller, unless it is a stage of its own."""
    assert stage_of(frames) == stage
    assert stage in STAGES


def test_time_asleep_and_other_threads_are_left_out(tmp_path: Path) -> None:
    """Only what the main thread did counts, under the innermost function of ours."""
    raw = tmp_path / "suite.raw"
    lines = [
        ("MainThread", (ENTRY, TURN, "epoll_pwait (libc.so.6)"), 90),
        ("MainThread", (ENTRY, TURN, COMMIT, MERGE), 7),
        ("MainThread", (ENTRY, TURN), 3),
        ("Thread-1 (_poll_wrapper)", (CYGRPC,), 50),
    ]
    raw.write_text(
        "".join(
            ";".join((f"thread (17): {thread}", *frames)) + f" {count}\n"
            for thread, frames, count in lines
        )
    )

    stacks = busy(read(raw))

    assert by_stage(stacks) == {"commit": 7, LOOP: 3}
    own = "Committer._commit (orchestrator/commit/committer.py)"
    assert by_function(stacks)["commit", own] == 7


def test_the_compiled_core_counts_under_the_names_of_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Methods, functions and coroutines; what is C of its own stays what it is."""
    manifest, raw = tmp_path / "manifest.json", tmp_path / "suite.raw"
    sources = [
        "services/flowmesh/orchestrator/commit/committer.py",
        "libs/flowmesh/engine/decide.py",
    ]
    manifest.write_text(json.dumps({"sources": sources}))
    monkeypatch.setattr(core, "MANIFEST", manifest)
    commit = "CPyDef_committer____commit_Committer_gen_____mypyc_generator_helper__ (c.so)"
    frames = {
        "Committer._commit (orchestrator/commit/committer.py)": (commit, "CPyDict_GetItem (c.so)"),
        "_Step.decided (engine/decide.py)": (commit, "CPyDef_decide____Step___decided (c.so)"),
        "decide (engine/decide.py)": (commit, "CPyPy_decide___decide (c.so)"),
    }
    raw.write_text(
        "".join(";".join(("thread (1): MainThread", *one)) + " 5\n" for one in frames.values())
    )

    stacks = busy(read(raw))

    assert {own for _, own in by_function(stacks)} == set(frames)
    assert by_stage(stacks) == {"commit": 5, "engine": 10}
