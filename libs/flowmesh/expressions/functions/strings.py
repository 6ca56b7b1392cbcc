"""Functions over text."""

from flowmesh.contract.json_value import Json
from flowmesh.expressions.functions.data import to_json
from flowmesh.expressions.functions.logic import same
from flowmesh.expressions.functions.signatures import Function, Unfit, bounded_text, function

PARTS_MAX = 10_000


def _written(value: Json) -> str:
    return value if isinstance(value, str) else to_json(value)


def _replace(text: str, old: str, new: str) -> str:
    if not old:
        raise Unfit("the text to replace is empty")
    bounded_text(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _split(text: str, separator: str) -> list[str]:
    if not separator:
        raise Unfit("the separator is empty")
    if text.count(separator) >= PARTS_MAX:
        raise Unfit(f"the text has more than {PARTS_MAX} parts")
    return text.split(separator)


def _join(items: list[Json], separator: str = ",") -> str:
    texts = [_written(item) for item in items]
    bounded_text(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _substring(text: str, start: int, end: int | None = None) -> str:
    return text[start:end]


def _contains(where: Json, what: Json) -> bool:
    if isinstance(where, str):
        if not isinstance(what, str):
            raise Unfit("a string can only contain a string")
        return what in where
    return any(same(item, what) for item in where)


def _pad_start(text: str, width: int, fill: str = " ") -> str:
    return _padding(text, width, fill) + text


def _pad_end(text: str, width: int, fill: str = " ") -> str:
    return text + _padding(text, width, fill)


def _padding(text: str, width: int, fill: str) -> str:
    if len(fill) != 1:
        raise Unfit("fill is one character")
    bounded_text(width)
    return fill * (width - len(text))


def _repeat(text: str, count: int) -> str:
    if count < 0:
        raise Unfit("count is below 0")
    bounded_text(len(text) * count)
    return text * count


def _concat(*values: Json) -> Json:
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    return "".join(map(_written, values))


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


FUNCTIONS: tuple[Function, ...] = (
    function("upper(text: string) -> string", str.upper, "The text in capitals.", 'upper("Ada")'),
    function(
        "lower(text: string) -> string", str.lower, "The text in small letters.", 'lower("Ada")'
    ),
    function(
        "capitalize(text: string) -> string",
        _capitalize,
        "The text with its first letter as a capital.",
        'capitalize("ada")',
    ),
    function(
        "trim(text: string) -> string",
        str.strip,
        "The text without surrounding blanks.",
        'trim("  a b ")',
    ),
    function(
        "replace(text: string, old: string, new: string) -> string",
        _replace,
        "The text with every `old` replaced by `new`.",
        'replace("a-b-c", "-", "+")',
    ),
    function(
        "split(text: string, separator: string) -> strings",
        _split,
        "The parts of the text between the separators.",
        'split("a,b,c", ",")',
    ),
    function(
        "join(items: array, separator?: string) -> string",
        _join,
        "The items as one text; other values than strings as JSON.",
        'join(split("a,b", ","), " and ")',
    ),
    function(
        "substring(text: string, start: integer, end?: integer) -> string",
        _substring,
        "The characters from `start` to before `end`; a negative one counts from the end.",
        'substring("abcdef", 1, 3)',
    ),
    function(
        "contains(where: string|array, what: any) -> boolean",
        _contains,
        "True if a text contains a text, or an array an item.",
        'contains("abc", "b")',
    ),
    function(
        "startsWith(text: string, beginning: string) -> boolean",
        str.startswith,
        "True if the text starts with `beginning`.",
        'startsWith("abc", "ab")',
    ),
    function(
        "endsWith(text: string, ending: string) -> boolean",
        str.endswith,
        "True if the text ends with `ending`.",
        'endsWith("abc", "bc")',
    ),
    function(
        "padStart(text: string, width: integer, fill?: string) -> string",
        _pad_start,
        "The text, padded at the start to `width` characters.",
        'padStart("7", 3, "0")',
    ),
    function(
        "padEnd(text: string, width: integer, fill?: string) -> string",
        _pad_end,
        "The text, padded at the end to `width` characters.",
        'padEnd("7", 3, ".")',
    ),
    function(
        "repeat(text: string, count: integer) -> string",
        _repeat,
        "The text repeated `count` times.",
        'repeat("ab", 3)',
    ),
    function(
        "concat(values...: any) -> any",
        _concat,
        "Joins arrays to one array, or other values to one text.",
        'concat("a", 1, true)',
    ),
    function(
        "string(value: any) -> string",
        _written,
        "The value as text: a string unchanged, other values as JSON.",
        "string(1.5)",
    ),
)
