"""CEL source for operators of JavaScript."""

from dataclasses import dataclass, field
from typing import Literal

from flowmesh.expressions.javascript.tokens import NotInSubset
from flowmesh.expressions.lookups import Lookup

# The form of a reference in the program: its value, its operand value after conversion, the
# receiver of a method, or the name of its type.
View = Literal["raw", "seen", "receiver", "type"]
Kind = Literal["number", "string", "boolean", "any"]

_ORDER = {"<": "js_lt", "<=": "js_le", ">": "js_gt", ">=": "js_ge"}


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled expression in up to three forms: its value, its operand value, its truth.

    A form that would repeat an operand is missing; its use raises NotInSubset.
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
    """CEL source and its variables: name to reference and view."""

    cel: str = ""
    variables: dict[str, tuple[Lookup, View]] = field(default_factory=dict)


class Emitter:
    """Writes CEL for operators and collects the variables of the program."""

    def __init__(self) -> None:
        self.compiled = Compiled()
        self._names: dict[tuple[Lookup, View], str] = {}

    def variable(self, lookup: Lookup, view: View) -> str:
        name = self._names.setdefault((lookup, view), f"{view}_{len(self._names)}")
        self.compiled.variables[name] = (lookup, view)
        return name

    def raw(self, value: Value) -> str:
        if value.lookup is not None:
            return self.variable(value.lookup, "raw")
        if value.raw is None:
            raise NotInSubset
        return value.raw

    def seen(self, value: Value) -> str:
        if value.lookup is not None:
            return self.variable(value.lookup, "seen")
        return value.seen if value.seen is not None else self.raw(value)

    def numeric(self, value: Value) -> str:
        return self.raw(value) if value.kind == "number" else f"js_number({self.seen(value)})"

    def truth(self, value: Value) -> str:
        return value.truth if value.truth is not None else f"js_truthy({self.raw(value)})"

    def ternary(self, test: Value, chosen: Value, other: Value) -> Value:
        condition = grouped(self.truth(test))
        kind = chosen.kind if chosen.kind == other.kind else "any"
        return Value(
            kind,
            f"({condition} ? {self.raw(chosen)} : {self.raw(other)})",
            f"({condition} ? {self.seen(chosen)} : {self.seen(other)})",
        )

    def binary(self, operator: str, left: Value, right: Value) -> Value:
        if operator in {"&&", "||", "??"}:
            return self._logical(operator, left, right)
        if operator in _ORDER:
            return boolean(f"{_ORDER[operator]}({self.seen(left)}, {self.seen(right)})")
        if operator in {"===", "!=="}:
            return boolean(f"({self.raw(left)} {operator[:2]} {self.raw(right)})")
        if operator in {"==", "!="}:
            return boolean(("!" if operator == "!=" else "") + self._loose(left, right))
        if operator == "+" and not left.kind == right.kind == "number":
            kind: Kind = "string" if "string" in {left.kind, right.kind} else "any"
            return Value(kind, f"js_add({self.seen(left)}, {self.seen(right)})")
        if operator == "%":
            return number_value(f"js_modulo({self.numeric(left)}, {self.numeric(right)})")
        return number_value(f"({self.numeric(left)} {operator} {self.numeric(right)})")

    def _loose(self, left: Value, right: Value) -> str:
        if any(value.literal and value.kind == "any" for value in (left, right)):
            return f"js_equal({self.raw(left)}, {self.raw(right)})"
        if left.lookup is not None and right.lookup is not None:
            seen = f"{self.seen(left)}, {self.seen(right)}"
            return f"js_same({self.raw(left)}, {self.raw(right)}, {seen})"
        return f"js_equal({self.seen(left)}, {self.seen(right)})"

    def _logical(self, operator: str, left: Value, right: Value) -> Value:
        raw = seen = truth = None
        if operator == "??":
            if not left.simple:
                raise NotInSubset
            test = f"js_nullish({self.raw(left)})"
            return Value(
                "any",
                f"({test} ? {self.raw(right)} : {self.raw(left)})",
                f"({test} ? {self.seen(right)} : {self.seen(left)})",
            )
        sides = [self._side(operator, left), self._side(operator, right)]
        truth = f" {operator} ".join(sides)
        if left.kind == right.kind == "boolean":
            raw = seen = f"({truth})"
            return Value("boolean", raw, seen, truth, operator)
        if left.simple and right.simple:
            test = self.truth(left)
            first, second = (right, left) if operator == "&&" else (left, right)
            raw = f"({test} ? {self.raw(first)} : {self.raw(second)})"
            seen = f"({test} ? {self.seen(first)} : {self.seen(second)})"
        return Value("any", raw, seen, truth, operator)

    def _side(self, operator: str, value: Value) -> str:
        truth = self.truth(value)
        return truth if value.truth_operator in {"", operator} else f"({truth})"


def boolean(cel: str, *, simple: bool = False, literal: bool = False) -> Value:
    return Value("boolean", cel, cel, cel, simple=simple, literal=literal)


def number_value(cel: str) -> Value:
    return Value("number", cel)


def grouped(cel: str) -> str:
    return f"({cel})"
