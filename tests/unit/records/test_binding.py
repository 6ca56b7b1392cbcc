"""Structs from messages and messages from structs, by the names of fields."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.records import APART, Check, Source, reader, value_from, values_from, writer

AT_US = 1_760_000_000_000_001


class LimitShown(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["QUEUE", "NODE", "UNSPECIFIED"]
    subject: str
    rate: Annotated[float, Source("rate_per_second")]
    reason: str | UnsetType = UNSET
    actor: str | None = None
    updated_at: str | UnsetType = UNSET


class LimitsShown(msgspec.Struct, frozen=True, kw_only=True):
    limits: list[LimitShown]
    unreachable: Annotated[list[str], Source(read=sorted)]


class QueueShown(msgspec.Struct, frozen=True, kw_only=True):
    overflow: Annotated[str, Source(empty="reject")]
    attempts: Annotated[int, Source("retry.max_attempts")]
    note: str


def test_a_struct_is_filled_by_name() -> None:
    """Words in the spelling of the struct, instants, inner structs; empty fields are omitted."""
    limits = [
        pb.Limit(kind=pb.LIMIT_KIND_QUEUE, subject="a", rate_per_second=2.5, updated_at_us=AT_US),
        pb.Limit(kind=pb.LIMIT_KIND_NODE, reason="r", actor="ida"),
    ]
    reply = pb.ListLimitsResponse(limits=limits, unreachable=["b", "a"])
    first, second = (shown := reader(LimitsShown, pb.ListLimitsResponse)(reply)).limits
    assert shown.unreachable == ["a", "b"]
    assert (first.kind, first.subject, first.rate) == ("QUEUE", "a", 2.5)
    assert (first.updated_at, first.reason) == ("2025-10-09T08:53:20.000001Z", UNSET)
    assert (second.kind, second.reason, second.updated_at) == ("NODE", "r", UNSET)
    assert (first.actor, second.actor) == (None, "ida")


def test_a_field_may_be_given_or_inside() -> None:
    """An inner field by its path, the word of an empty enum, and an argument."""
    queue = topology_pb2.Queue(retry=topology_pb2.MessageRetry(max_attempts=3))
    read = reader(QueueShown, topology_pb2.Queue, given=("note",))
    assert read(queue, note="n") == QueueShown(overflow="reject", attempts=3, note="n")


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (Annotated[str, Source("nothing")], "Limit has no field 'nothing'"),
        (Annotated[int, Source("subject")], "Limit.subject is of another type"),
        (Annotated[LimitShown, Source("subject")], "Limit.subject is of another type"),
    ],
)
def test_a_wrong_name_or_type_is_an_error_at_import(kind: object, problem: str) -> None:
    """The error names the field of the struct and the message."""
    struct = msgspec.defstruct("Wrong", [("field", kind)])
    with pytest.raises(TypeError, match=problem):
        reader(struct, pb.Limit)


def test_a_message_is_filled_by_name() -> None:
    """Words become numbers, paths inner messages; absent members are left out."""

    def refuse(name: str, value: str) -> None:
        if not value:
            raise ValueError(name)

    class Asked(msgspec.Struct, rename="camel"):
        kind: Literal["task_type", "queue"]
        subject_name: Annotated[str, Source("subject"), Check(refuse)]
        rate: Annotated[float | None, Source("rate_per_second")] = None
        note: Annotated[str, APART] = ""

    write = writer(Asked, pb.Limit)
    asked = Asked(kind="task_type", subject_name="a")
    made = write(asked, actor="ida")
    assert made == pb.Limit(kind=pb.LIMIT_KIND_TASK_TYPE, subject="a", actor="ida")
    with pytest.raises(ValueError, match="subjectName"):
        write(Asked(kind="queue", subject_name=""))


def test_a_word_without_a_value_is_an_error_at_import() -> None:
    """Of a `Literal`, and of text that nothing checks."""
    for kind in (Literal["queue", "unknown"], str):
        struct = msgspec.defstruct("Wrong", [("kind", kind)])
        with pytest.raises(TypeError, match="LimitKind has no value for each word"):
            writer(struct, pb.Limit)


class Word(StrEnum):
    QUEUE = "queue"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LimitValue:
    kind: Word
    subject: str
    rate: Annotated[float, Source("rate_per_second")]
    updated_at: datetime | None
    note: Annotated[str, APART] = ""
    _own: int = 0


@dataclass(frozen=True, slots=True)
class QueueValue:
    name: Annotated[str, Source("queue.queue")]
    max_size: Annotated[int, Source("queue.")]
    schema: Annotated[object, Source("queue.schema", read=bytes.decode)]
    overflow: Annotated[str, Source("queue.", empty="")]


def test_a_dataclass_is_filled_by_name() -> None:
    """Instants are times; a number of a newer service is `unknown`; a path may end with a dot."""
    limits = [
        pb.Limit(kind=pb.LIMIT_KIND_QUEUE, subject="a", rate_per_second=2, updated_at_us=AT_US),
        pb.Limit(kind=99),  # type: ignore[arg-type]
    ]
    first, second = values_from(LimitValue, limits)
    at = datetime(2025, 10, 9, 8, 53, 20, 1, tzinfo=UTC)
    assert first == LimitValue(Word.QUEUE, "a", 2.0, at)
    assert second == LimitValue(Word.UNKNOWN, "", 0.0, None)
    assert value_from(LimitValue, limits[0], note="n") == replace(first, note="n")
    queue = topology_pb2.Queue(queue="q", max_size=3, schema=b"{}")
    state = topology_pb2.QueueState(queue=queue)
    assert value_from(QueueValue, state) == QueueValue("q", 3, "{}", "")
