"""Conditions in CEL as jq programs with equal results and equal failures.

A comparison that jq accepts and CEL refuses is an error in the program too.
"""

from collections.abc import Collection

from flowmesh.definitions.exports.serverless.jq import CONTEXT, INPUT, literal
from flowmesh.definitions.exports.unsupported import UnsupportedExpression
from flowmesh.expressions.cel_source import Token, tokenize, with_quoted_steps

_DEFS = {
    "both": "def both(l; r): [(try [l] catch null), (try [r] catch null)] | "
    "if any(. == [false]) then false elif all(. == [true]) then true "
    'else error("not true or false") end; ',
    "either": "def either(l; r): [(try [l] catch null), (try [r] catch null)] | "
    "if any(. == [true]) then true elif all(. == [false]) then false "
    'else error("not true or false") end; ',
    "no": 'def no(v): v | if type == "boolean" then not else error("not true or false") end; ',
    "alike": "def alike(l; r): [l, r] | if map(type) | .[0] == .[1] and "
    '(.[0] | IN("number", "string", "boolean")) then . '
    'else error("values that cannot be compared") end; ',
    "among": 'def among(l; r): l as $l | r | if type == "array" then any(. == $l) '
    'elif type == "object" and ($l | type) == "string" then has($l) '
    'else error("not a list") end; ',
    "there": 'def there($k): if type == "object" then has($k) else error("not an object") end; ',
    "bytes": 'def bytes: if type == "string" then utf8bytelength '
    'elif type == "array" or type == "object" then length else error("has no size") end; ',
    "truth": 'def truth: if type == "boolean" then . else error("not true or false") end; ',
}
_RELATIONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_CONSTANTS = frozenset({"true", "false", "null"})


def condition_program(source: str, ids: Collection[str]) -> str:
    """Return the jq program of a condition. Raises UnsupportedExpression."""
    parser = _Parser(tokenize(with_quoted_steps(source, ids)))
    program = f"({parser.either()} | truth)"
    if not parser.ended:
        raise UnsupportedExpression(f"{parser.here!r} in a condition")
    used = "".join(text for name, text in _DEFS.items() if name in program)
    return f"({used}{program})"


class _Parser:
    """Parser of the supported expressions by precedence; others are refused by name."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._tokens)

    @property
    def here(self) -> str:
        return "" if self.ended else self._tokens[self._at].text

    def _next(self) -> Token:
        if self.ended:
            raise UnsupportedExpression("a condition that ends early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> None:
        found = self._next().text
        if found != text:
            raise UnsupportedExpression(f"{found!r} in a condition")

    def either(self) -> str:
        program = self._both()
        while self.here == "||":
            self._next()
            program = f"either({program}; {self._both()})"
        return program

    def _both(self) -> str:
        program = self._relation()
        while self.here == "&&":
            self._next()
            program = f"both({program}; {self._relation()})"
        return program

    def _relation(self) -> str:
        left = self._unary()
        if self.here not in _RELATIONS:
            return left
        mark = self._next().text
        right = self._unary()
        if self.here in _RELATIONS:
            raise UnsupportedExpression("comparisons in a row in a condition")
        if mark == "in":
            return f"among({left}; {right})"
        if mark in ("==", "!="):
            return f"({left} {mark} {right})"
        return f"(alike({left}; {right}) | .[0] {mark} .[1])"

    def _unary(self) -> str:
        if self.here == "!":
            self._next()
            return f"no({self._unary()})"
        token = self._next()
        if token.text == "(":
            program = self.either()
            self._take(")")
            return f"({program})"
        if token.text == "-" and not self.ended and self._tokens[self._at].kind == "number":
            return f"(-{_number(self._next())})"
        if token.kind == "number":
            return _number(token)
        if token.kind == "string":
            return literal(_text(token))
        if token.kind == "name":
            return self._name(token.text)
        raise UnsupportedExpression(f"{token.text!r} in a condition")

    def _name(self, name: str) -> str:
        if name in _CONSTANTS:
            return name
        if name in ("has", "size") and self.here == "(":
            self._next()
            program = self._has() if name == "has" else f"({self.either()} | bytes)"
            self._take(")")
            return program
        start, path = self._path(name)
        return _read(start, path)

    def _has(self) -> str:
        start, path = self._path(self._next().text)
        if not path or not isinstance(path[-1], str) or (start == CONTEXT and len(path) == 1):
            raise UnsupportedExpression("`has` of something else than a member in a condition")
        return f"({_read(start, path[:-1])} | there({literal(path[-1])}))"

    def _path(self, root: str) -> tuple[str, list[str | int]]:
        path: list[str | int] = []
        while self.here in (".", "["):
            path.append(self._member())
        if root == "input":
            return INPUT, path
        if root == "tasks" and len(path) > 1 and path[1] == "output" and isinstance(path[0], str):
            return CONTEXT, [path[0], *path[2:]]
        raise UnsupportedExpression(f"{root!r} in a condition")

    def _member(self) -> str | int:
        if self._next().text == ".":
            name = self._next()
            if name.kind != "name" or self.here == "(":
                raise UnsupportedExpression(f"the method {name.text!r} in a condition")
            return name.text
        key = self._next()
        self._take("]")
        if key.kind == "string":
            return _text(key)
        if key.kind == "number" and key.text.isdecimal():
            return int(key.text)
        raise UnsupportedExpression("a computed member in a condition")


def _read(start: str, path: list[str | int]) -> str:
    return "(" + " | ".join([start, *(f"at({literal(key)})" for key in path)]) + ")"


def _number(token: Token) -> str:
    if token.text[-1] in "uU" or token.text[:2] in ("0x", "0X"):
        raise UnsupportedExpression(f"the number {token.text} in a condition")
    return token.text


def _text(token: Token) -> str:
    text = token.text
    if text[0] not in "\"'" or text[:3] in ('"""', "'''") or "\\" in text:
        raise UnsupportedExpression("a text with escapes in a condition")
    return text[1:-1]
