"""Search attributes of a start: labels, and values computed from the input."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import msgspec

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import State
from flowmesh.errors import Invalid, Violation
from flowmesh.expressions import RenderError
from flowmesh.filters import LABEL_NAME
from flowmesh.plan import Plan
from flowmesh.views.masking import masked_value

LABELS_MAX = 20
VALUE_CHARACTERS_MAX = 256
"""Length limit of a text value."""

EPOCH = datetime.fromtimestamp(0, UTC)
TIME_US_MIN, TIME_US_MAX = (
    (at.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    for at in (datetime.min, datetime.max)
)
"""Limits of a time value, in µs: it is stored as text of fixed width."""

_TYPES: dict[int, str] = {
    plan_pb2.SEARCH_TYPE_TEXT: "text",
    plan_pb2.SEARCH_TYPE_NUMBER: "a number",
    plan_pb2.SEARCH_TYPE_FLAG: "true or false",
    plan_pb2.SEARCH_TYPE_TIME: "a time as 2026-11-01T08:00:00Z",
}
_MEMBERS: dict[int, str] = {
    plan_pb2.SEARCH_TYPE_TEXT: "text",
    plan_pb2.SEARCH_TYPE_NUMBER: "number",
    plan_pb2.SEARCH_TYPE_FLAG: "flag",
    plan_pb2.SEARCH_TYPE_TIME: "time_us",
}

Values = tuple[search_pb2.SearchValue, ...]


def start_values(labels: Mapping[str, str], plan: Plan, data: bytes) -> Values:
    """Return the search values of a start. Raise SEARCH_ATTRIBUTE_INVALID for a bad value."""
    if not labels and not plan.search:
        return ()
    values = list(_labels(labels))
    if plan.search:
        given = msgspec.json.decode(data) if data else None
        hidden = plan.input_schema.sensitive
        names: Mapping[str, Any] = {"input": given}
        shown = {"input": masked_value(given, hidden)} if hidden else names
        for attribute in plan.search:
            found = None
            if attribute.template is not None:
                try:
                    found = attribute.template.render(names)
                    if hidden and found != attribute.template.render(shown):
                        continue  # made of a sensitive member
                except RenderError:
                    continue  # the input lacks the value
            if found is not None:
                values.append(_value(attribute.name, attribute.type, found))
    return tuple(values)


def labels_of(state: State) -> dict[str, str]:
    """The labels an execution was started with."""
    search = state.search.items()
    return {n.removeprefix("label."): str(v) for n, v in search if n.startswith("label.")}


def check_set(
    plan: Plan, values: Iterable[search_pb2.SearchValue], removed: Iterable[str]
) -> Values:
    """Return values that a caller sets, under full names. Raise SEARCH_ATTRIBUTE_INVALID."""
    declared = {each.name: each.type for each in plan.search if each.name.startswith("attr.")}
    checked = []
    for value in values:
        name = f"attr.{value.name}"
        kind = _declared(declared, name)
        member = value.WhichOneof("value")
        if member != _MEMBERS[kind]:
            _refuse(name, f"it is declared as {_TYPES[kind]}")
        if member == "text":
            _check_text(name, value.text)
        elif member == "time_us":
            _check_time(name, value.time_us)
        elif member == "number" and not math.isfinite(value.number):
            _refuse(name, f"{value.number} is not a finite number")
        named = search_pb2.SearchValue()
        named.CopyFrom(value)
        named.name = name
        checked.append(named)
    for name in removed:
        _declared(declared, f"attr.{name}")
    return tuple(checked)


def _declared(declared: Mapping[str, int], name: str) -> int:
    kind = declared.get(name)
    if kind is None:
        known = ", ".join(each.removeprefix("attr.") for each in declared) or "none"
        _refuse(name, f"the workflow does not declare it; declared: {known}")
    return kind


def _labels(labels: Mapping[str, str]) -> Iterable[search_pb2.SearchValue]:
    if len(labels) > LABELS_MAX:
        _refuse("labels", f"{len(labels)} labels, at most {LABELS_MAX}")
    for name, text in sorted(labels.items()):
        if LABEL_NAME.fullmatch(name) is None:
            _refuse(f"label.{name[:64]}", "a name is 1 to 63 letters, digits, . _ or -")
        _check_text(f"label.{name}", text)
        yield search_pb2.SearchValue(name=f"label.{name}", text=text)


def _value(name: str, kind: int, found: Any) -> search_pb2.SearchValue:
    value = search_pb2.SearchValue(name=name)
    match kind, found:
        case ((plan_pb2.SEARCH_TYPE_UNSPECIFIED | plan_pb2.SEARCH_TYPE_FLAG), bool()):
            value.flag = found
        case _, bool():
            _refuse(name, f"{found!r} is not {_TYPES.get(kind)}")
        case ((plan_pb2.SEARCH_TYPE_UNSPECIFIED | plan_pb2.SEARCH_TYPE_NUMBER), int() | float()):
            value.number = _number(name, found)
        case ((plan_pb2.SEARCH_TYPE_UNSPECIFIED | plan_pb2.SEARCH_TYPE_TEXT), str()):
            _check_text(name, found)
            value.text = found
        case plan_pb2.SEARCH_TYPE_TIME, str():
            value.time_us = _time_us(name, found)
        case _:
            shown = repr(found)[:64]
            _refuse(name, f"{shown} is not {_TYPES.get(kind, 'text, a number, true or false')}")
    return value


def _number(name: str, found: float) -> float:
    try:
        return float(found)
    except OverflowError:
        _refuse(name, "the number is too large")


def _time_us(name: str, text: str) -> int:
    try:
        at = datetime.fromisoformat(text[:VALUE_CHARACTERS_MAX])
    except ValueError:
        _refuse(name, f"{text[:64]!r} is not {_TYPES[plan_pb2.SEARCH_TYPE_TIME]}")
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    time_us = (at - EPOCH) // timedelta(microseconds=1)
    _check_time(name, time_us)
    return time_us


def _check_time(name: str, time_us: int) -> None:
    if not TIME_US_MIN <= time_us <= TIME_US_MAX:
        _refuse(name, "the time is not between the years 1 and 9999 in UTC")


def _check_text(name: str, text: str) -> None:
    if len(text) > VALUE_CHARACTERS_MAX:
        _refuse(name, f"{len(text)} characters, at most {VALUE_CHARACTERS_MAX}")
    if "\0" in text:
        _refuse(name, "the text holds a NUL character")


def _refuse(name: str, message: str) -> NoReturn:
    raise Invalid(
        "SEARCH_ATTRIBUTE_INVALID",
        f"{name}: {message}",
        violations=(Violation(name, message, "SEARCH_ATTRIBUTE_INVALID"),),
    )
