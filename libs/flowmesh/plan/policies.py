"""What holds executions of a plan and their tasks back, compiled."""

from dataclasses import dataclass

import orjson

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.expressions import Template, compile_template

KEY_ROOTS = frozenset({"input"})
"""What the key of a limit or of a start policy may refer to."""
HTTP_EXECUTORS = frozenset({"http.request", "webhook"})
HTTP_TIMEOUT_MS = 30_000
TIMEOUT_MS = 300_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds tasks back although workers are free; 0 is no limit. `key` renders to a text."""

    concurrency: int
    rate: float
    burst: int
    key: Template | None
    retry_ratio: float


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """When executions begin; times in microseconds, 0 is none. `key` renders to a text."""

    key: Template | None
    concurrency: int
    on_conflict: plan_pb2.StartConflict.ValueType
    delay_us: int
    debounce_us: int
    max_wait_us: int
    dedup_window_us: int


def timeout_of(task_type: str) -> int:
    """The limit in ms of an attempt of a task for which nobody said one."""
    return HTTP_TIMEOUT_MS if task_type in HTTP_EXECUTORS else TIMEOUT_MS


def limits_of(message: plan_pb2.Limits) -> Limits:
    key = message.key_template
    return Limits(
        concurrency=message.concurrency,
        rate=message.rate_per_second,
        burst=message.burst,
        key=compile_template(orjson.loads(key), KEY_ROOTS) if key else None,
        retry_ratio=message.retry_ratio,
    )


def start_policy_of(message: plan_pb2.StartPolicy) -> StartPolicy:
    key = message.key_template
    return StartPolicy(
        key=compile_template(orjson.loads(key), KEY_ROOTS) if key else None,
        concurrency=message.concurrency,
        on_conflict=message.on_conflict,
        delay_us=message.delay_ms * 1000,
        debounce_us=message.debounce_ms * 1000,
        max_wait_us=message.max_wait_ms * 1000,
        dedup_window_us=message.dedup_window_ms * 1000,
    )
