"""What an executor is: it makes a step of a TaskSpec once, and the step runs attempts of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.egress import Response
from flowmesh.executors.failures import invalid
from flowmesh.expressions.integers import inexact

Json = Any
_UNREAD = object()


@dataclass(slots=True)
class Attempt:
    """One try of one task. `input_bytes` is JSON text, fetched where it came by reference."""

    task: Task
    input_bytes: bytes
    # What is left of the attempt's time; always above 0.
    timeout_ms: int
    _value: Json = field(default=_UNREAD)

    @property
    def value(self) -> Json:
        """The input, parsed when it is first asked for."""
        if self._value is _UNREAD:
            try:
                if path := inexact(self.input_bytes, "input"):
                    told = f"{path} is a number that cannot be kept exactly; write it as a string"
                    raise invalid(told)
                self._value = orjson.loads(self.input_bytes) if self.input_bytes else None
            except (orjson.JSONDecodeError, msgspec.DecodeError):
                raise invalid("the task's input is not JSON") from None
        return self._value


@dataclass(frozen=True, slots=True)
class Output:
    """JSON text, and JSON with more (`{"http": {"status", "headers"}}`)."""

    data: bytes
    metadata: bytes = b""
    # The same value, where the executor has it at hand.
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
    """A task spec made ready. Raises TaskFailure when an attempt fails."""

    @abstractmethod
    async def run(self, attempt: Attempt) -> Output: ...


class InlineStep(ABC):
    """A step so cheap that it runs at once on the event loop, most times."""

    @abstractmethod
    def run(self, attempt: Attempt) -> Output: ...

    def is_prompt(self, attempt: Attempt) -> bool:
        """Whether others may wait for this attempt: it takes no more than some ms."""
        return True

    async def run_apart(self, attempt: Attempt) -> Output:
        """As `run`; what is not prompt holds nobody up."""
        return self.run(attempt)


AnyStep = Step | InlineStep
# Compiles a spec and its parsed config; raises TaskFailure where the config cannot work.
Executor = Callable[[TaskSpec, dict[str, Json]], AnyStep]


class Sender(Protocol):
    """Who makes the call: `flowmesh.egress.Egress`, or whoever only wants to know of it."""

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
        """The answer, whatever its status; raises EgressFailure and EgressBlocked."""
