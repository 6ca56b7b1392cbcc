"""Workers in other languages, on stubs that are generated from the contracts as they are."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from flowmesh.testing.suite import Suite
from tests.features.natives import YAML, execute

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/workers/go"


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_worker_in_go_runs_tasks(suite: Suite, tmp_path: Path) -> None:
    """`protoc --go_out` and the example: it serves, its failures have their class, and SIGTERM
    drains it.
    """
    assert shutil.which("go"), "needs Go 1.24 or newer on the path"
    protoc = Path(sys.executable).with_name("protoc")
    build = await asyncio.create_subprocess_exec(
        *("bash", EXAMPLE / "build.sh", tmp_path), env={**os.environ, "PROTOC": str(protoc)}
    )
    assert await build.wait() == 0
    definition = (EXAMPLE / "greet.yaml").read_bytes()
    applied = await suite.post("/api/v1/workflows", data=definition, headers=YAML)
    assert applied.status == 201, applied.text

    worker = await asyncio.create_subprocess_exec(tmp_path / "greeter", suite.grpc_address)
    try:
        answers = [await execute(suite, "greet-in-go", {"name": name}) for name in ("Ada", "Alan")]
        assert [answer.json["output"]["greeting"] for answer in answers] == [
            "Hello Ada",
            "Hello Alan",
        ]
        failed = await execute(suite, "greet-in-go", {"name": ""})
        assert "ValidationError" in failed.text
    finally:
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 20) == 0
