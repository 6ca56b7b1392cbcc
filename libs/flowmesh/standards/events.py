"""Events by CloudEvents 1.0: what their attributes may be, and the subjects they are sent to."""

import re
from datetime import datetime
from typing import Any

Json = Any

SUBJECT = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
SUBJECT_FORM = "words of letters, digits, - and _ with dots between them"
# What executions tell of themselves has such types, and nobody else's events have.
OWN_TYPES = "flowmesh."
NAME = re.compile(r"[a-z0-9]{1,64}\Z")
NAME_FORM = "lower-case letters and digits"
# An execution that listens waits for this signal, with a key of the type of the events and the name
# of the signal that each of them is sent to it as. No sender can name it: it has a space.
LISTENING = " event"
EVERY_TYPE = "*"
_TEXTS = frozenset({"id", "source", "type", "subject", "datacontenttype", "dataschema"})
ATTRIBUTES = _TEXTS | {"specversion", "time", "data"}
"""What is no extension."""
_WHOLE_MIN, _WHOLE_MAX = -(2**63), 2**63 - 1
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def listening_key(type_: str, signal: str) -> str:
    """What an execution waits with for events of a type."""
    return f"{type_} {signal}"


def violated_requirement(name: str, value: Json) -> str:
    """What an attribute has to be that is something else; empty where it is right."""
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
    """What the type of an event has to be that is sent to the subject of this name."""
    if value.startswith(OWN_TYPES):
        return f"something else than what executions tell of themselves as {OWN_TYPES}…"
    return "" if SUBJECT.match(value) else f"the subject it is sent to: {SUBJECT_FORM}"


def _is_moment(value: Json) -> bool:
    if not isinstance(value, str) or not MOMENT.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
