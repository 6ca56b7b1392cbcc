"""A fuzzer that reads the OpenAPI document finds no answer that the document does not have."""

import asyncio
import sysconfig
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from flowmesh.gateway.http.operation_docs import EXECUTE, MANAGE, TEST
from flowmesh.testing.suite import Suite
from tests.features.executions.test_children import child, parent
from tests.features.natives import applied
from tests.features.plugins.market import Market

SEED = 37
EXAMPLES = 3
# Against a run that hangs: the operations of one tag take up to 90 s on two busy cores.
FUZZED_S = 240.0
REQUEST_S = 15
# A stream that ends when its client leaves, and WebSockets.
LEFT_OUT = (
    "namespaceEvents",
    "namespaceEventsSocket",
    "executionEventsSocket",
    "liveSocket",
    "executionHub",
    "grpcTunnel",
)
# A schema does not say which page tokens a list gave out, nor what makes a definition a right one.
UNSAID = "positive_data_acceptance"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite of its own: whatever can be changed in it is."""
    folder = tmp_path_factory.mktemp("fuzzed")
    market = Market(folder)
    market.greeter("1.0.0")
    async with Suite(folder / "data", environment=market.environment) as running:
        yield running


async def schemathesis(suite: Suite, folder: Path, *words: str, phases: str) -> tuple[int, str]:
    """What the command answers and prints, with a configuration of this folder."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sysconfig.get_path("scripts")) / "schemathesis"),
        *("--config-file", str(folder / "schemathesis.toml"), "run"),
        *(f"{suite.http_url}/openapi.json", *words),
        *("--seed", str(SEED), "--max-examples", str(EXAMPLES), "--no-shrink"),
        *("--phases", phases, "--request-timeout", str(REQUEST_S)),
        *("--exclude-checks", UNSAID),
        *(word for name in LEFT_OUT for word in ("--exclude-operation-id", name)),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(FUZZED_S):
        printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


@pytest.mark.long
@pytest.mark.timeout(FUZZED_S + 30)
@pytest.mark.parametrize("tag", [EXECUTE, TEST, MANAGE])
async def test_a_fuzzer_finds_nothing_that_is_not_described(
    fuzzed: Suite, tmp_path: Path, tag: str
) -> None:
    """Statuses, media types, headers, schemas and methods, and what is wrong is refused."""
    (tmp_path / "schemathesis.toml").touch()
    words = ("--include-tag", tag)
    code, printed = await schemathesis(fuzzed, tmp_path, *words, phases="examples,coverage")
    assert code == 0, printed


@pytest.mark.long
@pytest.mark.timeout(FUZZED_S + 30)
async def test_what_is_there_is_described(fuzzed: Suite, tmp_path: Path) -> None:
    """Each read of a workflow and an execution that have come to something."""
    # New names: the suite may have those of an earlier run.
    name = f"fuzzed-{uuid.uuid4().hex[:8]}"
    await applied(fuzzed, child(f"{name}-child"), parent(name, f"{name}-child"))
    ended = await fuzzed.begin(name, {"n": 1})
    await fuzzed.wait(ended)
    there = {"name": name, "workflowId": name, "executionId": ended, "node": "below"}
    lines = [f'"path.{name}" = "{value}"' for name, value in there.items()]
    (tmp_path / "schemathesis.toml").write_text("\n".join(["[parameters]", *lines]))
    words = ("--include-method", "GET")
    code, printed = await schemathesis(fuzzed, tmp_path, *words, phases="fuzzing")
    assert code == 0, printed
