"""Checks of parameter values, and suggestions for wrong names."""

import difflib
from collections.abc import Iterable

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.transforms.operation import Parameter
from flowmesh.transforms.texts import compile_text
from flowmesh.transforms.values import field_path, is_number

NAME_CHARACTERS_SHOWN = 64


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'filter'?`, or "" without a similar name."""
    near = difflib.get_close_matches(name[:NAME_CHARACTERS_SHOWN], list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def misfit(operation: str, parameter: Parameter, value: Json) -> str:
    """Return the error of a value for the parameter, or an empty text."""
    if value is None and parameter.kind != "any":
        needs = f"{operation} needs {parameter.name!r}: {parameter.summary}"
        return needs if parameter.required else ""
    fits, wanted = _KINDS[parameter.kind]
    if not fits(value):
        return f"must be {wanted}, is {kind_of(value)}"
    if parameter.choices and value not in parameter.choices:
        shown = str(value)[:NAME_CHARACTERS_SHOWN]
        near = nearest(shown, parameter.choices)
        return f"must be one of {', '.join(parameter.choices)}, is {shown!r}{near}"
    if parameter.minimum is not None and value < parameter.minimum:
        return f"must be at least {parameter.minimum}"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"must be at most {parameter.maximum}"
    try:
        for field in _fields(parameter, value):
            field_path(field)
        for text in _texts(parameter, value):
            compile_text(text)
    except ValueError as error:
        return str(error)
    return ""


def _fields(parameter: Parameter, value: Json) -> list[str]:
    if parameter.kind == "field":
        return [value]
    if parameter.kind == "mappings":
        return list(value.values())
    return list(value) if parameter.kind == "fields" else []


def _texts(parameter: Parameter, value: Json) -> list[str]:
    if parameter.kind == "text":
        return [value]
    return list(value.values()) if parameter.kind == "texts" else []


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and value != ""


_KINDS = {
    "field": (_is_name, "a field path"),
    "fields": (
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_name, value)),
        "a non-empty array of field paths",
    ),
    "mappings": (
        lambda value: isinstance(value, dict) and value and all(map(_is_name, value.values())),
        "an object of field paths",
    ),
    "text": (_is_text, "a string"),
    "texts": (
        lambda value: isinstance(value, dict) and value and all(map(_is_text, value.values())),
        "an object of texts",
    ),
    "string": (_is_text, "a string"),
    "program": (_is_name, "a program"),
    "integer": (_is_integer, "a whole number"),
    "number": (is_number, "a number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "array": (lambda value: isinstance(value, list), "an array"),
    "object": (lambda value: isinstance(value, dict), "an object"),
    "any": (lambda _value: True, "anything"),
    "conditions": (
        lambda value: isinstance(value, list) and bool(value),
        "a non-empty array of conditions",
    ),
    "pipeline": (lambda value: isinstance(value, list), "a pipeline"),
    "pipelines": (
        lambda value: isinstance(value, dict) and bool(value),
        "an object of pipelines",
    ),
}
