"""Triggers of a workflow as the member `triggers` of the native formats."""

from collections.abc import Iterable, Iterator
from typing import Any

from flowmesh.definitions.triggers import CATCH_UP_DEFAULT, Cron, Events, Trigger, Webhook


def listed(triggers: Iterable[Trigger]) -> Iterator[Trigger]:
    """Yield the triggers that are not receiving nodes; those are written as nodes."""
    for trigger in triggers:
        if not (isinstance(trigger.source, Webhook) and trigger.source.signal):
            yield trigger


def written_trigger(trigger: Trigger, workflow_id: str) -> dict[str, Any]:
    source = trigger.source
    match source:
        case Cron():
            kind, said = "cron", _cron(source)
        case Events():
            kind = "event"
            said = {"type": source.type, "source": source.source, "filter": source.filter}
            said = {key: value for key, value in said.items() if value}
        case Webhook():
            own = source.hook == f"{workflow_id}.{trigger.id}"
            kind, said = "webhook", ({} if own else {"path": source.hook}) | _receiver(source)
    given = {"input": trigger.input} if trigger.has_input else {}
    return {"id": trigger.id, kind: said | given}


def _cron(cron: Cron) -> dict[str, Any]:
    said: dict[str, Any] = {"expression": cron.expression}
    if cron.time_zone:
        said["timezone"] = cron.time_zone
    if cron.catch_up != "none":
        said["catchUp"] = cron.catch_up.upper()
    if cron.catch_up_max != CATCH_UP_DEFAULT:
        said["catchUpMax"] = cron.catch_up_max
    return said


def _receiver(webhook: Webhook) -> dict[str, Any]:
    taken = webhook.receiver
    said: dict[str, Any] = {"provider": taken.provider.upper()}
    if taken.secret:
        said["secret"] = taken.secret
    if taken.signature_header:
        said["signatureHeader"] = taken.signature_header
    if taken.payload_schema is not None:
        said["payloadSchema"] = taken.payload_schema
    return said
