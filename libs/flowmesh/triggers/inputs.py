"""Types and sources of event triggers, and inputs of the executions that triggers start."""

from collections.abc import Mapping
from typing import Final

import orjson

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.expressions import compile_template
from flowmesh.jsontext import dump_json

CRON_ROOTS: Final = frozenset({"trigger"})
EVENT_ROOTS: Final = frozenset({"trigger", "event"})
WEBHOOK_ROOTS: Final = frozenset({"trigger", "payload"})
QUEUE_ROOTS: Final = frozenset({"trigger", "message"})
CHANGE_ROOTS: Final = frozenset({"trigger", "event"})
BATCH_ROOTS: Final = frozenset({"trigger", "messages", "bodies"})
_ROOTS: Final = {
    "cron": CRON_ROOTS,
    "event": EVENT_ROOTS,
    "webhook": WEBHOOK_ROOTS,
    "queue": QUEUE_ROOTS,
    "batch": BATCH_ROOTS,
    "change": CHANGE_ROOTS,
}
# The default input of each kind of trigger.
_DEFAULTS: Final = {
    "cron": "trigger",
    "event": "event",
    "webhook": "payload",
    "queue": "message.body",
    "batch": "bodies",
    "change": "event.data",
}


class Inputs:
    """The compiled input template of a trigger."""

    def __init__(self, trigger: pb.Trigger) -> None:
        kind: str = trigger.WhichOneof("kind") or ""
        if kind == "queue" and trigger.queue.batch:
            kind = "batch"
        written = trigger.input_template
        template = orjson.loads(written) if written else f"{{{{{_DEFAULTS[kind]}}}}}"
        self._template = compile_template(template, _ROOTS[kind])

    def of(self, scope: Mapping[str, Json]) -> bytes:
        """Render the input as JSON. Raises RenderError."""
        return dump_json(self._template.render(scope))


def wants(trigger: pb.EventTrigger, event: Mapping[str, Json]) -> bool:
    """Return whether type and source of an event match those of a trigger."""
    return _fits(trigger.type, event["type"]) and _fits(trigger.source, event["source"])


def _fits(wanted: str, value: str) -> bool:
    if wanted.endswith("*"):
        return value.startswith(wanted[:-1])
    return not wanted or value == wanted
