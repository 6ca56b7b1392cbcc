"""Executions of the past as dry runs: inputs, and results and durations of tasks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.contract.json_value import Json
from flowmesh.insight.optimizing.rules import Repeats

_TEMPLATE = b"{{"


@dataclass(frozen=True, slots=True)
class Past:
    """An execution that completed; `mocks` are the results of its tasks, after their durations."""

    execution_id: str
    given: Json
    mocks: dict[str, Json]


def past_of(execution: execution_pb2.Execution) -> Past | None:
    """Return what a rehearsal needs; None if a value is stored apart or looks like a template."""
    try:
        given = _value(execution.input)
        mocks: dict[str, Json] = {}
        for node in execution.nodes:
            if node.task_type and node.HasField("output") and node.ended_at_us:
                took_ms = (node.ended_at_us - (node.started_at_us or node.ended_at_us)) / 1_000
                mocks[node.id] = {"output": _value(node.output), "after": took_ms}
    except (ValueError, orjson.JSONDecodeError):
        return None
    return Past(execution.execution_id, given, mocks)


def _value(payload: payload_pb2.Payload) -> Json:
    if payload.HasField("reference") or payload.encoding or _TEMPLATE in payload.data:
        raise ValueError("not a plain value")
    value: Json = orjson.loads(payload.data) if payload.data else None
    return value


def repeats_of(runs: Iterable[Mapping[str, tuple[Json, Json]]]) -> dict[str, Repeats]:
    """Count equal inputs of tasks over executions; a task with an input of two outputs is left out.

    `runs` are the inputs and outputs of the tasks of each execution, by id.
    """
    seen: dict[str, dict[bytes, bytes]] = {}
    counts: dict[str, tuple[int, int]] = {}
    unstable: set[str] = set()
    for run in runs:
        for task, (given, result) in run.items():
            key, value = _bytes(given), _bytes(result)
            known = seen.setdefault(task, {})
            count, repeated = counts.get(task, (0, 0))
            if key in known and known[key] != value:
                unstable.add(task)
            counts[task] = count + 1, repeated + (key in known)
            known[key] = value
    return {task: Repeats(*each) for task, each in counts.items() if task not in unstable}


def _bytes(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
