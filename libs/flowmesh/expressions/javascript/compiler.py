"""Compilation of JavaScript's expression subset to CEL in one pass.

An operator becomes the one of CEL if JavaScript does not convert its operands, otherwise a `js_`
function. Data enters as variables, one per reference and use, so that CEL gets only the data that
the expression reads. Other JavaScript raises NotInSubset.
"""

from collections.abc import Collection
from dataclasses import replace

from flowmesh.expressions.errors import ExpressionInvalid
from flowmesh.expressions.javascript.emitter import (
    Compiled,
    Emitter,
    Value,
    boolean,
    grouped,
    number_value,
)
from flowmesh.expressions.javascript.tokens import NotInSubset, Token, tokenize
from flowmesh.expressions.javascript.values import number, number_text
from flowmesh.expressions.lookups import Lookup, Step

NODES_MAX = 200
NESTING_MAX = 64

_BINARY = {
    "??": 2, "||": 3, "&&": 4,
    "==": 8, "!=": 8, "===": 8, "!==": 8,
    "<": 9, "<=": 9, ">": 9, ">=": 9,
    "+": 11, "-": 11, "*": 12, "/": 12, "%": 12,
}  # fmt: skip
_UNARY = 14
_METHODS = {
    "includes": "js_includes",
    "startsWith": "js_starts_with",
    "endsWith": "js_ends_with",
}
_GLOBALS = frozenset(
    {
        "Array",
        "BigInt",
        "Boolean",
        "Date",
        "Infinity",
        "JSON",
        "Map",
        "Math",
        "NaN",
        "Number",
        "Object",
        "RegExp",
        "Set",
        "String",
        "Symbol",
        "decodeURIComponent",
        "encodeURIComponent",
        "isFinite",
        "isNaN",
        "parseFloat",
        "parseInt",
    }
)
_WORDS = frozenset(
    {
        "async",
        "await",
        "class",
        "delete",
        "function",
        "in",
        "instanceof",
        "let",
        "new",
        "super",
        "this",
        "throw",
        "typeof",
        "void",
        "yield",
    }
)
_FORBIDDEN_KEYS = frozenset({"constructor", "prototype"})


def compile_to_cel(source: str, roots: Collection[str], steps: Collection[str]) -> Compiled:
    """Compile an expression. Raises NotInSubset, or ExpressionInvalid for invalid JavaScript."""
    parser = _Parser(tokenize(source), roots, steps)
    value = parser.expression(0, 0)
    parser.expect_end()
    parser.emitter.compiled.cel = parser.emitter.truth(value)
    return parser.emitter.compiled


def _cel_string(text: str) -> str:
    return '"' + "".join(map(_cel_character, text)) + '"'


def _cel_character(character: str) -> str:
    plain = character.isascii() and character.isprintable() and character not in '"\\'
    return character if plain else f"\\U{ord(character):08x}"


class _Parser:
    """A precedence-climbing parser that emits CEL."""

    def __init__(self, tokens: list[Token], roots: Collection[str], steps: Collection[str]) -> None:
        self._tokens = tokens
        self._roots = roots
        self._steps = steps
        self._position = 0
        self._nodes = 0
        self._unknown: Token | None = None
        # Logical operators since the last parenthesis; JavaScript forbids mixing them with `??`.
        self._logical_marks: set[str] = set()
        self.emitter = Emitter()

    # tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._position]

    def _take(self, *marks: str) -> bool:
        if self._token.kind == "mark" and self._token.text in marks:
            self._position += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise NotInSubset

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise NotInSubset
        if self._unknown is not None:
            known = ", ".join(sorted(self._roots))
            message = f"unknown name {self._unknown.text!r}; known here: {known}"
            raise ExpressionInvalid("EXPRESSION_INVALID", message, offset=self._unknown.offset)

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            message = f"an expression has at most {NODES_MAX} parts"
            raise ExpressionInvalid("EXPRESSION_TOO_COMPLEX", message)
        if depth > NESTING_MAX:
            message = f"an expression is nested at most {NESTING_MAX} levels deep"
            raise ExpressionInvalid("EXPRESSION_TOO_COMPLEX", message, offset=self._token.offset)

    # grammar

    def expression(self, least: int, depth: int) -> Value:
        """Parse operators of at least the precedence `least`; 0 includes the ternary."""
        self._count(depth)
        left = self._unary(depth)
        while (level := self._level()) >= max(least, 1):
            operator = self._token.text
            self._note_logical(operator)
            self._position += 1
            right = self.expression(level + 1, depth + 1)
            left = self.emitter.binary(operator, left, right)
        if least == 0 and self._take("?"):
            chosen = self.expression(0, depth + 1)
            self._expect(":")
            return self.emitter.ternary(left, chosen, self.expression(0, depth + 1))
        return left

    def _note_logical(self, operator: str) -> None:
        if operator in {"&&", "||", "??"}:
            self._logical_marks.add(operator)
            if "??" in self._logical_marks and len(self._logical_marks) > 1:
                raise NotInSubset

    def _enclosed(self, depth: int) -> Value:
        """Parse an expression and its closing parenthesis."""
        marks, self._logical_marks = self._logical_marks, set()
        value = self.expression(0, depth + 1)
        self._expect(")")
        self._logical_marks = marks
        return value

    def _level(self) -> int:
        return _BINARY.get(self._token.text, 0) if self._token.kind == "mark" else 0

    def _unary(self, depth: int) -> Value:
        if self._take("!"):
            operand = self.expression(_UNARY, depth + 1)
            return boolean(f"!{grouped(self.emitter.truth(operand))}")
        if self._take("-"):
            return number_value(f"(-{self.emitter.numeric(self.expression(_UNARY, depth + 1))})")
        if self._take("+"):
            return number_value(self.emitter.numeric(self.expression(_UNARY, depth + 1)))
        if self._token.kind == "name" and self._token.text == "typeof":
            self._position += 1
            operand = self.expression(_UNARY, depth + 1)
            if operand.lookup is None:
                raise NotInSubset
            return Value("string", self.emitter.variable(operand.lookup, "type"), simple=True)
        return self._postfix(self._primary(depth), depth)

    def _primary(self, depth: int) -> Value:
        token = self._token
        self._position += 1
        if token.kind == "number":
            return self._number_literal(token.text)
        if token.kind == "string":
            return Value("string", _cel_string(token.text), simple=True, literal=True)
        if token.kind == "name":
            return self._name(token)
        if token.kind == "mark" and token.text == "(":
            return self._enclosed(depth)
        raise NotInSubset

    def _number_literal(self, text: str) -> Value:
        value = float(text) if text[:2].lower() not in {"0x", "0o", "0b"} else number(int(text, 0))
        if value == float("inf"):
            raise NotInSubset
        return Value("number", repr(value), simple=True, literal=True)

    def _name(self, token: Token) -> Value:
        if token.text in {"true", "false"}:
            return boolean(token.text, simple=True, literal=True)
        if token.text == "null":
            return Value("any", "null", simple=True, literal=True)
        if token.text == "undefined":
            return Value("any", 'b"undefined"', simple=True, literal=True)
        if token.text in _GLOBALS or token.text in _WORDS:
            raise NotInSubset
        if token.text not in self._roots and self._unknown is None:
            self._unknown = token
        return Value("any", lookup=Lookup(token.text), simple=True)

    def _postfix(self, value: Value, depth: int) -> Value:
        while self._token.kind == "mark" and self._token.text in {".", "?.", "[", "("}:
            self._count(depth)
            lookup = value.lookup
            if lookup is None or self._token.text == "(":
                raise NotInSubset
            optional = self._take("?.")
            key_token = self._key(optional)
            if self._token.kind == "mark" and self._token.text == "(":
                value = self._method(lookup, key_token.text, optional, depth)
            else:
                step = self._step(lookup, key_token, optional)
                lookup = replace(lookup, steps=(*lookup.steps, step))
                value = Value("any", lookup=lookup, simple=True)
        return value

    def _key(self, optional: bool) -> Token:
        if self._take("["):
            token = self._token
            if token.kind not in {"number", "string"}:
                raise NotInSubset
            self._position += 1
            self._expect("]")
            if token.kind == "number":
                return replace(token, text=number_text(float(int(token.text, 0))))
            return token
        if not optional:
            self._expect(".")
        token = self._token
        if token.kind != "name":
            raise NotInSubset
        self._position += 1
        return token

    def _step(self, lookup: Lookup, token: Token, optional: bool) -> Step:
        if token.text.startswith("__") or token.text in _FORBIDDEN_KEYS:
            message = f"{token.text!r} is not accessible in expressions"
            raise ExpressionInvalid("EXPRESSION_FORBIDDEN", message, offset=token.offset)
        of_step = (
            token.text == "result"
            and lookup.root == "context"
            and len(lookup.steps) == 1
            and lookup.steps[0].key in self._steps
        )
        return Step(token.text, optional, of_step)

    def _method(self, receiver: Lookup, name: str, optional: bool, depth: int) -> Value:
        if name not in _METHODS or optional:
            raise NotInSubset
        self._expect("(")
        argument = self._enclosed(depth)
        needed = self.emitter.raw(argument) if name == "includes" else self.emitter.seen(argument)
        subject = self.emitter.variable(receiver, "receiver")
        return boolean(f"{_METHODS[name]}({subject}, {needed})")
