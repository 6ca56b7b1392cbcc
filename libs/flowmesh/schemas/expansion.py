"""Expansion of schemas to shapes: keywords by draft, references, `allOf`, `anyOf`, `oneOf`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.schemas.documents import DRAFT_URIS, METASCHEMA, Document, Draft
from flowmesh.schemas.shapes import (
    ANYTHING,
    NOTHING,
    TYPES,
    Arrays,
    Either,
    Every,
    Facts,
    Given,
    Leaf,
    Numbers,
    Objects,
    Part,
    Row,
    Rule,
    Shape,
    Strings,
    blank,
    shape_of,
    type_name,
)

SHAPES_MAX = 48
DEPTH_MAX = 40
ONE_OF_MAX = 16
PATTERNS_MAX = 32
_TOO_MUCH = "a choice among too many alternatives"
# The first and the last draft of a keyword that not all drafts have.
_KNOWN: Mapping[str, tuple[int, int]] = {
    "const": (6, 9999),
    "contains": (6, 9999),
    "propertyNames": (6, 9999),
    "if": (7, 9999),
    "dependentRequired": (2019, 9999),
    "dependentSchemas": (2019, 9999),
    "minContains": (2019, 9999),
    "maxContains": (2019, 9999),
    "unevaluatedItems": (2019, 9999),
    "unevaluatedProperties": (2019, 9999),
    "$recursiveRef": (2019, 2019),
    "$dynamicRef": (2020, 9999),
    "prefixItems": (2020, 9999),
    "additionalItems": (4, 2019),
}
# Unsupported keywords by the types they constrain.
_OPAQUE: Mapping[str, tuple[str, ...]] = {
    "not": TYPES,
    "if": TYPES,
    "$dynamicRef": TYPES,
    "$recursiveRef": TYPES,
    "dependentSchemas": ("object",),
    "unevaluatedProperties": ("object",),
    "unevaluatedItems": ("array",),
}
_NUMBER_CHECKS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_STRING_CHECKS = ("minLength", "maxLength", "pattern", "format")
_SAYS = {
    "number": frozenset(_NUMBER_CHECKS),
    "string": frozenset(_STRING_CHECKS),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains")),
    "object": frozenset(
        (
            *("properties", "patternProperties", "additionalProperties", "required"),
            *("minProperties", "maxProperties", "propertyNames", "dependentRequired"),
        )
    ),
}
Disjoint = Callable[[Part, Part], bool]


class Expansion:
    """Expands each schema once. `disjoint` proves that two parts share no value."""

    def __init__(self, disjoint: Disjoint) -> None:
        self._disjoint = disjoint
        self._shapes: dict[tuple[int, int], tuple[Leaf, tuple[Shape, ...]]] = {}
        self._depth = 0
        # The number of expansions skipped for their depth.
        self._cuts = 0

    def shapes(self, part: Part) -> tuple[Shape, ...]:
        if isinstance(part, Given):
            return part.shapes
        if isinstance(part, Leaf):
            known = self._shapes.get((id(part.schema), id(part.document)))
            if known is not None:
                return known[1]
        if self._depth == DEPTH_MAX:
            self._cuts += 1
            return _unclear(ANYTHING.shapes, "references without end")
        self._depth += 1
        found = self._taken_apart(part)
        self._depth -= 1
        return found

    def _taken_apart(self, part: Part) -> tuple[Shape, ...]:
        if isinstance(part, Leaf):
            return self._leaf(part)
        if isinstance(part, Either):
            return _bounded([shape for each in part.parts for shape in self.shapes(each)])
        assert isinstance(part, Every)
        found: tuple[Shape, ...] = ANYTHING.shapes
        for each in part.parts:
            found = _product(found, self.shapes(each))
        return found

    def _leaf(self, leaf: Leaf) -> tuple[Shape, ...]:
        schema = leaf.schema
        if isinstance(schema, Part):
            return self.shapes(schema)
        if not isinstance(schema, dict):
            return () if schema is False else ANYTHING.shapes
        cuts = self._cuts
        found = self._schema(leaf)
        if cuts == self._cuts:
            # Keeps the schema alive, so that its id stays unique.
            self._shapes[id(schema), id(leaf.document)] = (leaf, found)
        return found

    def _schema(self, leaf: Leaf) -> tuple[Shape, ...]:
        document, draft = leaf.document, leaf.document.draft(leaf.schema)
        if "$ref" in leaf.schema and draft.refs_stand_alone:
            return self._reference(leaf, leaf.schema["$ref"])
        schema = _of_draft(leaf.schema, draft)
        found = _plain(schema, draft, document)
        for value in _constants(schema):
            found = _product(found, _union_of_constants(value))
        if "$ref" in schema:
            found = _product(found, self._reference(leaf, schema["$ref"]))
        for child in _list(schema, "allOf"):
            found = _product(found, self.shapes(Leaf(child, document)))
        for keyword in ("anyOf", "oneOf"):
            children = [Leaf(child, document) for child in _list(schema, keyword)]
            if children:
                union = self.shapes(Either(children))
                if keyword == "oneOf" and not self._apart(children):
                    union = _unclear(union, "oneOf whose alternatives may overlap")
                found = _product(found, union)
        return found

    def _reference(self, leaf: Leaf, reference: Json) -> tuple[Shape, ...]:
        target = None
        if isinstance(reference, str):
            target = leaf.document.target(leaf.schema, reference)
        if target is None or target is METASCHEMA:
            return _unclear(ANYTHING.shapes, "a reference to another document")
        return self.shapes(Leaf(target, leaf.document))

    def _apart(self, children: Sequence[Leaf]) -> bool:
        if len(children) > ONE_OF_MAX:
            return False
        return all(
            self._disjoint(one, other)
            for index, one in enumerate(children)
            for other in children[index + 1 :]
        )


def _of_draft(schema: dict[str, Json], draft: Draft) -> dict[str, Json]:
    """Return the schema without keywords that the draft does not have."""
    return {
        keyword: value
        for keyword, value in schema.items()
        if keyword not in _KNOWN or _KNOWN[keyword][0] <= draft <= _KNOWN[keyword][1]
    }


def _plain(schema: dict[str, Json], draft: Draft, document: Document) -> tuple[Shape, ...]:
    stated = schema.get("type")
    types = {stated} if isinstance(stated, str) else set(stated) if stated else None
    facts: dict[str, Facts] = {
        "number": _numbers(schema, types),
        "string": _strings(schema, draft),
        "array": _arrays(schema, draft, document),
        "object": _objects(schema, draft, document),
    }
    found = []
    for type_ in TYPES:
        if types is None or type_ in types or (type_ == "number" and "integer" in types):
            said = types is not None or not _SAYS.get(type_, frozenset()).isdisjoint(schema)
            shape = replace(
                blank(type_, said=said),
                facts=facts.get(type_),
                checks=_checks(schema, type_, types, draft),
                opaque=_opaque(schema, type_, draft),
            )
            found.append(shape)
        elif type_ == "null" and schema.get("nullable") is True:
            found.append(replace(blank(type_), by_nullable=True))
    return tuple(found)


def _opaque(schema: dict[str, Json], type_: str, draft: Draft) -> str:
    if type_ == "object" and len(schema.get("patternProperties", ())) > PATTERNS_MAX:
        return "patternProperties of so many patterns"
    for keyword, types in _OPAQUE.items():
        if keyword in schema and type_ in types:
            return keyword
    if type_ == "object" and "dependencies" in schema and not _are_names(schema["dependencies"]):
        return "dependencies"
    if type_ == "object" and "dependencies" in schema and draft > Draft.DRAFT_7:
        return "dependencies"
    if type_ == "string" and draft in (Draft.DRAFT_6, Draft.DRAFT_7):
        return next((k for k in ("contentEncoding", "contentMediaType") if k in schema), "")
    # In draft 4, 1.0 is not an integer.
    return "draft 4" if draft is Draft.DRAFT_4 and type_ == "number" else ""


def _are_names(dependencies: Json) -> bool:
    return isinstance(dependencies, dict) and all(
        isinstance(v, list) for v in dependencies.values()
    )


def _checks(
    schema: dict[str, Json], type_: str, types: set[str] | None, draft: Draft
) -> tuple[bytes, ...]:
    keywords = {"number": _NUMBER_CHECKS, "string": _STRING_CHECKS}.get(type_, ())
    check = {keyword: schema[keyword] for keyword in keywords if keyword in schema}
    if type_ == "number" and types is not None and "number" not in types:
        check["type"] = "integer"
    return (orjson.dumps({"$schema": DRAFT_URIS[draft], **check}),) if check else ()


def _numbers(schema: dict[str, Json], types: set[str] | None) -> Numbers:
    low, high = schema.get("minimum"), schema.get("maximum")
    found = Numbers(
        low=None if low is None else (low, schema.get("exclusiveMinimum") is True),
        high=None if high is None else (high, schema.get("exclusiveMaximum") is True),
        integer=types is not None and "number" not in types,
        multiples=(schema["multipleOf"],) if "multipleOf" in schema else (),
    )
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    return found.both(
        Numbers(
            low=None if low is None or isinstance(low, bool) else (low, True),
            high=None if high is None or isinstance(high, bool) else (high, True),
        )
    )


def _strings(schema: dict[str, Json], draft: Draft) -> Strings:
    formats = frozenset({schema["format"]} if "format" in schema else ())
    return Strings(
        least=int(schema.get("minLength", 0)),
        most=_whole(schema.get("maxLength")),
        patterns=frozenset({schema["pattern"]} if "pattern" in schema else ()),
        formats=formats,
        asserted=frozenset(filter(draft.asserts, formats)),
    )


def _arrays(schema: dict[str, Json], draft: Draft, document: Document) -> Arrays:
    def leaf(value: Json) -> Part | None:
        return None if value is None else Leaf(value, document)

    items = schema.get("items")
    first, rest = schema.get("prefixItems", []), items
    if isinstance(items, list):
        first, rest = items, schema.get("additionalItems")
    contains = [
        schema[name] for name in ("contains", "minContains", "maxContains") if name in schema
    ]
    row = Row(tuple(Leaf(item, document) for item in first), leaf(rest))
    return Arrays(
        (row,) if first or rest is not None else (),
        least=int(schema.get("minItems", 0)),
        most=_whole(schema.get("maxItems")),
        unique=schema.get("uniqueItems") is True,
        contains=(_identity(contains, draft, document),) if "contains" in schema else (),
    )


def _objects(schema: dict[str, Json], draft: Draft, document: Document) -> Objects:
    def leaves(keyword: str) -> dict[str, Part]:
        return {name: Leaf(child, document) for name, child in schema.get(keyword, {}).items()}

    rest, patterns = schema.get("additionalProperties"), leaves("patternProperties")
    if len(patterns) > PATTERNS_MAX:
        rest, patterns = None, {}
    rule = Rule(
        leaves("properties"),
        patterns,
        None if rest is None else NOTHING if rest is False else Leaf(rest, document),
    )
    dependent = schema.get("dependentRequired", {})
    if draft <= Draft.DRAFT_7 and _are_names(schema.get("dependencies")):
        dependent = schema["dependencies"]
    names = schema.get("propertyNames", True)
    return Objects(
        (rule,) if rule.properties or rule.patterns or rest is not None else (),
        required=frozenset(schema.get("required", ())),
        least=int(schema.get("minProperties", 0)),
        most=_whole(schema.get("maxProperties")),
        names=()
        if names is True
        else ((_identity(names, draft, document), Leaf(names, document)),),
        dependent=frozenset((one, two) for one, needs in dependent.items() for two in needs),
    )


def _identity(schema: Json, draft: Draft, document: Document) -> bytes:
    """Return a key that is equal only for equivalent schemas of a document."""
    text = orjson.dumps([draft, schema])
    return text + str(id(document)).encode() if b'"$' in text else text


def _constants(schema: dict[str, Json]) -> list[list[Json]]:
    found = [schema["enum"]] if isinstance(schema.get("enum"), list) else []
    return [*found, [schema["const"]]] if "const" in schema else found


def _union_of_constants(values: list[Json]) -> tuple[Shape, ...]:
    """Return one shape for each scalar type, and one for each object or array."""
    found: list[Shape] = []
    plain: dict[str, list[Json]] = {}
    for value in values:
        type_ = type_name(value)
        if type_ in ("object", "array"):
            found.append(shape_of(value))
        else:
            plain.setdefault(type_, []).append(value)
    for type_, several in plain.items():
        facts: Facts | None = blank(type_).facts
        if type_ == "number" and all(float(value).is_integer() for value in several):
            facts = Numbers(integer=True)
        found.append(Shape(type_, facts, tuple(several)))
    return _bounded(found)


def _product(ones: Sequence[Shape], others: Sequence[Shape]) -> tuple[Shape, ...]:
    found = [both for one in ones for other in others if (both := one.both(other)) is not None]
    if len(found) > SHAPES_MAX:
        return _unclear(ones, _TOO_MUCH)
    return tuple(found)


def _bounded(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    if len(shapes) <= SHAPES_MAX:
        return tuple(shapes)
    types = dict.fromkeys(shape.type for shape in shapes)
    return _unclear([blank(type_) for type_ in types], _TOO_MUCH)


def _unclear(shapes: Sequence[Shape], why: str) -> tuple[Shape, ...]:
    return tuple(shape.unclear(why) for shape in shapes)


def _list(schema: dict[str, Json], keyword: str) -> list[Json]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _whole(value: Json) -> int | None:
    return None if value is None else int(value)
