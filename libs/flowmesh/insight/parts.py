"""Parts of all reports: one shape for the command line, REST and the SDK.

Times are UTC; members that end in `_ms` are milliseconds, offsets those since the execution began.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.views import execution_status, json_or_text, node_status

if TYPE_CHECKING:
    from flowmesh.plan import PlanNode

Json = Annotated[Any, Meta(description="Any JSON value.")]
ExecutionWord = Literal["pending", "running", "paused", "completed", "failed", "canceled"]
HoldWord = Literal["delay", "debounce", "turn"]
NodeWord = Literal["pending", "running", "success", "failed", "skipped", "canceled"]

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class Part(msgspec.Struct, rename="camel", kw_only=True, gc=False):
    """The base of all parts of a report. Parts form no reference cycle."""


class ErrorPart(Part, kw_only=True):
    """The failure of an attempt, a task or the execution."""

    class_: str = msgspec.field(name="class")
    message: str
    task_id: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    details: Json | UnsetType = UNSET


R = TypeVar("R", bound=Part)


def encode(report: Part) -> bytes:
    return msgspec.json.encode(report)


def decode(data: bytes, shape: type[R]) -> R:
    """Decode the report of a service. Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=shape)


def error_part(failure: failure_pb2.Failure | None) -> ErrorPart | UnsetType:
    if failure is None:
        return UNSET
    return ErrorPart(
        class_=getattr(failure, "class"),
        message=failure.message,
        task_id=failure.node or UNSET,
        state=failure.state or UNSET,
        details=json_or_text(failure.details) if failure.details else UNSET,
    )


def execution_word(status: execution_pb2.ExecutionStatus.ValueType) -> ExecutionWord:
    return cast(ExecutionWord, execution_status(status))


def hold_word(reason: execution_pb2.HoldReason.ValueType) -> HoldWord:
    name = execution_pb2.HoldReason.Name(reason).removeprefix("HOLD_REASON_")
    return cast(HoldWord, name.lower())


def node_word(status: execution_pb2.NodeStatus.ValueType) -> NodeWord:
    return cast(NodeWord, node_status(status))


def type_of(planned: "PlanNode") -> str:
    """Return the type of a node's task, or the kind of a node without a task."""
    if planned.spec is not None:
        return planned.spec.task_type
    word = plan_pb2.NodeKind.Name(planned.kind).removeprefix("NODE_KIND_").lower()
    return "delay" if word == "timer" else word


def ms_between(from_us: int, to_us: int) -> float:
    return max(0, to_us - from_us) / 1_000


def moment(at_us: int) -> datetime:
    return _EPOCH + at_us * _MICROSECOND


def moment_or_unset(at_us: int) -> datetime | UnsetType:
    return _EPOCH + at_us * _MICROSECOND if at_us else UNSET
