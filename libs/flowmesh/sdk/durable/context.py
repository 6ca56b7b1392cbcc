"""The context of a durable handler: its journaled operations and the facts of its task."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flowmesh.api.common.v1.journal_pb2 import JournalCall, JournalRecord
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk.durable.run import CALL, SIGNAL, SLEEP, STEP, Run
from flowmesh.sdk.values.payloads import encode, payload_inline
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.handlers import Mode, mode_of
from flowmesh.sdk.workflows.declarations import Duration, Retry, milliseconds

if TYPE_CHECKING:
    import asyncio

    from structlog.typing import FilteringBoundLogger

NAME_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class Step:
    """A function of the handler with its retry policy and time limit."""

    function: Callable[..., Any]
    mode: Mode
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    retry: Retry | None
    timeout_ms: int


class DurableContext:
    """The `ctx` of `async def handler(ctx, input)`. Its futures can be awaited, gathered, raced.

    A handler must request the same operations in the same order in each run. Its decisions may
    depend only on its input, on awaited results, and on `now()`, `random` and `uuid()`.
    """

    def __init__(
        self, run: Run, task: TaskContext, encode: Callable[[Json], bytes] = encode
    ) -> None:
        self._run = run
        self._encode = encode
        self.task = task

    def step(
        self,
        name: str,
        function: Callable[..., Any],
        *args: Any,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        repeatable: bool = False,
        **kwargs: Any,
    ) -> "asyncio.Future[Any]":
        """Run `function(*args, **kwargs)`, async or not, and journal its result.

        It may run again if its worker dies before the commit; `step_key()` then returns the same
        key. A `repeatable` step may also run again, and with other arguments, if the handler has
        to be resumed elsewhere: the handler goes on before the commit of its result. Raises
        StepFailed if the function raises and `retry` is exhausted.
        """
        _check_name(name)
        timeout_ms = milliseconds(timeout) if timeout is not None else 0
        step = Step(function, mode_of(function), args, kwargs, retry, timeout_ms)
        return self._run.ask(JournalRecord(kind=STEP, name=name), step, repeatable=repeatable)

    def sleep(self, duration: Duration | timedelta) -> "asyncio.Future[Any]":
        """Sleep durably for a duration: seconds as a number, `"90s"`, `"1h"`, or a timedelta."""
        return self._run.ask(JournalRecord(kind=SLEEP, delay_ms=max(1, _ms(duration))))

    def sleep_until(self, instant: datetime) -> "asyncio.Future[Any]":
        """Sleep durably until an instant, which must have a time zone."""
        if instant.tzinfo is None:
            raise Invalid("REQUEST_INVALID", f"the instant {instant.isoformat()} has no time zone")
        fire_at_us = max(1, int(instant.timestamp() * 1e6))
        return self._run.ask(JournalRecord(kind=SLEEP, fire_at_us=fire_at_us))

    def wait_signal(
        self, name: str, timeout: Duration | timedelta | None = None
    ) -> "asyncio.Future[Any]":
        """Wait for the payload of the next signal of this name; TimeoutError after `timeout`."""
        _check_name(name)
        delay_ms = max(1, _ms(timeout)) if timeout is not None else 0
        return self._run.ask(JournalRecord(kind=SIGNAL, name=name, delay_ms=delay_ms))

    def call(
        self,
        task_type: str,
        input: Json = None,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        config: Json = None,
    ) -> "asyncio.Future[Any]":
        """Run a task of another type on any worker that handles it; raises CallFailed.

        It has the queue and the priority of this handler's node. `timeout` limits an attempt and
        defaults to that of any task. `config` holds the `params` of the task in a definition.
        """
        call = JournalCall(input=payload_inline(self._encode(input), "input"))
        if retry is not None:
            call.retry.CopyFrom(retry.as_message())
        if timeout is not None:
            call.timeout_ms = milliseconds(timeout)
        if config is not None:
            call.config = encode(config)
        return self._run.ask(JournalRecord(kind=CALL, name=task_type, call=call))

    # Values that are equal in every run ------------------------------------------------------

    def now(self) -> datetime:
        """Return the time of the last record that the handler has received."""
        return datetime.fromtimestamp(self._run.now_us / 1e6, UTC)

    @cached_property
    def random(self) -> random.Random:
        """A random generator seeded by the execution and the node."""
        return random.Random(self.idempotency_key)

    def uuid(self) -> UUID:
        """Return a random UUID that is equal in every run."""
        return UUID(int=self.random.getrandbits(128), version=4)

    # Facts of the task -----------------------------------------------------------------------

    @property
    def replaying(self) -> bool:
        """True while the handler receives records of earlier runs."""
        return self._run.replaying

    @property
    def execution_id(self) -> str:
        return self.task.execution_id

    @property
    def workflow_id(self) -> str:
        return self.task.workflow_id

    @property
    def namespace(self) -> str:
        return self.task.namespace

    @property
    def node(self) -> str:
        return self.task.node

    @property
    def idempotency_key(self) -> str:
        """A key that all runs of this handler for this node share."""
        return self.task.idempotency_key

    def log(self, message: str, level: str = "info", **fields: Json) -> None:
        """Add a line to the log of the node, once for all runs; see TaskContext.log."""
        self.task.log(message, level, **fields)

    def metric(self, name: str, value: float = 1) -> None:
        """Add to a metric of the node, once for all runs; see TaskContext.metric."""
        self.task.metric(name, value)

    @property
    def logger(self) -> "FilteringBoundLogger":
        """A structlog logger with the ids of the task bound; silent while replaying."""
        return self._silent if self.replaying else self.task.logger

    @cached_property
    def _silent(self) -> "FilteringBoundLogger":
        import logging

        import structlog

        wrapper = structlog.make_filtering_bound_logger(logging.CRITICAL + 1)
        silent: FilteringBoundLogger = structlog.wrap_logger(None, wrapper_class=wrapper)
        return silent


def _ms(duration: Duration | timedelta) -> int:
    return milliseconds(duration.total_seconds() if isinstance(duration, timedelta) else duration)


def _check_name(name: str) -> None:
    if not name or len(name) > NAME_CHARS_MAX:
        raise Invalid("REQUEST_INVALID", f"a name has 1 to {NAME_CHARS_MAX} characters")
