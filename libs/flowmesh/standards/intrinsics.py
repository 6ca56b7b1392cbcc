"""Intrinsic functions of the Amazon States Language: `States.Format('{}', $.name)`.

Ids and random numbers are passed in.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.standards.paths import JsonPath, PathFailed, PathInvalid, compile_path

NESTING_MAX = 10
CHARACTERS_MAX = 8 * 1024
# The limits of the AWS service.
_DIGITS = re.compile(r"[+-]?[0-9]{1,19}")
RANGE_MAX = 1_000
TEXT_CHARACTERS_MAX = 10_000
_FAILURE = "States.IntrinsicFailure"
_HASHES = {
    "MD5": hashlib.md5,
    "SHA-1": hashlib.sha1,
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<call>States\.\w+)\s*\(|(?P<path>\$)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>true|false|null)|(?P<sign>[,)]))",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None}
_PLACE = re.compile(r"\\(.)|\{\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Randomness:
    """Sources of ids and random numbers. `draw` returns numbers in [0, 1)."""

    new_id: Callable[[], str]
    draw: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Call:
    """A compiled call; arguments are calls, paths and values."""

    name: str
    arguments: tuple["Call | JsonPath | Value", ...]

    def paths(self) -> Iterator[JsonPath]:
        """Yield the paths among the arguments, including those of nested calls."""
        for each in self.arguments:
            if isinstance(each, JsonPath):
                yield each
            elif isinstance(each, Call):
                yield from each.paths()

    def find(self, data: Json, context: Json, randomness: Randomness) -> Json:
        """Return the result of the call. Raises PathFailed."""
        given = [
            each.find(data, context, randomness) if isinstance(each, Call)
            else each.find(data, context) if isinstance(each, JsonPath)
            else each.value
            for each in self.arguments
        ]  # fmt: skip
        try:
            return _FUNCTIONS[self.name].run(given, randomness)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
            message = f"States.{self.name}: {error or 'the arguments do not fit'}"
            raise PathFailed(_FAILURE, message[:200]) from None


@dataclass(frozen=True, slots=True)
class Value:
    """A literal."""

    value: Json


@dataclass(frozen=True, slots=True)
class Function:
    run: Callable[[list[Json], Randomness], Json]
    least: int
    most: int


def is_call(text: str) -> bool:
    return text.startswith("States.")


def compile_call(text: str) -> Call:
    """Compile one function call. Raises PathInvalid."""
    if len(text) > CHARACTERS_MAX:
        raise PathInvalid(f"a function call has at most {CHARACTERS_MAX} characters")
    parser = _Parser(text)
    call = parser.argument(1)
    if not isinstance(call, Call) or text[parser.position :].strip():
        raise PathInvalid(f"{text[:64]!r} is not one call of a function")
    return call


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self.position = 0

    def argument(self, depth: int) -> "Call | JsonPath | Value":
        if depth > NESTING_MAX:
            raise PathInvalid(f"calls may be nested {NESTING_MAX} deep")
        match = self._next()
        kind = match.lastgroup if match is not None else None
        if match is None or kind == "sign":
            raise PathInvalid(f"an argument is expected at {self._text[self.position :][:24]!r}")
        found = match.group(kind or 0)
        match kind:
            case "text":
                return Value(found[1:-1])
            case "number":
                return Value(float(found) if re.search(r"[.eE]", found) else int(found))
            case "word":
                return Value(_WORDS[found])
            case "path":
                return self._path()
        return self._call(found.removeprefix("States."), depth)

    def _next(self) -> re.Match[str] | None:
        match = _TOKEN.match(self._text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def _path(self) -> JsonPath:
        """Return the path that ends before a comma or bracket outside of it."""
        start, depth, quote = self.position - 1, 0, ""
        while self.position < len(self._text):
            character = self._text[self.position]
            if character == "\\":
                self.position += 1
            elif quote:
                quote = "" if character == quote else quote
            elif character in "'\"":
                quote = character
            elif character in "[(":
                depth += 1
            elif depth == 0 and character in ",)":
                break
            elif character in "])":
                depth -= 1
            self.position += 1
        return compile_path(self._text[start : self.position].strip())

    def _call(self, name: str, depth: int) -> Call:
        function = _FUNCTIONS.get(name)
        if function is None:
            known = ", ".join(_FUNCTIONS)
            raise PathInvalid(f"there is no function States.{name[:32]}; there are {known}")
        arguments: list[Call | JsonPath | Value] = []
        if self._text[self.position :].lstrip().startswith(")"):
            self._next()
        else:
            while True:
                arguments.append(self.argument(depth + 1))
                match = self._next()
                if match is None or match.lastgroup != "sign":
                    raise PathInvalid(f"States.{name}: a comma or a bracket is missing")
                if match.group("sign") == ")":
                    break
        if not function.least <= len(arguments) <= function.most:
            raise PathInvalid(f"States.{name} does not take {len(arguments)} arguments")
        if name == "Format":
            return Call(name, tuple(arguments))
        return Call(name, tuple(_unescaped(each) for each in arguments))


def _unescaped(argument: "Call | JsonPath | Value") -> "Call | JsonPath | Value":
    if isinstance(argument, Value) and isinstance(argument.value, str):
        return Value(_ESCAPED.sub(r"\1", argument.value))
    return argument


def _format(given: list[Json], _: Randomness) -> str:
    """Fill the `{}` of a template. The template has its escapes, so that `\\{}` stays."""
    template, *values = given
    rest = iter(values)

    def fill(match: re.Match[str]) -> str:
        if match.group(1) is not None:
            return str(match.group(1))
        return _text(next(rest, _MISSING))

    text = _PLACE.sub(fill, _string(template))
    if next(rest, _MISSING) is not _MISSING:
        raise ValueError("there are more values than {}")
    return text


_MISSING = object()


def _text(value: Json) -> str:
    if value is _MISSING:
        raise ValueError("there are fewer values than {}")
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _string(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value


def _short(value: Json) -> str:
    if len(_string(value)) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"at most {TEXT_CHARACTERS_MAX:,} characters")
    return str(value)


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    return value


def _whole(value: Json) -> int:
    """Return a number as a whole one; a text of digits is a number too."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number is expected")
    return round(value)


def _partition(given: list[Json], _: Randomness) -> list[Json]:
    items, size = _list(given[0]), _whole(given[1])
    if size < 1:
        raise ValueError("the size is above 0")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _range(given: list[Json], _: Randomness) -> list[int]:
    first, last, step = (_whole(each) for each in given)
    if step == 0:
        raise ValueError("the step is not 0")
    found = range(first, last + (1 if step > 0 else -1), step)
    if len(found) > RANGE_MAX:
        raise ValueError(f"at most {RANGE_MAX:,} items")
    return list(found)


def _unique(given: list[Json], _: Randomness) -> list[Json]:
    seen: dict[bytes, Json] = {}
    for item in _list(given[0]):
        seen.setdefault(_identity(item), item)
    return list(seen.values())


def _contains(given: list[Json], _: Randomness) -> bool:
    wanted = _identity(given[1])
    return any(_identity(item) == wanted for item in _list(given[0]))


def _identity(value: Json) -> bytes:
    """Return equal bytes for equal JSON: 1 is not true, and the order of members does not count."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _item(given: list[Json], _: Randomness) -> Json:
    items, index = _list(given[0]), _whole(given[1])
    if not 0 <= index < len(items):
        raise IndexError(f"there is no item {index}")
    return items[index]


def _merge(given: list[Json], _: Randomness) -> Json:
    first, second, deep = given
    if not isinstance(first, dict) or not isinstance(second, dict):
        raise TypeError("two objects are expected")
    if deep is not False:
        raise ValueError("only shallow merging (false) is supported")
    return {**first, **second}


def _random(given: list[Json], randomness: Randomness) -> int:
    first, last = _whole(given[0]), _whole(given[1])
    if last <= first:
        raise ValueError("the end is above the start")
    draw = randomness.draw() if len(given) == 2 else _seeded(_whole(given[2]))
    return first + int(draw * (last - first))


def _seeded(seed: int) -> float:
    """Return a number in [0, 1) that depends on the seed alone."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _add(given: list[Json], _: Randomness) -> int:
    return _whole(given[0]) + _whole(given[1])


def _split(given: list[Json], _: Randomness) -> list[str]:
    text, at = _string(given[0]), _string(given[1])
    if not at:
        raise ValueError("the splitter is empty")
    return [part for part in re.split("[" + re.escape(at) + "]", text) if part]


def _decode(given: list[Json], _: Randomness) -> str:
    try:
        return base64.b64decode(_short(given[0]), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("the text is not base64 of a text") from None


def _hash(given: list[Json], _: Randomness) -> str:
    if given[1] not in _HASHES:
        raise ValueError("the algorithm is one of " + ", ".join(_HASHES))
    return _HASHES[given[1]](_short(_text(given[0])).encode()).hexdigest()


def _json(given: list[Json], _: Randomness) -> Json:
    try:
        return orjson.loads(_string(given[0]))
    except orjson.JSONDecodeError:
        raise ValueError("the text is not JSON") from None


def _encoded(given: list[Json], _: Randomness) -> str:
    return base64.b64encode(_short(given[0]).encode()).decode()


_MANY = 1_000
_FUNCTIONS: dict[str, Function] = {
    "Format": Function(_format, 1, _MANY),
    "StringToJson": Function(_json, 1, 1),
    "JsonToString": Function(lambda given, _: orjson.dumps(given[0]).decode(), 1, 1),
    "Array": Function(lambda given, _: given, 0, _MANY),
    "ArrayPartition": Function(_partition, 2, 2),
    "ArrayContains": Function(_contains, 2, 2),
    "ArrayRange": Function(_range, 3, 3),
    "ArrayGetItem": Function(_item, 2, 2),
    "ArrayLength": Function(lambda given, _: len(_list(given[0])), 1, 1),
    "ArrayUnique": Function(_unique, 1, 1),
    "Base64Encode": Function(_encoded, 1, 1),
    "Base64Decode": Function(_decode, 1, 1),
    "Hash": Function(_hash, 2, 2),
    "JsonMerge": Function(_merge, 3, 3),
    "MathRandom": Function(_random, 2, 3),
    "MathAdd": Function(_add, 2, 2),
    "StringSplit": Function(_split, 2, 2),
    "UUID": Function(lambda _, randomness: randomness.new_id(), 0, 0),
}
