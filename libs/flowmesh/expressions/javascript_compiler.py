"""JavaScript's expression subset, compiled to CEL in one pass.

Every operator becomes CEL's own where JavaScript cannot convert, and a `js_` function where it
can. Data enters as variables, one per reference and use, so that an evaluation hands CEL only what
the expression reads. What is outside the subset raises NotInSubset; it may still be JavaScript.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal

from flowmesh.expressions.errors import ExpressionInvalid
from flowmesh.expressions.javascript_tokens import NotInSubset, Token, tokenize
from flowmesh.expressions.javascript_values import number, number_text
from flowmesh.expressions.lookups import Lookup, Step

NODES_MAX = 200
NESTING_MAX = 64

# How the program sees a reference: as it is, as operators see it, as the receiver of a method,
# as the name of its type.
View = Literal["raw", "seen", "receiver", "type"]
Kind = Literal["number", "string", "boolean", "any"]

_BINARY = {
    "??": 2, "||": 3, "&&": 4,
    "==": 8, "!=": 8, "===": 8, "!==": 8,
    "<": 9, "<=": 9, ">": 9, ">=": 9,
    "+": 11, "-": 11, "*": 12, "/": 12, "%": 12,
}  # fmt: skip
_UNARY = 14
_ORDER = {"<": "js_lt", "<=": "js_le", ">": "js_gt", ">=": "js_ge"}
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


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled expression in up to three forms: its value, what operators see, its truth.

    A form that would have to repeat an operand is missing; needing it raises NotInSubset.
    """

    kind: Kind
    raw: str | None = None
    seen: str | None = None
    truth: str | None = None
    truth_operator: str = ""
    lookup: Lookup | None = None
    simple: bool = False
    literal: bool = False


@dataclass(slots=True)
class Compiled:
    """CEL source and the variables it reads: name to reference and view."""

    cel: str = ""
    variables: dict[str, tuple[Lookup, View]] = field(default_factory=dict)


def compile_to_cel(source: str, roots: Collection[str], steps: Collection[str]) -> Compiled:
    """Raises NotInSubset, or ExpressionInvalid where the source cannot be JavaScript at all."""
    parser = _Parser(tokenize(source), roots, steps)
    value = parser.expression(0, 0)
    parser.expect_end()
    parser.compiled.cel = parser.truth(value)
    return parser.compiled


def _cel_string(text: str) -> str:
    return '"' + "".join(map(_cel_character, text)) + '"'


def _cel_character(character: str) -> str:
    code = ord(character)
    if 0x20 <= code < 0x7F and character not in '"\\':
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Parser:
    """Precedence climbing over the tokens; emits as it goes."""

    def __init__(self, tokens: list[Token], roots: Collection[str], steps: Collection[str]) -> None:
        self._tokens = tokens
        self._roots = roots
        self._steps = steps
        self._position = 0
        self._nodes = 0
        self._unknown: Token | None = None
        # Logical operators since the last parenthesis: JavaScript does not let `??` be mixed.
        self._logical_marks: set[str] = set()
        self._names: dict[tuple[Lookup, View], str] = {}
        self.compiled = Compiled()

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
        """Everything that binds at least as tightly as `least`; 0 takes a ternary too."""
        self._count(depth)
        left = self._unary(depth)
        while (level := self._level()) >= max(least, 1):
            operator = self._token.text
            self._note_logical(operator)
            self._position += 1
            right = self.expression(level + 1, depth + 1)
            left = self._binary(operator, left, right)
        if least == 0 and self._take("?"):
            chosen = self.expression(0, depth + 1)
            self._expect(":")
            return self._ternary(left, chosen, self.expression(0, depth + 1))
        return left

    def _note_logical(self, operator: str) -> None:
        if operator in {"&&", "||", "??"}:
            self._logical_marks.add(operator)
            if "??" in self._logical_marks and len(self._logical_marks) > 1:
                raise NotInSubset

    def _enclosed(self, depth: int) -> Value:
        """An expression and the parenthesis that closes it."""
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
            return _boolean(f"!{_grouped(self.truth(operand))}")
        if self._take("-"):
            return _number(f"(-{self._numeric(self.expression(_UNARY, depth + 1))})")
        if self._take("+"):
            return _number(self._numeric(self.expression(_UNARY, depth + 1)))
        if self._token.kind == "name" and self._token.text == "typeof":
            self._position += 1
            operand = self.expression(_UNARY, depth + 1)
            if operand.lookup is None:
                raise NotInSubset
            return Value("string", self._variable(operand.lookup, "type"), simple=True)
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
            return _boolean(token.text, simple=True, literal=True)
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
        needed = self._raw(argument) if name == "includes" else self._seen(argument)
        subject = self._variable(receiver, "receiver")
        return _boolean(f"{_METHODS[name]}({subject}, {needed})")

    # emission

    def _variable(self, lookup: Lookup, view: View) -> str:
        name = self._names.setdefault((lookup, view), f"{view}_{len(self._names)}")
        self.compiled.variables[name] = (lookup, view)
        return name

    def _raw(self, value: Value) -> str:
        if value.lookup is not None:
            return self._variable(value.lookup, "raw")
        if value.raw is None:
            raise NotInSubset
        return value.raw

    def _seen(self, value: Value) -> str:
        if value.lookup is not None:
            return self._variable(value.lookup, "seen")
        return value.seen if value.seen is not None else self._raw(value)

    def _numeric(self, value: Value) -> str:
        return self._raw(value) if value.kind == "number" else f"js_number({self._seen(value)})"

    def truth(self, value: Value) -> str:
        return value.truth if value.truth is not None else f"js_truthy({self._raw(value)})"

    def _ternary(self, test: Value, chosen: Value, other: Value) -> Value:
        condition = _grouped(self.truth(test))
        kind = chosen.kind if chosen.kind == other.kind else "any"
        return Value(
            kind,
            f"({condition} ? {self._raw(chosen)} : {self._raw(other)})",
            f"({condition} ? {self._seen(chosen)} : {self._seen(other)})",
        )

    def _binary(self, operator: str, left: Value, right: Value) -> Value:
        if operator in {"&&", "||", "??"}:
            return self._logical(operator, left, right)
        if operator in _ORDER:
            return _boolean(f"{_ORDER[operator]}({self._seen(left)}, {self._seen(right)})")
        if operator in {"===", "!=="}:
            return _boolean(f"({self._raw(left)} {operator[:2]} {self._raw(right)})")
        if operator in {"==", "!="}:
            return _boolean(("!" if operator == "!=" else "") + self._loose(left, right))
        if operator == "+" and not left.kind == right.kind == "number":
            kind: Kind = "string" if "string" in {left.kind, right.kind} else "any"
            return Value(kind, f"js_add({self._seen(left)}, {self._seen(right)})")
        if operator == "%":
            return _number(f"js_modulo({self._numeric(left)}, {self._numeric(right)})")
        return _number(f"({self._numeric(left)} {operator} {self._numeric(right)})")

    def _loose(self, left: Value, right: Value) -> str:
        if any(value.literal and value.kind == "any" for value in (left, right)):
            return f"js_equal({self._raw(left)}, {self._raw(right)})"
        if left.lookup is not None and right.lookup is not None:
            seen = f"{self._seen(left)}, {self._seen(right)}"
            return f"js_same({self._raw(left)}, {self._raw(right)}, {seen})"
        return f"js_equal({self._seen(left)}, {self._seen(right)})"

    def _logical(self, operator: str, left: Value, right: Value) -> Value:
        raw = seen = truth = None
        if operator == "??":
            if not left.simple:
                raise NotInSubset
            test = f"js_nullish({self._raw(left)})"
            return Value(
                "any",
                f"({test} ? {self._raw(right)} : {self._raw(left)})",
                f"({test} ? {self._seen(right)} : {self._seen(left)})",
            )
        sides = [self._side(operator, left), self._side(operator, right)]
        truth = f" {operator} ".join(sides)
        if left.kind == right.kind == "boolean":
            raw = seen = f"({truth})"
            return Value("boolean", raw, seen, truth, operator)
        if left.simple and right.simple:
            test = self.truth(left)
            first, second = (right, left) if operator == "&&" else (left, right)
            raw = f"({test} ? {self._raw(first)} : {self._raw(second)})"
            seen = f"({test} ? {self._seen(first)} : {self._seen(second)})"
        return Value("any", raw, seen, truth, operator)

    def _side(self, operator: str, value: Value) -> str:
        truth = self.truth(value)
        return truth if value.truth_operator in {"", operator} else f"({truth})"


def _boolean(cel: str, *, simple: bool = False, literal: bool = False) -> Value:
    return Value("boolean", cel, cel, cel, simple=simple, literal=literal)


def _number(cel: str) -> Value:
    return Value("number", cel)


def _grouped(cel: str) -> str:
    return f"({cel})"
