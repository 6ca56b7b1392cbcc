"""The values a schema allows, as shapes of one type each with the constraints of that type.

A `Part` is a schema, or a conjunction or disjunction of several; `Expansion` returns its shapes. A
shape of a schema with unsupported keywords allows more than the schema and is marked `opaque`. So
"every value fits these shapes" proves nothing if one is opaque; "no value fits" always does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import jsonschema_rs
import orjson

from flowmesh.contract.json_value import Json
from flowmesh.schemas.compiling import compiled
from flowmesh.schemas.documents import Document

Number = int | float
TYPES = ("null", "boolean", "number", "string", "array", "object")
_PROBES_MAX = 2_000


class Part:
    """A schema or a combination: Leaf, Every, Either or Given."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Leaf(Part):
    """A schema in its document."""

    schema: Json
    document: Document


@dataclass(frozen=True, slots=True, eq=False)
class Every(Part):
    """The values that fit all of the parts."""

    parts: Sequence[Part]


@dataclass(frozen=True, slots=True, eq=False)
class Either(Part):
    """The values that fit at least one of the parts."""

    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The constraints of numbers. A bound is a number and whether it is exclusive."""

    low: tuple[Number, bool] | None = None
    high: tuple[Number, bool] | None = None
    integer: bool = False
    multiples: tuple[Number, ...] = ()

    def both(self, other: "Numbers") -> "Numbers":
        lows = [bound for bound in (self.low, other.low) if bound is not None]
        highs = [bound for bound in (self.high, other.high) if bound is not None]
        return Numbers(
            max(lows, default=None),
            min(highs, key=lambda bound: (bound[0], not bound[1]), default=None),
            self.integer or other.integer,
            self.multiples + other.multiples,
        )


@dataclass(frozen=True, slots=True)
class Strings:
    """The constraints of strings. `asserted` are the `formats` that reject values."""

    least: int = 0
    most: int | None = None
    patterns: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    asserted: frozenset[str] = frozenset()

    def both(self, other: "Strings") -> "Strings":
        return Strings(
            max(self.least, other.least),
            least_of(self.most, other.most),
            self.patterns | other.patterns,
            self.formats | other.formats,
            self.asserted | other.asserted,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The constraints of one schema on items: the first ones, and all further ones."""

    first: Sequence[Part]
    rest: Part | None


@dataclass(frozen=True, slots=True)
class Arrays:
    rows: tuple[Row, ...] = ()
    least: int = 0
    most: int | None = None
    unique: bool = False
    contains: tuple[Json, ...] = ()

    def both(self, other: "Arrays") -> "Arrays":
        return Arrays(
            self.rows + other.rows,
            max(self.least, other.least),
            least_of(self.most, other.most),
            self.unique or other.unique,
            self.contains + other.contains,
        )

    @property
    def told(self) -> int:
        """Return the number of individually constrained items."""
        return max((len(row.first) for row in self.rows), default=0)

    def item(self, index: int) -> Part:
        found = [row.first[index] if index < len(row.first) else row.rest for row in self.rows]
        return every([part for part in found if part is not None])


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """The constraints of one schema on members; `rest` is None without one on others."""

    properties: Mapping[str, Part] = field(default_factory=dict)
    patterns: Mapping[str, Part] = field(default_factory=dict)
    rest: Part | None = None

    def member(self, name: str) -> list[Part]:
        found = [self.properties[name]] if name in self.properties else []
        found += [part for pattern, part in self.patterns.items() if matches(pattern, name)]
        return found or ([] if self.rest is None else [self.rest])


@dataclass(frozen=True, slots=True)
class Objects:
    """`names` are what each name fits, after what tells whether two of them are the same;
    `dependent` are pairs: with the first member there is the second.
    """

    rules: tuple[Rule, ...] = ()
    required: frozenset[str] = frozenset()
    least: int = 0
    most: int | None = None
    names: tuple[tuple[bytes, Part], ...] = ()
    dependent: frozenset[tuple[str, str]] = frozenset()

    def both(self, other: "Objects") -> "Objects":
        return Objects(
            self.rules + other.rules,
            self.required | other.required,
            max(self.least, other.least),
            least_of(self.most, other.most),
            self.names + other.names,
            self.dependent | other.dependent,
        )

    @property
    def told(self) -> dict[str, None]:
        """Return the members that are constrained by name, in order."""
        return dict.fromkeys(name for rule in self.rules for name in rule.properties)

    def member(self, name: str) -> Part:
        return every([part for rule in self.rules for part in rule.member(name)])

    def leaves_out(self, name: str) -> bool:
        """Return whether members are listed without this one, and no others are mentioned."""
        return any(rule.properties for rule in self.rules) and all(
            name not in rule.properties
            and not rule.patterns
            and (rule.rest is None or rule.rest is NOTHING)
            for rule in self.rules
        )


Facts = Numbers | Strings | Arrays | Objects


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Values of one type. `values` enumerates them, if limited; `said` is set for any constraint;
    `checks` are keywords for checking a constant.

    `by_nullable` marks the null of `nullable: true`, which is not part of JSON Schema.
    """

    type: str
    facts: Facts | None = None
    values: tuple[Json, ...] | None = None
    checks: tuple[bytes, ...] = ()
    opaque: str = ""
    said: bool = True
    by_nullable: bool = False

    def both(self, other: "Shape") -> "Shape | None":
        """Return the intersection with another shape; None if it is empty."""
        if self.type != other.type:
            return None
        values = self.values
        if values is None:
            values = other.values
        elif other.values is not None:
            others = set(map(value_key, other.values))
            values = tuple(value for value in values if value_key(value) in others)
            if not values:
                return None
        facts = self.facts
        if facts is None or other.facts is None:
            facts = facts or other.facts
        else:
            facts = facts.both(other.facts)  # type: ignore[arg-type]  # of the same type
        return Shape(
            self.type,
            facts,
            values,
            self.checks + other.checks,
            self.opaque or other.opaque,
            self.said or other.said,
            self.by_nullable or other.by_nullable,
        )

    def unclear(self, why: str) -> "Shape":
        return replace(self, opaque=self.opaque or why)


@dataclass(frozen=True, slots=True, eq=False)
class Given(Part):
    """The values of given shapes."""

    shapes: tuple[Shape, ...]


_EMPTY: Mapping[str, Facts] = {
    "number": Numbers(),
    "string": Strings(),
    "array": Arrays(),
    "object": Objects(),
}


def blank(type_: str, *, said: bool = True) -> Shape:
    """Return a shape of every value of a type."""
    values = {"null": (None,), "boolean": (False, True)}.get(type_)
    return Shape(type_, _EMPTY.get(type_), values, said=said)


ANYTHING = Given(tuple(blank(type_, said=False) for type_ in TYPES))
NOTHING = Given(())


def every(parts: Sequence[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    return Every(tuple(parts)) if parts else ANYTHING


def either(parts: Sequence[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    return Either(tuple(parts)) if parts else ANYTHING


def constant(value: Json) -> Part:
    """Return a part of exactly one value."""
    return Given((shape_of(value),))


def shape_of(value: Json) -> Shape:
    type_ = type_name(value)
    if type_ == "object":
        return object_of({str(name): constant(member) for name, member in value.items()})
    if type_ == "array":
        return array_of([constant(item) for item in value])
    shape = blank(type_)
    integer = type_ == "number" and float(value).is_integer()
    return replace(
        shape, facts=Numbers(integer=integer) if integer else shape.facts, values=(value,)
    )


def object_of(members: Mapping[str, Part], optional: frozenset[str] = frozenset()) -> Shape:
    """Return an object shape with these members; those in `optional` can be missing."""
    rule = Rule(members, {}, NOTHING)
    return Shape("object", Objects((rule,), frozenset(members) - optional))


def array_of(items: Sequence[Part]) -> Shape:
    return Shape("array", Arrays((Row(tuple(items), NOTHING),), len(items), len(items)))


def list_of(item: Part) -> Shape:
    """Return an array shape with any number of items."""
    return Shape("array", Arrays((Row((), item),)))


def type_name(value: Json) -> str:
    """Return the type of a value; integers are numbers."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


def value_key(value: Json) -> tuple[str, Json]:
    """Return a key that is equal for equal scalars of JSON."""
    return type_name(value), value


def least_of(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def matches(pattern: str, text: str) -> bool:
    return _validator(orjson.dumps({"pattern": pattern})).is_valid(text)


def held_by(shape: Shape) -> Callable[[Json], bool]:
    """Return a test whether a scalar is a value of the shape."""
    keys = None if shape.values is None else set(map(value_key, shape.values))
    checks = [_validator(check).is_valid for check in shape.checks]

    def holds(value: Json) -> bool:
        if type_name(value) != shape.type or (keys is not None and value_key(value) not in keys):
            return False
        return all(check(value) for check in checks)

    return holds


@lru_cache(maxsize=_PROBES_MAX)
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    return compiled(orjson.loads(schema))
