"""Conversion of filter literals to values of the compared field."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from flowmesh.filters.fields import MARKS, NEEDS, Field, Kind, status_names, suggestion
from flowmesh.filters.scanner import NUMBER, Token
from flowmesh.filters.terms import Instant, Op, Value, refuse

WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
TEXT_CHARACTERS_MAX = 256
_UNITS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_DURATION = re.compile(r"(-?)([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}.{0,21})?", re.ASCII)
_NULLABLE = frozenset({Op.EQ, Op.NE})


def number_of(text: str, at: int) -> float:
    """Parse a number. Raises FILTER_INVALID for a too large one."""
    value = float(text)
    if not math.isfinite(value):
        refuse("the number is too large", at)
    return value


def value_for(field: Field, op: Op, literal: Value, token: Token, now_us: int) -> Value:
    """Convert a literal to the field's kind. Raises FILTER_INVALID."""
    if literal is None:
        _check_null(field, op, token)
        return None
    match field.kind:
        case Kind.STATUS:
            return _one_of(token, tuple(status_names()), "a status")
        case Kind.NUMBER:
            if isinstance(literal, float):
                return literal
        case Kind.TIME:
            found = _time(token.text, now_us)
            if found is not None and token.kind != NUMBER:
                return found
        case Kind.DURATION:
            span = _span_us(token.text) if isinstance(literal, str) else None
            if isinstance(literal, float):
                return literal * 1_000
            if span is not None:
                return float(span)
        case Kind.NEED:
            return _one_of(token, NEEDS, "a decision")
        case Kind.MARK:
            return _one_of(token, MARKS, "a mark")
        case Kind.TEXT | Kind.ERROR | Kind.ANYWHERE:
            return _text(token)
        case Kind.ANY:
            if isinstance(literal, str):
                instant = _moment(_text(token)) if op is not Op.PREFIX else None
                return instant or literal
            if op is Op.PREFIX:
                return _text(token)
            return literal
    return refuse(f"{field.name} is {field.kind.value}{_HINTS[field.kind]}", token.at)


_HINTS = {
    Kind.NUMBER: ", as 3",
    Kind.TIME: ', as "2026-11-01", "2026-11-01T08:00:00Z" or "-24h" from now',
    Kind.DURATION: ', as "500ms", "30s", "5m", "1h" or "2d"',
}


def _check_null(field: Field, op: Op, token: Token) -> None:
    if op not in _NULLABLE:
        refuse(f"null goes with = and !=, not with {op.value}", token.at)
    if field.name in ("id", "workflow", "version", "status", "started", "any"):
        refuse(f"{field.name} always has a value", token.at)


def _one_of(token: Token, known: Sequence[str], what: str) -> str:
    if token.text not in known:
        near = suggestion(token.text, known)
        refuse(f"{token.text[:64]!r} is not {what}; known: {', '.join(known)}{near}", token.at)
    return token.text


def _text(token: Token) -> str:
    if len(token.text) > TEXT_CHARACTERS_MAX:
        refuse(f"the text is longer than {TEXT_CHARACTERS_MAX} characters", token.at)
    return token.text


def _span_us(text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    span = int(float(found[2]) * _UNITS_US[found[3]])
    return -span if found[1] else span


def _time(text: str, now_us: int) -> Instant | None:
    span = _span_us(text)
    if span is not None:
        return Instant(text, max(0, now_us + span), exact=True) if span <= 0 else None
    return _moment(text)


def _moment(text: str) -> Instant | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return Instant(text, int(at.timestamp() * 1_000_000), exact=found[1] is not None)
