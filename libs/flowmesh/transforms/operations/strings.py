"""Operations on texts: a text, an array of them, or a field of objects."""

import math
import re
from collections.abc import Callable
from typing import Any

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import PAD_CHARACTERS_MAX, TEXT_CHARACTERS_MAX
from flowmesh.transforms.operation import Example, Operation, Parameter, Parameters, Prepared, Step
from flowmesh.transforms.operations.conditions import pattern_of
from flowmesh.transforms.texts import compile_text
from flowmesh.transforms.values import (
    MISSING,
    TextMeter,
    array,
    as_object,
    bounded,
    each,
    on_values,
    reader,
    text_of,
)

Change = Callable[[str], Json]

_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")

FIELD = Parameter("field", "field", "The field to change; the value or each item without one.")
TARGET = Parameter("target", "string", "The field for the result; the same field without it.")


def _on_texts(
    parameters: Parameters, change: Change, written: int = 0, *, grows: bool = False
) -> Prepared:
    """Return a step that changes each text; the longer of input and output is metered."""

    def run(value: Json) -> Json:
        meter = TextMeter()

        def change_text(text: Json) -> Json:
            if not isinstance(text, str):
                raise TransformError(f"needs texts, got {kind_of(text)}")
            meter.spend(max(len(text), written))
            return change(text)

        return on_values(change_text, parameters["field"], parameters["target"])(value)

    on_values(change, parameters["field"], parameters["target"])
    return Prepared(run, grows=grows, cost=_for_each(written))


def _for_each(written: int) -> Callable[[Json], int]:
    """Return the cost of so many characters for the value, or for each item of an array."""
    return lambda value: written * (len(value) if isinstance(value, list) else 1)


def _simple(change: Change) -> Callable[[Parameters], Prepared]:
    return lambda parameters: _on_texts(parameters, change)


def _split(parameters: Parameters) -> Prepared:
    separator = parameters["separator"]
    if not separator:
        raise ValueError("'separator' must not be empty")
    return _on_texts(parameters, lambda text: bounded(text.split(separator)), grows=True)


def _replace(parameters: Parameters) -> Prepared:
    search, replacement = parameters["search"], parameters["replacement"]
    if not search:
        raise ValueError("'search' must not be empty")
    if parameters["regex"]:
        pattern = pattern_of(search)
        return _on_texts(parameters, lambda text: _replaced(pattern, replacement, text), grows=True)

    def replace(text: str) -> Json:
        grown = len(text) + text.count(search) * (len(replacement) - len(search))
        if grown > TEXT_CHARACTERS_MAX:
            raise TransformError(f"writes more than {TEXT_CHARACTERS_MAX} characters")
        return text.replace(search, replacement)

    return _on_texts(parameters, replace, grows=True)


def _replaced(pattern: Any, replacement: str, text: str) -> str:
    """Replace each match by the literal replacement, without group references."""
    meter = TextMeter()

    def one(_match: Any) -> str:
        meter.spend(len(replacement))
        return replacement

    result: str = pattern.sub(one, text)
    return result


def _substring(parameters: Parameters) -> Prepared:
    start, length = parameters["start"], parameters["length"]

    def substring(text: str) -> Json:
        begin = start if start >= 0 else max(0, len(text) + start)
        return text[begin:] if length is None else text[begin : begin + length]

    return _on_texts(parameters, substring)


def _concat(parameters: Parameters) -> Prepared:
    readers = [reader(field) for field in parameters["fields"]]
    separator, target = parameters["separator"], parameters["target"]

    def concat(value: Json) -> Json:
        meter = TextMeter()

        def one(element: Json) -> Json:
            as_object(element)
            found = [read(element) for read in readers]
            text = separator.join(text_of(one) for one in found if one not in (None, MISSING))
            meter.spend(len(text))
            return {**element, target: text}

        return each(one, value) if isinstance(value, list) else one(value)

    return Prepared(concat, grows=True)


def _template(parameters: Parameters) -> Prepared:
    write, target = compile_text(parameters["template"]), parameters["target"]

    def template(value: Json) -> Json:
        meter = TextMeter()

        def one(element: Json) -> Json:
            text = write(element, meter)
            return text if target is None else {**as_object(element), target: text}

        return each(one, value) if isinstance(value, list) else one(value)

    return Prepared(template, grows=True, cost=_for_each(len(parameters["template"])))


def _capitalize(text: str) -> Json:
    return text[:1].upper() + text[1:]


def _pad(parameters: Parameters) -> Prepared:
    length, filling = parameters["length"], parameters["with"]
    if len(filling) != 1:
        raise ValueError("'with' must be one character")
    right = parameters["side"] == "right"

    if right:
        return _on_texts(parameters, lambda text: text.ljust(length, filling), length, grows=True)
    return _on_texts(parameters, lambda text: text.rjust(length, filling), length, grows=True)


def _join_text(parameters: Parameters) -> Prepared:
    separator, read = parameters["separator"], reader(parameters["field"])

    def join(value: Json) -> Json:
        meter = TextMeter()

        def one(item: Json) -> str:
            text = text_of(read(item))
            meter.spend(len(text) + len(separator))
            return text

        return separator.join(each(one, array(value)))

    return Prepared(join, grows=True, cost=_for_each(len(separator)))


def _number(value: Json) -> Json:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        raise TransformError(f"{kind_of(value)} is not a number")
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        raise TransformError(f"{value[:32]!r} is not a number")
    number: int | float = int(text) if text.lstrip("+-").isdecimal() else float(text)
    if not math.isfinite(number):
        raise TransformError(f"{value[:32]!r} is out of the range of numbers")
    return number if abs(number) < 2**63 else float(number)


def _boolean(value: Json) -> Json:
    words = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
    if isinstance(value, bool):
        return value
    found = words.get(text_of(value).strip().lower())
    if found is None:
        raise TransformError("only true, false, yes, no, 1 and 0 are booleans")
    return found


def _parsed(value: Json) -> Json:
    if not isinstance(value, str):
        raise TransformError(f"needs JSON text, got {kind_of(value)}")
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise TransformError(f"the text is not JSON: {error.msg} at {error.pos}") from None


def _to_json(value: Json) -> Json:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise TransformError("a value is nested too deeply to be written") from error


_CONVERSIONS: dict[str, Step] = {
    "number": _number,
    "string": text_of,
    "boolean": _boolean,
    "json": _to_json,
    "value": _parsed,
}


def _convert(parameters: Parameters) -> Prepared:
    change = _CONVERSIONS[parameters["to"]]
    # JSON text in JSON text doubles its escapes.
    grows = parameters["to"] in ("json", "value")
    return Prepared(on_values(change, parameters["field"], parameters["target"]), grows=grows)


def _case(name: str, change: Change, summary: str, text: str, changed: str) -> Operation:
    example = Example([{"name": text}], {"field": "name"}, [{"name": changed}])
    return Operation(name, "strings", summary, (FIELD, TARGET), example, _simple(change))


OPERATIONS = (
    _case("uppercase", str.upper, "Writes a text in capitals.", "ab", "AB"),
    _case("lowercase", str.lower, "Writes a text in small letters.", "AB", "ab"),
    _case("capitalize", _capitalize, "Writes the first letter in capitals.", "ab", "Ab"),
    _case("trim", str.strip, "Trims blanks at both ends of a text.", " ab ", "ab"),
    Operation(
        "split",
        "strings",
        "Splits a text into an array at each separator.",
        (
            Parameter("separator", "string", "Where to cut.", default=","),
            FIELD,
            TARGET,
        ),
        Example("a,b", {"separator": ","}, ["a", "b"]),
        _split,
    ),
    Operation(
        "concat",
        "strings",
        "Joins fields into one text; null and missing ones are omitted.",
        (
            Parameter("fields", "fields", "The fields, in order.", required=True),
            Parameter("separator", "string", "The separator.", default=""),
            Parameter("target", "string", "The field for the result.", required=True),
        ),
        Example(
            [{"first": "Ada", "last": "Lovelace"}],
            {"fields": ["first", "last"], "separator": " ", "target": "name"},
            [{"first": "Ada", "last": "Lovelace", "name": "Ada Lovelace"}],
        ),
        _concat,
    ),
    Operation(
        "replace",
        "strings",
        "Replaces every occurrence of a text, or of a RE2 pattern.",
        (
            Parameter("search", "string", "The text to find.", required=True),
            Parameter("replacement", "string", "The replacement.", default=""),
            Parameter("regex", "boolean", "'search' is a pattern.", default=False),
            FIELD,
            TARGET,
        ),
        Example("a-b-c", {"search": "-", "replacement": "+"}, "a+b+c"),
        _replace,
    ),
    Operation(
        "substring",
        "strings",
        "A part of a text.",
        (
            Parameter(
                "start", "integer", "The first character, from 0; negative from the end.", default=0
            ),
            Parameter("length", "integer", "The number of characters; all without it.", minimum=0),
            FIELD,
            TARGET,
        ),
        Example("abcdef", {"start": 1, "length": 3}, "bcd"),
        _substring,
    ),
    Operation(
        "template",
        "strings",
        "Writes a text for the value or each item; `${name}` is a field, `${}` the item itself.",
        (
            Parameter("template", "text", "The text, as in `Dear ${name}`.", required=True),
            Parameter(
                "target",
                "string",
                "The member for the text; else it replaces the item.",
            ),
        ),
        Example(
            [{"name": "Ada", "total": 5}],
            {"template": "${name} owes ${total} €"},
            ["Ada owes 5 €"],
        ),
        _template,
    ),
    Operation(
        "pad",
        "strings",
        "Pads a text to a length.",
        (
            Parameter(
                "length",
                "integer",
                "The length.",
                required=True,
                minimum=0,
                maximum=PAD_CHARACTERS_MAX,
            ),
            Parameter("with", "string", "The padding character.", default=" "),
            Parameter(
                "side", "string", "Where it goes.", default="left", choices=("left", "right")
            ),
            FIELD,
            TARGET,
        ),
        Example("7", {"length": 3, "with": "0"}, "007"),
        _pad,
    ),
    Operation(
        "joinText",
        "strings",
        "Writes the items, or a field of them, as one text.",
        (
            Parameter("separator", "string", "The separator.", default=","),
            Parameter("field", "field", "The field to write; the item itself without one."),
        ),
        Example([{"n": "a"}, {"n": 1}], {"field": "n", "separator": "-"}, "a-1"),
        _join_text,
    ),
    Operation(
        "convert",
        "strings",
        "Converts a value: a text to a number, a value to JSON text, and back.",
        (
            Parameter(
                "to",
                "string",
                "The type; 'value' reads JSON text, 'json' writes it.",
                required=True,
                choices=tuple(_CONVERSIONS),
            ),
            FIELD,
            TARGET,
        ),
        Example([{"n": "12.50"}], {"to": "number", "field": "n"}, [{"n": 12.5}]),
        _convert,
    ),
)
