"""Conversion of an approval form to inputs of a page, and of submitted values to JSON. Pure.

Members of an object that are text, numbers, flags or enums have an input each; other values are
entered as JSON. Unparsable values are kept as text, so that the schema check reports them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.jsontext import parse_json

PREFIX = "form."
_DATES = {"date": "date", "date-time": "text", "email": "email"}


@dataclass(frozen=True, slots=True)
class Field:
    """An input. `kind` is text, textarea, number, integer, checkbox, select, json, date or email;
    `choices` are JSON texts."""

    name: str
    kind: str
    title: str
    description: str = ""
    required: bool = False
    value: str = ""
    choices: tuple[str, ...] = field(default=())


def fields_of(schema: bytes) -> list[Field]:
    """Return the inputs of a form; a single one unless it is an object with members."""
    if not schema:
        return []
    form = msgspec.json.decode(schema)
    members = form.get("properties") if isinstance(form, dict) else None
    if not isinstance(members, dict) or not members:
        return [Field(name="", kind="json", title="Form", required=True)]
    required = form.get("required")
    needed = set(required) if isinstance(required, list) else set()
    return [_field(name, member, name in needed) for name, member in members.items()]


def _field(name: str, schema: Json, required: bool) -> Field:
    keywords = schema if isinstance(schema, dict) else {}
    choices: tuple[str, ...] = ()
    if isinstance(keywords.get("enum"), list):
        choices = tuple(json.dumps(each) for each in keywords["enum"])
    value = keywords.get("default")
    kind = "select" if choices else _kind(keywords)
    plain = isinstance(value, str) and kind not in ("select", "json")
    return Field(
        name=name,
        kind=kind,
        title=str(keywords.get("title") or name),
        description=str(keywords.get("description") or ""),
        required=required,
        value="" if value is None else value if plain else json.dumps(value),
        choices=choices,
    )


def _kind(schema: Mapping[str, Json]) -> str:
    match schema.get("type"):
        case "boolean":
            return "checkbox"
        case "integer" | "number" as number:
            return str(number)
        case "string":
            longest = schema.get("maxLength")
            if isinstance(longest, int) and longest > 200:
                return "textarea"
            return _DATES.get(str(schema.get("format")), "text")
    return "json"


def filled_in(fields: list[Field], given: Mapping[str, str]) -> Json:
    """Return the submitted values without empty members."""
    if not fields:
        return None
    if not fields[0].name:
        return _json(PREFIX.rstrip("."), given.get(PREFIX, ""))
    value: dict[str, Json] = {}
    for each in fields:
        text = given.get(PREFIX + each.name, "")
        if each.kind == "checkbox":
            value[each.name] = bool(text)
        elif text or (each.required and each.kind in ("text", "textarea")):
            value[each.name] = _value(each, text)
    return value


def _value(each: Field, text: str) -> Json:
    if each.kind in ("json", "select"):
        return _json(PREFIX + each.name, text)
    if each.kind in ("integer", "number"):
        try:
            number = parse_json(text.strip().encode())
        except Invalid:
            return text
        return number if isinstance(number, int | float) and number is not True else text
    return text


def _json(name: str, text: str) -> Json:
    try:
        return parse_json(text.encode())
    except Invalid as error:
        raise invalid_field(name, f"is not JSON: {error.message}") from None
