"""The parser of expressions in braces: references, function calls, literals and pipes.

    upper(tasks.a.output.b)     default(input.name, "x")     input.name | trim | padStart(8, "0")

`a | f(b)` is `f(a, b)`. The parser checks function names, argument counts and the kinds of
literals. It also computes constant calls, so that a wrong literal is reported at registration.
"""

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

import orjson

from flowmesh.expressions.calls import Call, Expression, Literal
from flowmesh.expressions.errors import RenderError
from flowmesh.expressions.evaluation import Budget, renderer
from flowmesh.expressions.functions import FUNCTIONS, Function, Unfit
from flowmesh.expressions.functions.signatures import function
from flowmesh.expressions.references import (
    Reference,
    ReferenceInvalid,
    next_segment,
    parse_reference,
    root_at,
    unquoted,
)

CALLS_NESTING_MAX = 32
NUMBER_CHARACTERS_MAX = 40
CONSTANT_BYTES_MAX = 1024 * 1024
"""The limit of constant values that one compilation computes."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_STRING = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""", re.DOTALL)
_CONSTANTS = {"true": True, "false": False, "null": None}
# Replaces rejected calls, so that their arguments are still checked.
_WRONG = function("wrong() -> any", lambda: None, "", "")
_BEYOND_REFERENCES = re.compile(r"""\A\s*["'\d-]|[(|]""")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A semantic error in an expression."""

    code: str
    message: str
    offset: int


@dataclass(slots=True)
class Compilation:
    """Shared state of the expressions of one template: their errors and a budget."""

    mistakes: list[Mistake] = field(default_factory=list)
    budget: Budget = field(default_factory=lambda: Budget(CONSTANT_BYTES_MAX))


def parse_expression(
    text: str, start: int, end: int, at: str, compilation: Compilation
) -> Expression:
    """Parse the expression in text[start:end].

    Errors in calls are appended to the mistakes. Raises ReferenceInvalid for syntax errors.
    """
    source = text[start:end]
    if source.strip() not in _CONSTANTS and not _BEYOND_REFERENCES.search(source):
        return parse_reference(text, start, end, at)
    parser = _Parser(text, start, end, at, compilation)
    expression = parser.pipeline(0)
    parser.expect_end()
    return expression


class _Parser:
    """Recursive descent, no deeper than CALLS_NESTING_MAX."""

    def __init__(self, text: str, start: int, end: int, at: str, compilation: Compilation) -> None:
        self._text = text
        self._position = start
        self._end = end
        self._at = at
        self._compilation = compilation

    def pipeline(self, depth: int) -> Expression:
        if depth > CALLS_NESTING_MAX:
            raise _too_deep(self._position)
        expression = self._primary(depth)
        while self._take("|"):
            self._blanks()
            offset = self._position
            name = root_at(self._text, offset, self._end)
            if name is None:
                raise ReferenceInvalid("the name of a function must follow '|'", offset)
            self._position += len(name)
            given = self._arguments(depth) if self._take("(") else []
            expression = self._call(name, [expression, *given], offset)
        return expression

    def expect_end(self) -> None:
        self._blanks()
        if self._position < self._end:
            found = self._text[self._position]
            raise ReferenceInvalid(f"unexpected {found!r}", self._position)

    def _blanks(self) -> None:
        while self._position < self._end and self._text[self._position].isspace():
            self._position += 1

    def _take(self, mark: str) -> bool:
        self._blanks()
        found = self._text.startswith(mark, self._position, self._end)
        self._position += found
        return found

    def _primary(self, depth: int) -> Expression:
        self._blanks()
        offset = self._position
        if offset >= self._end:
            raise ReferenceInvalid("a value is missing", offset)
        character = self._text[offset]
        if character in "\"'":
            return self._string()
        if character.isdecimal() or character == "-":
            return self._number()
        name = root_at(self._text, offset, self._end)
        if name is None:
            raise ReferenceInvalid(f"a value cannot begin with {character!r}", offset)
        self._position += len(name)
        if self._take("("):
            return self._call(name, self._arguments(depth), offset)
        if name in _CONSTANTS:
            return Literal(_CONSTANTS[name])
        return self._reference(name, offset)

    def _reference(self, root: str, offset: int) -> Reference:
        path: list[str | int] = []
        while self._position < self._end and self._text[self._position] in ".[":
            key, self._position = next_segment(self._text, self._position, self._end, len(path))
            path.append(key)
        return Reference(root, tuple(path), self._at, offset)

    def _string(self) -> Literal:
        found = _STRING.match(self._text, self._position, self._end)
        if found is None:
            raise ReferenceInvalid("the string is not closed", self._position)
        value = unquoted(found, self._position)
        self._position = found.end()
        return Literal(value)

    def _number(self) -> Literal:
        found = _NUMBER.match(self._text, self._position, self._end)
        if found is None or len(found.group()) > NUMBER_CHARACTERS_MAX:
            raise ReferenceInvalid("not a number", self._position)
        try:
            value = orjson.loads(found.group())
        except orjson.JSONDecodeError:
            raise ReferenceInvalid("the number is out of range", self._position) from None
        if isinstance(value, float) and found.group().lstrip("-").isdecimal():
            message = "the number cannot be kept exactly; write it as a string"
            raise ReferenceInvalid(message, self._position)
        self._position = found.end()
        return Literal(value)

    def _arguments(self, depth: int) -> list[Expression]:
        if self._take(")"):
            return []
        arguments = [self.pipeline(depth + 1)]
        while self._take(","):
            arguments.append(self.pipeline(depth + 1))
        if not self._take(")"):
            raise ReferenceInvalid("')' or ',' is missing", self._position)
        return arguments

    def _call(self, name: str, arguments: list[Expression], offset: int) -> Expression:
        inner = [each for each in arguments if isinstance(each, Call)]
        depth = 1 + max((each.depth for each in inner), default=0)
        if depth > CALLS_NESTING_MAX:
            raise _too_deep(offset)
        known = FUNCTIONS.get(name)
        if known is None:
            self._mistake("TEMPLATE_UNKNOWN_FUNCTION", _unknown(name), offset)
        elif not known.least <= len(arguments) <= known.most:
            message = f"{known.signature} takes {_count(known)}, not {len(arguments)}"
            self._mistake("TEMPLATE_ARGUMENTS_INVALID", message, offset)
            known = None
        if known is None or any(each.function is _WRONG for each in inner):
            return Call(_WRONG, tuple(arguments), "", depth)
        return self._folded(Call(known, tuple(arguments), f"{self._at}:{offset}", depth), offset)

    def _folded(self, call: Call, offset: int) -> Expression:
        """Return the call, or its value if it is constant."""
        function, budget = call.function, self._compilation.budget
        literals = [each for each in call.arguments if isinstance(each, Literal)]
        try:
            if not function.lazy:
                for index, each in enumerate(call.arguments):
                    if isinstance(each, Literal):
                        function.parameter(index).checked(each.value)
            if len(literals) == len(call.arguments) and not function.momentary and budget.left > 0:
                return Literal(renderer(call)({}, budget))
        except Unfit as error:
            message = f"{function.name}: {error}"
            self._mistake("TEMPLATE_ARGUMENTS_INVALID", message, offset)
        except RenderError as error:
            if budget.left > 0:
                message = f"{function.name}: {error.message}"
                self._mistake("TEMPLATE_ARGUMENTS_INVALID", message, offset)
        return call

    def _mistake(self, code: str, message: str, offset: int) -> None:
        self._compilation.mistakes.append(Mistake(code, message, offset))


def _too_deep(offset: int) -> ReferenceInvalid:
    return ReferenceInvalid(f"calls may be nested {CALLS_NESTING_MAX} levels deep", offset)


def _unknown(name: str) -> str:
    near = get_close_matches(name, FUNCTIONS, 1) or [
        known for known in FUNCTIONS if known.lower() == name.lower()
    ]
    return f"there is no function {name[:64]!r}{f'; did you mean {near[0]}?' if near else ''}"


def _count(function: Function) -> str:
    least, most = function.least, function.most
    between = str(least) if least == most else f"{least} to {most}"
    return f"{between} argument{'' if between == '1' else 's'}"
