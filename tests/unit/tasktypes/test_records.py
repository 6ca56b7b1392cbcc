"""The records of the built-in task types, and the tables that derive from them."""

from inspect import signature

import pytest

from flowmesh.definitions.editor.parameters import parameters_schema
from flowmesh.definitions.formats.native.blocks import BLOCKS, reader_of
from flowmesh.definitions.formats.steps import ACTIONS
from flowmesh.executors.collaborators import Collaborators
from flowmesh.jsontext import dump_json
from flowmesh.plan.schemas import Schema
from flowmesh.tasktypes import TASK_TYPES, TIMEOUT_MS, TaskType, load, timeout_of

RUN_BY_WORKER = [each for each in TASK_TYPES.values() if each.executor]


@pytest.mark.parametrize("task_type", TASK_TYPES.values(), ids=list(TASK_TYPES))
def test_a_record_is_complete(task_type: TaskType) -> None:
    """Every type that a WorkflowTask can have has a sentence, a block and parameters."""
    assert task_type.summary.endswith(".")
    assert bool(task_type.native) == bool(task_type.block) == bool(task_type.parameters)
    assert not (task_type.executor and task_type.run)
    if task_type.output is not None:
        assert Schema(dump_json(task_type.output)).problems(None)


@pytest.mark.parametrize("task_type", RUN_BY_WORKER, ids=lambda each: each.name)
def test_a_factory_names_collaborators(task_type: TaskType) -> None:
    """Each parameter of the factory of an executor is a field of Collaborators."""
    names = set(signature(load(task_type.executor)).parameters)
    assert names <= set(Collaborators.__dataclass_fields__)


@pytest.mark.parametrize("word", BLOCKS)
def test_a_block_has_a_reader_and_a_schema(word: str) -> None:
    """The paths of a type of WorkflowTask can be imported."""
    assert callable(reader_of(BLOCKS[word]))
    assert isinstance(parameters_schema(BLOCKS[word]), dict)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_has_a_reader_and_a_schema(action: str) -> None:
    """The paths of an action of step JSON can be imported."""
    assert callable(reader_of(ACTIONS[action], action=True))
    assert isinstance(parameters_schema(ACTIONS[action], action=True), dict)


def test_the_default_limit_of_an_attempt() -> None:
    """HTTP tasks have a shorter one; the types of remote workers have the common one."""
    assert (timeout_of("http.request"), timeout_of("webhook")) == (30_000, 30_000)
    assert timeout_of("db.query") == timeout_of("mine") == TIMEOUT_MS


@pytest.mark.parametrize(
    ("name", "parameters", "changes", "only_reads", "repeats"),
    [
        ("http.request", {"method": "GET"}, False, True, False),
        ("http.request", {"method": "POST"}, True, False, True),
        ("http.request", {}, False, False, False),
        ("db.query", {}, False, True, False),
        ("db.exec", {}, True, False, True),
        ("grpc.call", {}, False, False, True),
        ("log", {}, False, False, False),
        ("transform", {}, False, True, False),
        ("decision", {}, False, False, False),
    ],
)
def test_the_effect_of_an_attempt(
    name: str, parameters: dict[str, str], changes: bool, only_reads: bool, repeats: bool
) -> None:
    """An HTTP request has the effect of its method."""
    found = TASK_TYPES[name]
    assert found.changes(parameters) is changes
    assert found.only_reads(parameters) is only_reads
    assert found.repeats_effect(parameters) is repeats


def test_what_runs_again_without_a_mark() -> None:
    """Types that a worker runs and that reach nothing outside of the execution."""
    found = {each.name for each in TASK_TYPES.values() if each.is_repeatable}
    assert {"transform", "function", "python", "condition", "decision", "builtin.noop"} <= found
    assert not found & {"log", "approval", "signal", "http.request", "db.query", "grpc.call"}
