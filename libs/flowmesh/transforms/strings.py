"""Operations on texts: a text, an array of them, or a field of objects."""

from collections.abc import Callable
from typing import Any

from flowmesh.expressions.references import kind_of
from flowmesh.transforms.data import compile_pattern
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.operation import (
    TEXT_CHARACTERS_MAX,
    Example,
    Json,
    Operation,
    Parameter,
    Parameters,
    Step,
)
from flowmesh.transforms.values import (
    MISSING,
    TextMeter,
    bounded,
    identity,
    on_values,
    reader,
)

Change = Callable[[str], Json]

FIELD = Parameter("field", "field", "The field to change; the value or each item without one.")
TARGET = Parameter("target", "string", "The field for the result; the same field without it.")


def _on_texts(parameters: Parameters, change: Change) -> Step:
    def run(value: Json) -> Json:
        meter = TextMeter()

        def change_text(text: Json) -> Json:
            if not isinstance(text, str):
                raise TransformError(f"needs texts, got {kind_of(text)}")
            meter.spend(len(text))
            return change(text)

        return on_values(change_text, parameters["field"], parameters["target"])(value)

    on_values(change, parameters["field"], parameters["target"])
    return run


def _simple(change: Change) -> Callable[[Parameters], Step]:
    return lambda parameters: _on_texts(parameters, change)


def _split(parameters: Parameters) -> Step:
    separator = parameters["separator"]
    if not separator:
        raise ValueError("'separator' must not be empty")
    return _on_texts(parameters, lambda text: bounded(text.split(separator)))


def _replace(parameters: Parameters) -> Step:
    search, replacement = parameters["search"], parameters["replacement"]
    if not search:
        raise ValueError("'search' must not be empty")
    if parameters["regex"]:
        pattern = compile_pattern(search)
        return _on_texts(parameters, lambda text: _replaced(pattern, replacement, text))

    def replace(text: str) -> Json:
        grown = len(text) + text.count(search) * (len(replacement) - len(search))
        if grown > TEXT_CHARACTERS_MAX:
            raise TransformError(f"writes more than {TEXT_CHARACTERS_MAX} characters")
        return text.replace(search, replacement)

    return _on_texts(parameters, replace)


def _replaced(pattern: Any, replacement: str, text: str) -> str:
    """Each match as the plain replacement, which has no group references."""
    meter = TextMeter()

    def one(_match: Any) -> str:
        meter.spend(len(replacement))
        return replacement

    result: str = pattern.sub(one, text)
    return result


def _substring(parameters: Parameters) -> Step:
    start, length = parameters["start"], parameters["length"]

    def substring(text: str) -> Json:
        begin = start if start >= 0 else max(0, len(text) + start)
        return text[begin:] if length is None else text[begin : begin + length]

    return _on_texts(parameters, substring)


def _concat(parameters: Parameters) -> Step:
    readers = [reader(field) for field in parameters["fields"]]
    separator, target = parameters["separator"], parameters["target"]

    def one(element: Json, meter: TextMeter) -> Json:
        if not isinstance(element, dict):
            raise TransformError(f"concatenates fields of objects, got {kind_of(element)}")
        found = [read(element) for read in readers]
        text = separator.join(_text(value) for value in found if value not in (None, MISSING))
        meter.spend(len(text))
        return {**element, target: text}

    def concat(value: Json) -> Json:
        meter = TextMeter()
        if isinstance(value, list):
            return [one(item, meter) for item in value]
        return one(value, meter)

    return concat


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        written = identity(value)
        return written.decode() if isinstance(written, bytes) else ""
    return str(int(value)) if value == int(value) else repr(value)


def _case(name: str, change: Change, summary: str, text: str, changed: str) -> Operation:
    example = Example([{"name": text}], {"field": "name"}, [{"name": changed}])
    return Operation(name, "strings", summary, (FIELD, TARGET), example, _simple(change))


OPERATIONS = (
    _case("uppercase", str.upper, "Writes a text in capitals.", "ab", "AB"),
    _case("lowercase", str.lower, "Writes a text in small letters.", "AB", "ab"),
    _case("trim", str.strip, "Takes blanks off both ends of a text.", " ab ", "ab"),
    Operation(
        "split",
        "strings",
        "Cuts a text into an array at each separator.",
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
        "Joins fields into one text; null and missing ones are left out.",
        (
            Parameter("fields", "fields", "The fields, in order.", required=True),
            Parameter("separator", "string", "What stands between them.", default=""),
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
            Parameter("search", "string", "What to look for.", required=True),
            Parameter("replacement", "string", "What to write instead.", default=""),
            Parameter("regex", "boolean", "Whether 'search' is a pattern.", default=False),
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
            Parameter("length", "integer", "How many characters; all without it.", minimum=0),
            FIELD,
            TARGET,
        ),
        Example("abcdef", {"start": 1, "length": 3}, "bcd"),
        _substring,
    ),
)
