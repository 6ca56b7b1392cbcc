"""What REST answers about triggers, and about what fires them."""

from typing import Literal

from msgspec import UNSET, UnsetType

from flowmesh.gateway.bodies.answers import Answer, Instant, Json


class TriggerValue(Answer, kw_only=True):
    """A trigger and how it goes; `nextAt` of a schedule that fires again.

    Of what it has `fired` for, `refused` started nothing, and `joined` were answered with an
    execution that was there.
    """

    workflow: str
    id: str
    kind: Literal["cron", "event", "webhook"]
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
    provider: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    input: Json | UnsetType = UNSET


class TriggerList(Answer, kw_only=True):
    """By workflow and id."""

    triggers: list[TriggerValue]
    next_page_token: str


class FiredValue(Answer, kw_only=True):
    """What was started; `created` is false where it was there already."""

    execution_id: str
    created: bool


class PublishedValue(Answer, kw_only=True):
    """`triggers` fire for it; `created` is false where it was there already."""

    id: str
    created: bool
    triggers: int


class ReceivedValue(Answer, kw_only=True):
    """What the call has done: started an execution, or let a node of it go on."""

    execution_id: str
    created: bool
    task_id: str | UnsetType = UNSET


class CauseValue(Answer, kw_only=True):
    """Something a trigger fires for, and the request id of what it starts."""

    name: str
    at: Instant
    request_id: str
    input: Json | UnsetType = UNSET
    error: str | UnsetType = UNSET


class CauseList(Answer, kw_only=True):
    """By time; only `count` where that was asked for."""

    causes: list[CauseValue]
    count: int | UnsetType = UNSET
    next_page_token: str


class HookValue(Answer, kw_only=True):
    """The URL that a task waits for a call of."""

    task_id: str
    url: str


class HookList(Answer, kw_only=True):
    """Of one execution."""

    hooks: list[HookValue]
