"""DryRuns of a source, a line each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from flowmesh.definitions import compile_source
from flowmesh.dryrun.report import Report
from flowmesh.dryrun.run import dry_run
from flowmesh.dryrun.source import stand_ins
from flowmesh.sandbox import Sandbox

Run = Callable[..., Awaitable[Report]]
WORKFLOW = "apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: order}\nspec:\n"
TASK = "apiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: %s}\nspec: %s\n---\n"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
def run(sandbox: Sandbox) -> Run:
    """`await run(source, {"n": 1}, mocks={"pay": {"output": 1}})`."""

    async def dry_run_of(
        source: str, given: Any = None, *, mocks: Any = None, signals: Any = None
    ) -> Report:
        plan = compile_source(source.encode())
        found, after = stand_ins(mocks, signals, plan)
        return await dry_run(
            plan, {} if given is None else given, sandbox=sandbox, mocks=found, signals=after
        )

    return dry_run_of
