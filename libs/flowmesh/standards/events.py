"""CloudEvents 1.0: rules for attributes, and the subjects of events."""

import re
from datetime import datetime

from flowmesh.contract.json_value import Json

SUBJECT = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
SUBJECT_FORM = "words of letters, digits, - and _ with dots between them"
# Prefix of the event types of executions, reserved for them.
OWN_TYPES = "flowmesh."
NAME = re.compile(r"[a-z0-9]{1,64}\Z")
NAME_FORM = "lower-case letters and digits"
# Signal of an execution that listens. Its key holds the event type and the name of the signal for
# each event. The space keeps senders from naming it.
LISTENING = " event"
EVERY_TYPE = "*"
_TEXTS = frozenset({"id", "source", "type", "subject", "datacontenttype", "dataschema"})
ATTRIBUTES = _TEXTS | {"specversion", "time", "data"}
"""Attributes that are not extensions."""
_WHOLE_MIN, _WHOLE_MAX = -(2**63), 2**63 - 1
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def listening_key(type_: str, signal: str) -> str:
    """Return the key of an execution that waits for events of a type."""
    return f"{type_} {signal}"


def violated_requirement(name: str, value: Json) -> str:
    """Return the requirement that an attribute's value violates; empty if it is valid."""
    if name == "data":
        return ""
    if name == "specversion":
        return "" if value == "1.0" else '"1.0"'
    if name == "time":
        return "" if _is_moment(value) else "an instant such as 2030-01-31T08:00:00Z"
    if name in _TEXTS:
        right = isinstance(value, str) and value.strip() and value.isprintable()
        return "" if right else "a text, of one line"
    if isinstance(value, str):
        return "" if value else "a text that is not empty"
    right = isinstance(value, int) and _WHOLE_MIN <= value <= _WHOLE_MAX
    return "" if right else "a text, a whole number of 64 bits, true or false"


def violated_type_requirement(value: str) -> str:
    """Return the requirement that an event type violates to name a subject; empty if it is
    valid.
    """
    if value.startswith(OWN_TYPES):
        return f"a type without the prefix {OWN_TYPES}, which is reserved for executions"
    return "" if SUBJECT.match(value) else f"the subject it is sent to: {SUBJECT_FORM}"


def _is_moment(value: Json) -> bool:
    if not isinstance(value, str) or not MOMENT.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
