"""The Go form of templates: `{{ lower .name }}`, `{{ .steps.fetch-user.email | default "none" }}`.

Go templates are rewritten to expressions (`{{ lower(input.name) }}`) and then checked and rendered
like those. So a text that is one action keeps the type of its value, and a missing value without
`default` is an error; Go would write `<no value>`. Supported are actions, pipelines, parentheses
and the functions below; `if`, `range`, variables and definitions are rejected by name.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.expressions.calls import Call, Expression, Literal
from flowmesh.expressions.errors import Problem, TemplateInvalid
from flowmesh.expressions.evaluation import NESTING_MAX
from flowmesh.expressions.functions import FUNCTIONS
from flowmesh.expressions.parser import CALLS_NESTING_MAX, NUMBER_CHARACTERS_MAX
from flowmesh.expressions.references import (
    INDEX_DIGITS_MAX,
    PATH_SEGMENTS_MAX,
    Reference,
    child_path,
)
from flowmesh.expressions.scanner import (
    CLOSE,
    EXPRESSION_CHARACTERS_MAX,
    EXPRESSIONS_MAX,
    OPEN,
    PROBLEMS_MAX,
)
from flowmesh.expressions.templates import Template, compile_template

DATA = "data"
"""The default root of fields."""

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    |(?P<field>(?:\$?\.[A-Za-z_]\w*(?:-\w+)*)+)
    |(?P<dot>\$\.?(?![\w$])|\.(?!\d))
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<variable>\$\w+|:=)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<mark>[()|])""",
    re.VERBOSE | re.ASCII,
)
_ENTRY = re.compile(r"\.([A-Za-z_]\w*(?:-\w+)*)", re.ASCII)
_END = re.compile(r'(?:[^"`}]|"(?:[^"\\\n]|\\.)*"|`[^`]*`|\}(?!\}))*', re.DOTALL)
_COMMENT = re.compile(r"-?\s*/\*.*?\*/\s*-?\Z", re.DOTALL)
_KEYWORDS = frozenset(
    {"if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"}
)
_CONSTANTS = {"true": True, "false": False, "nil": None}

# The root of fields before their location is known.
_FIELDS = "."

# Functions that differ only in name.
_RENAMED = {
    "and": "and",
    "b64dec": "base64Decode",
    "b64enc": "base64Encode",
    "ge": "ge",
    "gt": "gt",
    "json": "toJson",
    "le": "le",
    "len": "length",
    "lower": "lower",
    "lt": "lt",
    "ne": "ne",
    "not": "not",
    "now": "now",
    "or": "or",
    "print": "concat",
    "sha256sum": "sha256",
    "toJson": "toJson",
    "trim": "trim",
    "upper": "upper",
    "urlquery": "urlEncode",
    "uuidv4": "uuid",
}

Fields = tuple[str | int, ...]
Locate = Callable[[Fields], Reference]
"""Returns the reference of fields: `("steps", "a", "x")` for `.steps.a.x`."""
Part = str | tuple[Expression]
"""A literal, or the expression of an action."""


def in_data(fields: Fields) -> Reference:
    return Reference(DATA, fields)


def compile_go_template(value: Json) -> Template:
    """Compile a value whose strings are Go templates over DATA. Raises TemplateInvalid."""
    problems: list[Problem] = []
    rewritten = rewrite_value(value, in_data, problems)
    if problems:
        raise TemplateInvalid(tuple(problems))
    return compile_template(rewritten, (DATA,))


def rewrite_value(value: Json, locate: Locate, problems: list[Problem]) -> Json:
    """Rewrite every template in a value; append errors to `problems`.

    Wrong templates are omitted from the result, so that they are reported once.
    """
    return _Rewriter(locate, problems).value(value, "", 0)


def read_parts(text: str, locate: Locate, problems: list[Problem]) -> list[Part]:
    """Return the literals and expressions of one text; append errors to `problems`."""
    return _Rewriter(locate, problems).parts(text, "")


class _Rewriter:
    """One pass over a value; it stops after PROBLEMS_MAX problems."""

    def __init__(self, locate: Locate, problems: list[Problem]) -> None:
        self._locate = locate
        self._problems = problems
        self._actions = 0

    def value(self, value: Json, path: str, depth: int) -> Json:
        if isinstance(value, str):
            return self._text(value, path) if OPEN in value else value
        if depth == NESTING_MAX:
            return value
        if isinstance(value, list):
            return [
                self.value(item, child_path(path, index), depth + 1)
                for index, item in enumerate(value)
            ]
        if isinstance(value, dict):
            return {
                key: self.value(item, child_path(path, key), depth + 1)
                for key, item in value.items()
            }
        return value

    def _text(self, text: str, path: str) -> str:
        """Rewrite the actions of a text."""
        parts = self.parts(text, path)
        return "".join(
            part if isinstance(part, str) else f"{OPEN} {part[0]} {CLOSE}" for part in parts
        )

    def parts(self, text: str, path: str) -> list[Part]:
        """Return literals and expressions; `{{-` and `-}}` trim the adjacent blanks."""
        written: list[Part] = []
        position, trims = 0, False
        while (start := text.find(OPEN, position)) >= 0 and not self._full(path):
            literal = text[position:start]
            written.append(literal.lstrip() if trims else literal)
            begin, end = start + len(OPEN), _END.match(text, start + len(OPEN))
            if end is None or not text.startswith(CLOSE, end.end()):
                message = f"the {OPEN} at offset {start} is not closed; {CLOSE} is missing"
                self._problems.append(Problem(path, message, offset=start))
                return []
            if end.end() - begin > EXPRESSION_CHARACTERS_MAX:
                limit = EXPRESSION_CHARACTERS_MAX
                message = f"the action at offset {start} is longer than {limit} characters"
                self._problems.append(Problem(path, message, offset=start))
                return []
            position = end.end() + len(CLOSE)
            if text.startswith("- ", begin):
                _strip(written)
                begin += 1
            stop = end.end() - 1 if text.endswith(" -", begin, end.end()) else end.end()
            trims = stop < end.end()
            if not _COMMENT.match(text, begin, stop):
                written += self._action(text, begin, stop, path, text[start:position])
        rest = "" if start >= 0 else text[position:]
        written.append(rest.lstrip() if trims else rest)
        return [part for part in written if part]

    def _full(self, path: str) -> bool:
        self._actions += 1
        if self._actions == EXPRESSIONS_MAX + 1:
            message = f"a template has at most {EXPRESSIONS_MAX} actions"
            self._problems.append(Problem(path, message))
        return self._actions > EXPRESSIONS_MAX or len(self._problems) >= PROBLEMS_MAX

    def _action(self, text: str, start: int, end: int, path: str, shown: str) -> list[Part]:
        try:
            return [(_located(_Action(text, start, end).whole(), self._locate),)]
        except _Wrong as error:
            message = f"{shown!r} at offset {error.offset}: {error.message}"
            self._problems.append(Problem(path, message, error.code, error.offset))
            return []


def _strip(written: list[Part]) -> None:
    """Trim the blanks at the end, across literals."""
    while written and isinstance(last := written[-1], str):
        written[-1] = last.rstrip()
        if written[-1]:
            return
        written.pop()


def _located(expression: Expression, locate: Locate) -> Expression:
    """Replace the fields of an expression by references."""
    if isinstance(expression, Reference):
        return locate(expression.path)
    if isinstance(expression, Call):
        arguments = tuple(_located(each, locate) for each in expression.arguments)
        return replace(expression, arguments=arguments)
    return expression


class _Wrong(Exception):
    def __init__(self, message: str, offset: int, code: str = "TEMPLATE_INVALID") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.code = code


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    offset: int


def _tokens(text: str, start: int, end: int) -> list[_Token]:
    tokens = []
    while start < end:
        found = _TOKEN.match(text, start, end)
        if found is None:
            raise _Wrong(f"unexpected {text[start]!r}", start)
        kind = found.lastgroup or ""
        if kind == "variable":
            raise _Wrong("variables are not supported", start, "FEATURE_UNSUPPORTED")
        if kind != "blank":
            tokens.append(_Token(kind, found.group(), start))
        start = found.end()
    return tokens


class _Action:
    """One action: a pipeline of commands, each a function with its arguments or one operand."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._tokens = _tokens(text, start, end)
        self._index = 0
        self._end = end

    def whole(self) -> Expression:
        expression = self._pipeline(0)
        if self._index < len(self._tokens):
            raise _Wrong(f"unexpected {self._next().text!r}", self._next().offset)
        return expression

    def _next(self) -> _Token:
        """Return the next token; an empty one at the end."""
        if self._index < len(self._tokens):
            return self._tokens[self._index]
        return _Token("end", "", self._end)

    def _pipeline(self, depth: int) -> Expression:
        if depth > CALLS_NESTING_MAX:
            message = f"pipelines may be nested {CALLS_NESTING_MAX} levels deep"
            raise _Wrong(message, self._next().offset)
        expression = self._command(depth, None)
        while self._next().text == "|":
            self._index += 1
            expression = self._command(depth, expression)
        return expression

    def _command(self, depth: int, piped: Expression | None) -> Expression:
        """Parse a command; a piped value is its last argument."""
        token = self._next()
        if token.kind != "name" or token.text in _CONSTANTS:
            if piped is not None:
                raise _Wrong("the name of a function must follow '|'", token.offset)
            return self._operand(depth)
        self._index += 1
        arguments = []
        while self._next().kind in {"field", "dot", "string", "number", "name"} or (
            self._next().text == "("
        ):
            arguments.append(self._operand(depth))
        if piped is not None:
            arguments.append(piped)
        return _called(token, arguments)

    def _operand(self, depth: int) -> Expression:
        token = self._next()
        self._index += 1
        match token.kind:
            case "field":
                return self._field(token)
            case "dot":
                return Reference(_FIELDS, ())
            case "string":
                return Literal(_string(token))
            case "number":
                return Literal(_number(token))
            case "name" if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text])
            case "name":
                return _called(token, [])
        if token.text != "(":
            raise _Wrong('a value such as .name or "text" is missing', token.offset)
        inner = self._pipeline(depth + 1)
        if self._next().text != ")":
            raise _Wrong("')' is missing", self._next().offset)
        self._index += 1
        after = self._next()
        if after.kind == "field" and after.offset == token_end(self._tokens[self._index - 1]):
            self._index += 1
            for name in _ENTRY.findall(after.text):
                inner = _entry(inner, Literal(name), after.offset)
        return inner

    def _field(self, token: _Token) -> Reference:
        fields = tuple(_ENTRY.findall(token.text))
        if len(fields) > PATH_SEGMENTS_MAX:
            raise _Wrong(f"a field has at most {PATH_SEGMENTS_MAX} steps", token.offset)
        return Reference(_FIELDS, fields)


def token_end(token: _Token) -> int:
    return token.offset + len(token.text)


def _called(token: _Token, arguments: list[Expression]) -> Expression:
    name, offset = token.text, token.offset
    if name in _KEYWORDS:
        message = f"{name!r} of Go templates is not supported"
        raise _Wrong(message, offset, "FEATURE_UNSUPPORTED")
    if name == "default":
        # Arguments in the order of the pipe: `default "x" .name`, `.name | default "x"`.
        return _call("ifEmpty", arguments[::-1], token, "a default and a value")
    if name == "index":
        if not arguments:
            raise _Wrong("index takes a value and keys", offset)
        found = arguments[0]
        for key in arguments[1:]:
            found = _entry(found, key, offset)
        return found
    if name == "eq" and len(arguments) > 2:
        first = arguments[0]
        each = [_call("eq", [first, other], token, "values") for other in arguments[1:]]
        return _call("or", each, token, "values")
    if name == "eq" or name in _RENAMED:
        return _call(_RENAMED.get(name, name), arguments, token, "")
    near = get_close_matches(name, (*_RENAMED, "default", "index", "eq"), 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise _Wrong(f"there is no function {name[:64]!r}{hint}", offset, "TEMPLATE_UNKNOWN_FUNCTION")


def _call(name: str, arguments: Sequence[Expression], token: _Token, takes: str) -> Call:
    function = FUNCTIONS[name]
    if not function.least <= len(arguments) <= function.most:
        counted = takes or f"{function.least} argument{'' if function.least == 1 else 's'}"
        message = f"{token.text} takes {counted}, not {len(arguments)}"
        raise _Wrong(message, token.offset, "TEMPLATE_ARGUMENTS_INVALID")
    depth = 1 + max((each.depth for each in arguments if isinstance(each, Call)), default=0)
    if depth > CALLS_NESTING_MAX:
        raise _Wrong(f"calls may be nested {CALLS_NESTING_MAX} levels deep", token.offset)
    return Call(function, tuple(arguments), "", depth)


def _entry(value: Expression, key: Expression, offset: int) -> Expression:
    """Access a member or item: a path segment if both are plain, else a call of `get`."""
    name: Json = key.value if isinstance(key, Literal) else None
    plain = isinstance(name, str | int) and not isinstance(name, bool)
    if plain and isinstance(value, Reference):
        if len(value.path) >= PATH_SEGMENTS_MAX:
            raise _Wrong(f"a field has at most {PATH_SEGMENTS_MAX} steps", offset)
        if isinstance(name, int) and not 0 <= name < 10**INDEX_DIGITS_MAX:
            raise _Wrong("an index counts from 0", offset)
        return Reference(value.root, (*value.path, name))
    token = _Token("name", "index", offset)
    return _call("get", [value, key], token, "a value and keys")


def _string(token: _Token) -> str:
    if token.text[0] == "`":
        return token.text[1:-1]
    try:
        value: str = orjson.loads(token.text)
    except orjson.JSONDecodeError:
        raise _Wrong("the string has an escape that JSON does not have", token.offset) from None
    return value


def _number(token: _Token) -> float:
    try:
        if len(token.text) > NUMBER_CHARACTERS_MAX:
            raise ValueError
        value: float = orjson.loads(token.text)
    except ValueError:
        raise _Wrong("not a number", token.offset) from None
    return value
