"""Rehearsals of a source, a line each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from flowmesh.definitions import compile_source
from flowmesh.rehearsal.report import Report
from flowmesh.rehearsal.run import rehearse
from flowmesh.rehearsal.source import stand_ins
from flowmesh.sandbox import Sandbox

Rehearse = Callable[..., Awaitable[Report]]
WORKFLOW = "apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: order}\nspec:\n"
TASK = "apiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: %s}\nspec: %s\n---\n"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
def run(sandbox: Sandbox) -> Rehearse:
    """`await run(source, {"n": 1}, mocks={"pay": {"output": 1}})`."""

    async def rehearsed(
        source: str, given: Any = None, *, mocks: Any = None, signals: Any = None
    ) -> Report:
        plan = compile_source(source.encode())
        found, after = stand_ins(mocks, signals, plan)
        return await rehearse(
            plan, {} if given is None else given, sandbox=sandbox, mocks=found, signals=after
        )

    return rehearsed
