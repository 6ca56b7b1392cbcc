"""The interface of executors: an executor compiles a TaskSpec to a step; the step runs attempts."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import orjson

from flowmesh.api.common.v1.journal_pb2 import ModelUsage
from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.contract.json_value import Json
from flowmesh.egress import Response
from flowmesh.executors.failures import invalid
from flowmesh.executors.secrets import NO_SECRETS, AttemptSecrets
from flowmesh.jsontext.integers import inexact

_UNREAD = object()
Journaled = Callable[[], Awaitable[tuple[Json, ModelUsage]]]
"""The work of a step, which returns its result and what a model used for it."""


class Journal(Protocol):
    """The steps of an attempt that are committed one by one."""

    async def step(self, index: int, name: str, run: Journaled) -> Json:
        """Return the committed result of a step, or run it and commit its result and usage."""


class NoJournal:
    """A journal that keeps nothing, for task types without one and for dry runs."""

    async def step(self, index: int, name: str, run: Journaled) -> Json:
        return (await run())[0]


NO_JOURNAL = NoJournal()


@dataclass(slots=True)
class Attempt:
    """One attempt of a task. `input_bytes` is JSON text, never a reference to a payload."""

    task: Task
    input_bytes: bytes
    # The remaining time of the attempt; always above 0.
    timeout_ms: int
    secrets: AttemptSecrets = field(default_factory=lambda: NO_SECRETS)
    journal: Journal = NO_JOURNAL
    _value: Json = field(default=_UNREAD)

    @property
    def value(self) -> Json:
        """The input, parsed at first use."""
        if self._value is _UNREAD:
            try:
                if path := inexact(self.input_bytes, "input"):
                    message = (
                        f"{path} is a number that cannot be kept exactly; write it as a string"
                    )
                    raise invalid(message)
                self._value = orjson.loads(self.input_bytes) if self.input_bytes else None
            except (orjson.JSONDecodeError, msgspec.DecodeError, UnicodeDecodeError):
                raise invalid("the task's input is not JSON") from None
        return self._value


@dataclass(frozen=True, slots=True)
class Output:
    """The output as JSON text, and metadata as JSON (`{"http": {"status", "headers"}}`)."""

    data: bytes
    metadata: bytes = b""
    # The parsed output, if the executor has it.
    value: Json = field(default=_UNREAD, compare=False)

    @classmethod
    def of(cls, value: Json, metadata: bytes = b"") -> "Output":
        try:
            return cls(orjson.dumps(value), metadata, value)
        except TypeError:
            raise invalid("the step's result cannot be written as JSON") from None

    def parsed(self) -> Json:
        return orjson.loads(self.data) if self.value is _UNREAD else self.value


class Step(ABC):
    """A compiled task spec. A failed attempt raises TaskFailure."""

    @abstractmethod
    async def run(self, attempt: Attempt) -> Output: ...


class InlineStep(ABC):
    """A step that is usually cheap enough to run on the event loop."""

    @abstractmethod
    def run(self, attempt: Attempt) -> Output: ...

    def is_prompt(self, attempt: Attempt) -> bool:
        """Return whether the attempt may block the event loop: it takes a few ms at most."""
        return True

    async def run_off_loop(self, attempt: Attempt) -> Output:
        """Run the attempt without blocking the event loop."""
        return self.run(attempt)


AnyStep = Step | InlineStep
# Compiles a spec and its parsed config; raises TaskFailure for an unusable config.
Executor = Callable[[TaskSpec, dict[str, Json]], AnyStep]


class Sender(Protocol):
    """The HTTP client: `flowmesh.egress.Egress`, or a recorder of calls in a dry run."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        response_bytes_max: int,
    ) -> Response:
        """Return the response with any status. Raises EgressFailure and EgressBlocked."""
