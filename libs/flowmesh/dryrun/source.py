"""Inputs of a dry run: a source of definitions, and mocks and signals as JSON."""

from functools import cache

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions import (
    Read,
    Reading,
    Resolve,
    Task,
    Workflow,
    plan_workflow,
    read_source,
)
from flowmesh.definitions.bundled import items
from flowmesh.definitions.problems import Problem, Problems, placed, refuse
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.dryrun.mocks import Mocks, Signal, check_names, known_names, read_mocks
from flowmesh.dryrun.mocks import read_signals as signals_of
from flowmesh.errors import Invalid, NotFound
from flowmesh.plan import compile_plan


@cache
def bundled_task(name: str) -> Task | None:
    """Resolve a bundled task, without a running suite."""
    for read in read_source(_bundled_texts().get(name, "").encode()).resources:
        if isinstance(read.resource, Task):
            return read.resource
    return None


@cache
def _bundled_texts() -> dict[str, str]:
    return {item.name: item.text for item in items() if item.kind == "WorkflowTask"}


def workflow_in(reading: Reading, name: str = "") -> Read:
    """Return the named workflow of a source, or the only one."""
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
    """Return the plan of a checked workflow, as version 1 in the namespace `default`."""
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
    """Read mocks and signals for a plan and report problems, without text positions."""
    problems = Problems()
    given = {"mocks": mocks or {}, "signals": signals or []}
    reader = Reader(given, (), problems)
    if mocks and not isinstance(mocks, dict):
        message = f"mocks must be an object of answers by name, not {kind_of(mocks)}"
        problems.add("MOCKS_INVALID", message, ("mocks",))
    answers = reader.object("mocks") if isinstance(given["mocks"], dict) else None
    found = read_mocks(answers) if answers is not None else {}
    check_names(found, known_names(compile_plan(plan)), ("mocks",), problems)
    return Mocks(found), signals_of(reader), problems.found


def stand_ins(mocks: Json, signals: Json, plan: plan_pb2.Plan) -> tuple[Mocks, tuple[Signal, ...]]:
    """Read mocks and signals for a plan. Raises Invalid with all problems."""
    found, after, problems = read_stand_ins(mocks, signals, plan)
    refuse([placed(problem, documents=1) for problem in problems])
    return found, after
