"""A dry run from what people write: a source of definitions, mocks and signals as JSON."""

from functools import cache
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.bundled import items
from flowmesh.definitions import (
    Read,
    Reading,
    Resolve,
    Task,
    Workflow,
    plan_workflow,
    read_source,
)
from flowmesh.definitions.problems import Problem, Problems, placed, refuse
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.dryrun.mocks import Mocks, Signal, check_names, known_names, read_mocks
from flowmesh.dryrun.mocks import read_signals as signals_of
from flowmesh.errors import Invalid, NotFound
from flowmesh.plan import compile_plan

Json = Any


@cache
def bundled_task(name: str) -> Task | None:
    """The resolver of the tasks that come with Flowmesh, for where no suite is asked."""
    for read in read_source(_bundled_texts().get(name, "").encode()).resources:
        if isinstance(read.resource, Task):
            return read.resource
    return None


@cache
def _bundled_texts() -> dict[str, str]:
    return {item.name: item.text for item in items() if item.kind == "WorkflowTask"}


def workflow_in(reading: Reading, name: str = "") -> Read:
    """The workflow of a source: the one of that name, or the only one."""
    found = [read for read in reading.resources if isinstance(read.resource, Workflow)]
    names = ", ".join(read.name for read in found[:8])
    if name:
        for read in found:
            if read.name == name:
                return read
        raise NotFound("WORKFLOW_NOT_FOUND", f"there is no workflow {name!r}; here are: {names}")
    if len(found) != 1:
        message = f"name one of the workflows of this source: {names}"
        message = message if found else "this source holds no workflow"
        raise Invalid("WORKFLOW_INVALID", message)
    return found[0]


def plan_in(reading: Reading, resolve: Resolve, name: str = "") -> plan_pb2.Plan:
    """The plan of a workflow of a checked source, as version 1 of the namespace `default`."""
    read = workflow_in(reading, name)
    assert isinstance(read.resource, Workflow)
    return plan_workflow(
        read.resource,
        reading.with_own_tasks(resolve),
        namespace="default",
        version=1,
        version_digest=read.digest,
    )


def read_stand_ins(
    mocks: Json, signals: Json, plan: plan_pb2.Plan
) -> tuple[Mocks, tuple[Signal, ...], list[Problem]]:
    """Mocks and signals for a plan, and what is wrong with them, without places in a text."""
    problems = Problems()
    given = {"mocks": mocks or {}, "signals": signals or []}
    reader = Reader(given, (), problems)
    if mocks and not isinstance(mocks, dict):
        message = f"mocks are an object of answers by name, not {kind_of(mocks)}"
        problems.add("MOCKS_INVALID", message, ("mocks",))
    answers = reader.object("mocks") if isinstance(given["mocks"], dict) else None
    found = read_mocks(answers) if answers is not None else {}
    check_names(found, known_names(compile_plan(plan)), ("mocks",), problems)
    return Mocks(found), signals_of(reader), problems.found


def stand_ins(mocks: Json, signals: Json, plan: plan_pb2.Plan) -> tuple[Mocks, tuple[Signal, ...]]:
    """The same, refused with every problem."""
    found, after, problems = read_stand_ins(mocks, signals, plan)
    refuse([placed(problem, documents=1) for problem in problems])
    return found, after
