"""What a trigger makes of what it fires for: whether an event matches, and the input."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.expressions import RenderError, compile_condition, compile_template
from flowmesh.jsontext import dump_json

Json = Any
CRON_ROOTS: Final = frozenset({"trigger"})
EVENT_ROOTS: Final = frozenset({"trigger", "event"})
WEBHOOK_ROOTS: Final = frozenset({"trigger", "payload"})
FILTER_ROOTS: Final = ("event",)
_ROOTS: Final = {"cron": CRON_ROOTS, "event": EVENT_ROOTS, "webhook": WEBHOOK_ROOTS}
# What the input is where a trigger says nothing of it.
_DEFAULTS: Final = {"cron": "trigger", "event": "event", "webhook": "payload"}


class Inputs:
    """The template of a trigger, compiled."""

    def __init__(self, trigger: pb.Trigger) -> None:
        kind = trigger.WhichOneof("kind") or ""
        written = trigger.input_template
        template = orjson.loads(written) if written else f"{{{{{_DEFAULTS[kind]}}}}}"
        self._template = compile_template(template, _ROOTS[kind])

    def of(self, scope: Mapping[str, Json]) -> bytes:
        """The input as JSON. Raises RenderError."""
        return dump_json(self._template.render(scope))


class Matcher:
    """Whether an event is one that a trigger fires for."""

    def __init__(self, trigger: pb.EventTrigger) -> None:
        self._type, self._source = trigger.type, trigger.source
        self._filter = None
        if trigger.filter:
            self._filter = compile_condition(trigger.filter, dialect="cel", roots=FILTER_ROOTS)

    def wants(self, event: Mapping[str, Json]) -> bool:
        """Whether it is of the type and from the source that the trigger asks for."""
        return _fits(self._type, event["type"]) and _fits(self._source, event["source"])

    def passes(self, event: Mapping[str, Json]) -> bool:
        """Whether the filter lets it through, tens of ms where it goes over much data.

        One that cannot be evaluated does not.
        """
        if self._filter is None:
            return True
        try:
            return self._filter.evaluate({"event": event})
        except RenderError:
            return False


def _fits(wanted: str, value: str) -> bool:
    if wanted.endswith("*"):
        return value.startswith(wanted[:-1])
    return not wanted or value == wanted
