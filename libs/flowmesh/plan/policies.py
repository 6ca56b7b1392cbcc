"""Compiled policies of a plan: limits, start policy, retries, timeouts."""

from dataclasses import dataclass

import orjson

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract import FINAL_BY_DEFAULT, NEVER_RETRIED, TEMPORARY
from flowmesh.contract.retries import backoff
from flowmesh.expressions import Template, compile_template
from flowmesh.tasktypes import TASK_TYPES

KEY_ROOTS = frozenset({"input"})
"""Template roots in the key of a limit or of a start policy."""
_ANY = frozenset({"*"})
_TEMPORARY = frozenset(TEMPORARY)
_NEVER_RETRIED = frozenset(NEVER_RETRIED)
_FINAL = _NEVER_RETRIED.union(FINAL_BY_DEFAULT)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the dispatch of tasks; 0 means no limit. `key` renders to a text."""

    concurrency: int
    rate: float
    burst: int
    key: Template | None
    retry_ratio: float


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """The policy for starts; times in microseconds, 0 means none. `key` renders to a text."""

    key: Template | None
    concurrency: int
    on_conflict: plan_pb2.StartConflict.ValueType
    delay_us: int
    debounce_us: int
    max_wait_us: int
    dedup_window_us: int


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy. Delays in microseconds."""

    max_attempts: int
    initial_delay_us: int
    multiplier: float
    max_delay_us: int
    jitter: float
    classes: frozenset[str]
    never: frozenset[str] = _NEVER_RETRIED
    max_elapsed_us: int = 0

    def allows(self, failure_class: str) -> bool:
        """Return whether the policy retries failures of this class."""
        if failure_class in self.never:
            return False
        return "*" in self.classes or failure_class in self.classes

    def why_final(self, failure_class: str, tried: int) -> str:
        """Return the reason for which no attempt follows a failure; empty if the policy allows one.

        `tried` is the number of attempts so far.
        """
        if failure_class in NEVER_RETRIED:
            return f"{failure_class} is never retried"
        if self.max_attempts == 1:
            return "its policy has a single attempt (`maxAttempts`)"
        if failure_class in self.never:
            return f"its policy takes {failure_class} as final (by default, or by `neverOn`)"
        if not self.allows(failure_class):
            return f"its policy does not retry {failure_class} (by default, or by `retryOn`)"
        if tried >= self.max_attempts:
            return f"it was the last of {self.max_attempts} attempts (`maxAttempts`)"
        return ""

    def delay_us(self, attempt: int, draw: float) -> int:
        """Return the delay after failed `attempt` (from 1); `draw` in [0, 1) sets the jitter."""
        delay = float(self.initial_delay_us)
        if self.multiplier > 1 and attempt > 1:
            delay = backoff(delay, attempt, factor=self.multiplier)
        if self.max_delay_us:
            delay = min(delay, float(self.max_delay_us))
        return int(delay * (1 - self.jitter * draw))


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
        on_conflict=message.on_conflict or plan_pb2.START_CONFLICT_QUEUE,
        delay_us=message.delay_ms * 1000,
        debounce_us=message.debounce_ms * 1000,
        max_wait_us=message.max_wait_ms * 1000,
        dedup_window_us=message.dedup_window_ms * 1000,
    )


def retry_of(policy: failure_pb2.RetryPolicy, task_type: str) -> Retry:
    """Return the compiled policy; `task_type` is empty for a node that is no task."""
    handled = bool(task_type) and task_type not in TASK_TYPES
    by_default = handled and not policy.retry_on
    never = _FINAL if by_default else _NEVER_RETRIED
    return Retry(
        max_attempts=max(policy.max_attempts, 1),
        initial_delay_us=policy.initial_delay_ms * 1000,
        multiplier=policy.multiplier or 1.0,
        max_delay_us=policy.max_delay_ms * 1000,
        jitter=policy.jitter,
        classes=_ANY if by_default else frozenset(policy.retry_on) or _TEMPORARY,
        never=never.union(policy.never_on) if policy.never_on else never,
        max_elapsed_us=policy.max_elapsed_ms * 1000,
    )
