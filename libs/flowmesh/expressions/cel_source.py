"""Static analysis of CEL expressions: size, names, and the data they read."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from flowmesh.expressions.errors import ExpressionInvalid

NODES_MAX = 200
NESTING_MAX = 64
COMPREHENSION_NESTING_MAX = 2
COLLECTING = frozenset({"filter", "map"})
MACROS = COLLECTING | {"all", "exists", "exists_one"}
FUNCTIONS = frozenset(
    {
        "bytes",
        "contains",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "has",
        "int",
        "matches",
        "size",
        "startsWith",
        "string",
        "timestamp",
        "type",
        "uint",
    }
)

# What `matches` is called in a program; the names of users do not begin so.
SEARCH = "__matches"

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*)
    |(?P<string>[bBrR]{0,2}(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}
        |"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'))
    |(?P<number>(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[uU]?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<mark>&&|\|\||[=!<>]=|[-+*/%!<>()\[\]{}?:.,])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)

_HYPHENATED = re.compile(r"\b(tasks|context)\.([A-Za-z_]\w*(?:-\w+)+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    offset: int


@dataclass(slots=True)
class Reads:
    """The data an expression reads: `members` of a root or of a member, or all of it."""

    members: dict[str, "Reads"]
    whole: bool = False


def tokenize(source: str) -> list[Token]:
    """Return the tokens without blanks. Raises ExpressionInvalid above a limit."""
    tokens: list[Token] = []
    position = nesting = 0
    while position < len(source):
        found = _TOKEN.match(source, position)
        if found is None:
            message = f"unexpected {source[position]!r} at offset {position}"
            raise ExpressionInvalid("EXPRESSION_INVALID", message, offset=position)
        if found.lastgroup != "blank":
            tokens.append(Token(found.lastgroup or "", found.group(), position))
            nesting += (found.group() in "([{") - (found.group() in ")]}")
        if nesting > NESTING_MAX:
            raise _too_complex(f"nested at most {NESTING_MAX} levels deep", position)
        position = found.end()
    if sum(token.text not in ")]}" for token in tokens) > NODES_MAX:
        raise _too_complex(f"of at most {NODES_MAX} parts", 0)
    return tokens


def _too_complex(limit: str, offset: int) -> ExpressionInvalid:
    return ExpressionInvalid("EXPRESSION_TOO_COMPLEX", f"an expression is {limit}", offset=offset)


@dataclass(frozen=True, slots=True)
class Shape:
    """The cost factors of an expression with comprehensions, beside its data.

    `nesting`: depth of nested comprehensions, 0 without any. `collects`: one builds a list (the
    engine copies it for every item). `wide`: a body reads more than its own item. `names`: number
    of data references. `literals`: longest list in the source. `growth`: factor by which `+` can
    lengthen a list of the data.
    """

    nesting: int
    collects: bool
    wide: bool
    names: int
    literals: int
    growth: int

    def cost(self, length: int, size: int) -> int:
        """Return the steps for data of `size` values whose longest array has `length`."""
        longest = max(length, self.literals) * self.growth
        repeats = self.repeats(length) * (longest if self.collects else 1)
        return (size + self.literals) * self.names * repeats

    def repeats(self, length: int) -> int:
        """Return how often comprehensions read the same data."""
        longest = max(length, self.literals) * self.growth
        times: int = longest ** (max(0, self.nesting - 1) + self.wide)
        return times


def shape(tokens: list[Token], roots: Collection[str]) -> Shape:
    """Return the shape. Raises ExpressionInvalid above two levels of comprehensions."""
    bound = bound_names(tokens)
    nesting = names = 0
    collects = wide = False
    opened: list[bool] = []
    for index, token in enumerate(tokens):
        before = tokens[index - 1].text if index else ""
        if token.text == "(":
            macro = before in MACROS and index > 1 and tokens[index - 2].text == "."
            collects = collects or (macro and before in COLLECTING)
            opened.append(macro)
            nesting = max(nesting, sum(opened))
        elif token.text == ")" and opened:
            opened.pop()
        elif token.kind == "name" and before != "." and token.text in {*roots, *bound}:
            names += 1
            wide = wide or (any(opened) and token.text not in bound)
    if nesting > COMPREHENSION_NESTING_MAX:
        raise _too_complex(f"of at most {COMPREHENSION_NESTING_MAX} nested comprehensions", 0)
    literals = sum(token.text == "," for token in tokens)
    growth = 1 + sum(token.text == "+" for token in tokens)
    return Shape(nesting, collects, wide, max(1, names), literals, growth)


def patterns_in(tokens: list[Token]) -> list[str | None]:
    """Return the patterns of the calls of `matches`; None for one that is no plain literal."""
    found: list[str | None] = []
    for index in _searches(tokens):
        pattern, end = tokens[index + 2 : index + 4]
        is_literal = pattern.kind == "string" and end.text == ")"
        found.append(_literal(pattern.text) if is_literal else None)
    return found


def with_own_search(source: str, tokens: list[Token]) -> str:
    """Rewrite the calls of `matches` to those of SEARCH."""
    for index in reversed(_searches(tokens)):
        start = tokens[index].offset
        source = f"{source[:start]}{SEARCH}{source[start + len('matches') :]}"
    return source


def _searches(tokens: list[Token]) -> list[int]:
    return [
        index
        for index, token in enumerate(tokens[:-3])
        if (token.kind, token.text) == ("name", "matches") and tokens[index + 1].text == "("
    ]


def _literal(text: str) -> str | None:
    """Return the value of a raw text, or of one with escaped backslashes only."""
    body = text.lstrip("bBrR")
    prefix = text[: len(text) - len(body)].lower()
    quote = body[:3] if body[:3] in ('"""', "'''") else body[:1]
    inner = body[len(quote) : -len(quote)]
    if "b" in prefix:
        return None
    if "r" in prefix:
        return inner
    plain = inner.replace("\\\\", "")
    return inner.replace("\\\\", "\\") if "\\" not in plain else None


def with_quoted_steps(source: str, steps: Collection[str]) -> str:
    """Rewrite `tasks.fetch-user.output` to `tasks["fetch-user"].output` for ids of steps."""

    def quoted(found: re.Match[str]) -> str:
        words = found.group(2).split("-")
        for count in range(len(words), 1, -1):
            step = "-".join(words[:count])
            if step in steps:
                rest = "".join(f"-{word}" for word in words[count:])
                return f'{found.group(1)}["{step}"]{rest}'
        return found.group()

    written: list[str] = []
    position = start = 0
    while position < len(source):
        token = _TOKEN.match(source, position)
        end = token.end() if token else position + 1
        if token and token.lastgroup == "string":
            written += [_HYPHENATED.sub(quoted, source[start:position]), token.group()]
            start = end
        position = end
    written.append(_HYPHENATED.sub(quoted, source[start:]))
    return "".join(written)


def reads(tokens: list[Token], roots: Collection[str]) -> Reads:
    """Return the members read by constant paths; other accesses read all of their root."""
    result = Reads({})
    bound = bound_names(tokens)
    for index, token in enumerate(tokens):
        after_dot = index > 0 and tokens[index - 1].text == "."
        if token.kind != "name" or after_dot or token.text not in roots or token.text in bound:
            continue
        _add(result, [token.text, *_path(tokens, index + 1)])
    for name in bound & set(roots):
        result.members[name] = Reads({}, whole=True)
    return result


def bound_names(tokens: list[Token]) -> set[str]:
    """Return the variables of comprehensions: `x` in `list.map(x, ...)`."""
    return {
        tokens[index + 2].text
        for index in range(len(tokens) - 3)
        if tokens[index].text in MACROS
        and tokens[index + 1].text == "("
        and tokens[index + 2].kind == "name"
        and tokens[index + 3].text == ","
    }


def _path(tokens: list[Token], index: int) -> list[str]:
    path: list[str] = []
    while index + 1 < len(tokens):
        if tokens[index].text == "." and tokens[index + 1].kind == "name":
            if index + 2 < len(tokens) and tokens[index + 2].text == "(":
                break
            path.append(tokens[index + 1].text)
            index += 2
        elif (
            tokens[index].text == "["
            and index + 2 < len(tokens)
            and tokens[index + 1].kind == "string"
            and tokens[index + 2].text == "]"
            and tokens[index + 1].text[0] in "\"'"
            and "\\" not in tokens[index + 1].text
        ):
            path.append(tokens[index + 1].text.strip(tokens[index + 1].text[0]))
            index += 3
        else:
            break
    return path


def _add(reads: Reads, path: list[str]) -> None:
    for name in path:
        reads = reads.members.setdefault(name, Reads({}))
    reads.whole = True
