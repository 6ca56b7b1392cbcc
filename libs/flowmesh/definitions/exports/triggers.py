"""Triggers of a workflow as the member `triggers` of the native formats."""

from collections.abc import Iterable, Iterator
from typing import Any

from flowmesh.definitions.triggers import (
    BATCH_WITHIN_MS,
    CATCH_UP_DEFAULT,
    RETAIN_BYTES,
    Changes,
    Cron,
    Events,
    Messages,
    Trigger,
    Webhook,
)


def listed(triggers: Iterable[Trigger]) -> Iterator[Trigger]:
    """Yield the triggers that are not receiving nodes; those are written as nodes."""
    for trigger in triggers:
        if not (isinstance(trigger.source, Webhook) and trigger.source.signal):
            yield trigger


def written_trigger(trigger: Trigger, workflow_id: str) -> dict[str, Any]:
    source = trigger.source
    match source:
        case Cron():
            kind, members = "cron", _cron(source)
        case Events():
            kind = "event"
            members = {"type": source.type, "source": source.source, "filter": source.filter}
            members = {key: value for key, value in members.items() if value}
        case Messages():
            kind, members = "queue", _messages(source)
        case Changes():
            kind, members = "change", _changes(source)
        case Webhook():
            own = source.hook == f"{workflow_id}.{trigger.id}"
            kind, members = "webhook", ({} if own else {"path": source.hook}) | _receiver(source)
    given = {"input": trigger.input} if trigger.has_input else {}
    return {"id": trigger.id, kind: members | given}


def _cron(cron: Cron) -> dict[str, Any]:
    members: dict[str, Any] = {"expression": cron.expression}
    if cron.time_zone:
        members["timezone"] = cron.time_zone
    if cron.catch_up != "none":
        members["catchUp"] = cron.catch_up.upper()
    if cron.catch_up_max != CATCH_UP_DEFAULT:
        members["catchUpMax"] = cron.catch_up_max
    return members


def _messages(source: Messages) -> dict[str, Any]:
    members: dict[str, Any] = {"queue": source.queue}
    if source.filter:
        members["filter"] = source.filter
    if source.batch:
        members["batch"] = source.batch
        if source.batch_within_ms != BATCH_WITHIN_MS:
            members["batchWithinMs"] = source.batch_within_ms
    return members


def _changes(source: Changes) -> dict[str, Any]:
    members: dict[str, Any] = {"database": source.database, "table": source.table}
    if source.operations:
        members["operations"] = [each.upper() for each in source.operations]
    for key, value in (
        ("filter", source.filter),
        ("publication", source.publication),
        ("signal", source.signal),
    ):
        if value:
            members[key] = value
    if source.retain_bytes_max != RETAIN_BYTES:
        members["retainBytesMax"] = source.retain_bytes_max
    return members


def _receiver(webhook: Webhook) -> dict[str, Any]:
    taken = webhook.receiver
    members: dict[str, Any] = {"provider": taken.provider.upper()}
    if taken.secret:
        members["secret"] = taken.secret
    if taken.signature_header:
        members["signatureHeader"] = taken.signature_header
    if taken.payload_schema is not None:
        members["payloadSchema"] = taken.payload_schema
    return members
