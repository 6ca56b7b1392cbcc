"""Responses about triggers, events and webhooks."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from flowmesh.gateway.bodies.answers import Answer, Instant, Json
from flowmesh.records import Source


class ChangeSlotValue(Answer, kw_only=True):
    """The replication slot of a change trigger, as of `checkedAt`.

    `lagBytes` is the log that the database keeps for it, and `keepBytesMax` the limit of the
    database on that (`max_slot_wal_keep_size`), absent if there is none. A slot that is `LOST`
    begins anew when the trigger is paused and resumed.
    """

    name: str
    phase: Literal["CREATING", "READING", "LOST"]
    lag_bytes: int
    keep_bytes_max: int | UnsetType = UNSET
    position: str | UnsetType = UNSET
    problem: str | UnsetType = UNSET
    checked_at: Instant | UnsetType = UNSET


class TriggerValue(Answer, kw_only=True):
    """A trigger and its statistics; `nextAt` is the next instant of a schedule.

    `fired` counts firings; of these, `refused` started no execution, and `joined` returned an
    existing execution.
    """

    workflow: str
    id: str
    kind: Literal["cron", "event", "webhook", "queue", "change"]
    version: int
    paused: bool
    next_at: Instant | UnsetType = UNSET
    last_at: Instant | UnsetType = UNSET
    last_execution_id: str | UnsetType = UNSET
    last_error: str | UnsetType = UNSET
    fired: int
    missed: int
    refused: int
    joined: int
    expression: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    filter: str | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    database: str | UnsetType = UNSET
    table: str | UnsetType = UNSET
    operations: list[Literal["INSERT", "UPDATE", "DELETE"]] | UnsetType = UNSET
    slot: ChangeSlotValue | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    input: Json | UnsetType = UNSET


class TriggerList(Answer, kw_only=True):
    """Triggers, sorted by workflow and id."""

    triggers: list[TriggerValue]
    next_page_token: str


class FiredValue(Answer, kw_only=True):
    """The started execution; `created` is false if it already existed."""

    execution_id: str
    created: bool


class PublishedValue(Answer, kw_only=True):
    """A published event. `triggers` counts firings; `created` is false for a repeated event."""

    id: str
    created: bool
    triggers: int


class BatchedValue(Answer, kw_only=True):
    """The outcome of an event of a batch; refused if it has an `error`."""

    id: str
    created: bool
    triggers: int
    error: dict[str, Any] | UnsetType = UNSET


class PublishedBatch(Answer, kw_only=True):
    """The outcomes of a batch, in the order of its events."""

    events: list[BatchedValue]


class ReceivedValue(Answer, kw_only=True):
    """The effect of a call: a started execution, or a resumed node of one."""

    execution_id: str
    created: bool
    task_id: str | UnsetType = UNSET


class CauseValue(Answer, kw_only=True):
    """A cause of a firing, and the request id of the execution that it starts."""

    name: str
    at: Instant
    request_id: str
    input: Json | UnsetType = UNSET
    error: str | UnsetType = UNSET


class CauseList(Answer, kw_only=True):
    """Causes by time, or only their `count`."""

    causes: list[CauseValue]
    count: int | UnsetType = UNSET
    next_page_token: str


def hook_url(token: str) -> str:
    """Return the URL path of a waiting node."""
    return f"/api/v1/hooks/t/{token}"


class HookValue(Answer, kw_only=True):
    """The webhook URL of a waiting task."""

    task_id: Annotated[str, Source("node")]
    url: Annotated[str, Source("token", hook_url)]


class HookList(Answer, kw_only=True):
    """Webhook URLs of the waiting tasks of an execution."""

    hooks: list[HookValue]
