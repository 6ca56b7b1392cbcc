"""Verdicts on pairs of schemas, keyword by keyword."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.schemas import Kind, Outcome, compatible

YES, NO, MAYBE = Outcome.COMPATIBLE, Outcome.INCOMPATIBLE, Outcome.UNKNOWN
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}


def closed(*required: str, **properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": closed("n", n=WHOLE, sons={"type": "array", "items": {"$ref": "#/$defs/tree"}})
    },
}
LOOSER_TREE = {
    "type": "object",
    "properties": {"n": NUMBER, "sons": {"type": "array", "items": {"$ref": "#"}}},
}
WRONG_TREE = {"type": "object", "properties": {"sons": {"type": "array", "items": TEXT}}}
CARD = closed("kind", "number", kind={"const": "card"}, number=TEXT)
CASH = closed("kind", kind={"const": "cash"})


@pytest.mark.parametrize(
    ("up", "down", "outcome"),
    [
        # types, constants, null
        (TEXT, TEXT, YES),
        (WHOLE, NUMBER, YES),
        (NUMBER, WHOLE, MAYBE),
        (TEXT, NUMBER, NO),
        ({"type": ["string", "null"]}, TEXT, MAYBE),
        (TEXT, {"type": ["string", "null"]}, YES),
        ({"const": 1.0}, WHOLE, YES),
        ({"enum": ["a", "b"]}, {"enum": ["b", "a", "c"]}, YES),
        ({"enum": ["a", "b"]}, {"enum": ["b", "c"]}, MAYBE),
        ({"enum": ["a", "b"]}, {"enum": ["c", 1]}, NO),
        ({"const": True}, {"const": 1}, NO),
        ({"const": {"a": [1]}}, closed("a", a={"type": "array", "items": WHOLE}), YES),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}, YES),
        ({"type": "string", "nullable": True}, TEXT, MAYBE),
        ({"type": "null"}, {"type": "string", "nullable": True}, MAYBE),
        # nothing said, nothing possible
        ({}, TEXT, MAYBE),
        (True, TEXT, MAYBE),
        (TEXT, {}, YES),
        (TEXT, True, YES),
        (TEXT, False, NO),
        (False, TEXT, YES),
        # numbers
        ({"type": "number", "minimum": 5}, {"type": "number", "minimum": 1}, YES),
        ({"type": "number", "minimum": 1}, {"type": "number", "exclusiveMinimum": 1}, MAYBE),
        ({"type": "integer", "exclusiveMinimum": 1}, {"type": "number", "minimum": 2}, YES),
        ({"type": "number", "maximum": 3}, {"type": "number", "minimum": 5}, NO),
        ({"type": "integer", "multipleOf": 6}, {"type": "integer", "multipleOf": 3}, YES),
        ({"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 6}, MAYBE),
        # strings
        ({"type": "string", "minLength": 3}, {"type": "string", "minLength": 1}, YES),
        ({"type": "string", "maxLength": 2}, {"type": "string", "minLength": 3}, NO),
        ({"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^a"}, YES),
        (TEXT, {"type": "string", "pattern": "^a"}, MAYBE),
        ({"enum": ["ab", "ac"]}, {"type": "string", "pattern": "^a"}, YES),
        (TEXT, {"type": "string", "format": "date"}, MAYBE),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}, YES),
        (
            {"type": "string", "format": "date"},
            {**DRAFT_7, "type": "string", "format": "date"},
            MAYBE,
        ),
        (
            {**DRAFT_7, "type": "string", "format": "date"},
            {**DRAFT_7, "type": "string", "format": "email"},
            NO,
        ),
        # objects
        (closed("a", a=TEXT), closed("a", a=TEXT, b=TEXT), YES),
        (closed(a=TEXT), closed("a", a=TEXT), MAYBE),
        (closed(a=TEXT), closed(a=NUMBER), NO),
        (closed("b", b=TEXT), closed("a", a=TEXT, b=TEXT), NO),
        ({"type": "object", "properties": {"b": TEXT}}, {"required": ["a"]}, NO),
        ({"type": "object"}, {"type": "object", "required": ["a"]}, MAYBE),
        (closed("a", "b", a=TEXT, b=TEXT), closed("a", a=TEXT), NO),
        ({"type": "object", "properties": {"a": TEXT}}, closed(a=TEXT), MAYBE),
        (
            {"type": "object", "additionalProperties": TEXT},
            {"type": "object", "additionalProperties": NUMBER},
            NO,
        ),
        (
            {"type": "object", "patternProperties": {"^x-": TEXT}, "additionalProperties": False},
            {"type": "object", "patternProperties": {"^x-": TEXT}, "additionalProperties": NUMBER},
            YES,
        ),
        (closed("a", a=TEXT), {"type": "object", "propertyNames": {"maxLength": 1}}, YES),
        (closed("a", a=TEXT), {"type": "object", "maxProperties": 1}, YES),
        (closed(a=TEXT, b=TEXT), {"type": "object", "dependentRequired": {"a": ["b"]}}, MAYBE),
        # arrays and tuples
        ({"type": "array", "items": WHOLE}, {"type": "array", "items": NUMBER}, YES),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": NUMBER}, NO),
        ({"type": "array"}, {"type": "array", "items": NUMBER}, MAYBE),
        ({"type": "array", "minItems": 1}, {"type": "array", "minItems": 2}, MAYBE),
        ({"type": "array", "minItems": 3}, {"type": "array", "maxItems": 2}, NO),
        (
            {"type": "array", "prefixItems": [TEXT, WHOLE], "items": False},
            {"type": "array", "prefixItems": [TEXT], "items": NUMBER},
            YES,
        ),
        (
            {**DRAFT_7, "type": "array", "items": [TEXT], "additionalItems": False},
            {"type": "array", "maxItems": 1, "items": TEXT},
            YES,
        ),
        ({"type": "array", "uniqueItems": True}, {"type": "array", "uniqueItems": True}, YES),
        ({"type": "array"}, {"type": "array", "uniqueItems": True}, MAYBE),
        # alternatives
        ({"anyOf": [TEXT, WHOLE]}, {"oneOf": [TEXT, NUMBER]}, YES),
        ({"anyOf": [TEXT, WHOLE]}, NUMBER, MAYBE),
        ({"anyOf": [TEXT, {"type": "null"}]}, NUMBER, NO),
        ({"oneOf": [CARD, CASH]}, {"oneOf": [CASH, CARD]}, YES),
        (CARD, {"oneOf": [CASH, CARD]}, YES),
        (CARD, {"oneOf": [CARD, {"type": "object"}]}, MAYBE),
        ({"allOf": [{"minimum": 1}, WHOLE]}, {"allOf": [NUMBER, {"minimum": 0}]}, YES),
        # references
        (TREE, TREE, YES),
        (TREE, LOOSER_TREE, YES),
        (LOOSER_TREE, TREE, MAYBE),
        (TREE, WRONG_TREE, NO),
        # what is not followed
        (TEXT, {"type": "string", "not": {"const": "a"}}, MAYBE),
        (NUMBER, {"type": "string", "not": {"const": "a"}}, NO),
        (TEXT, {"type": "string", "if": {"minLength": 1}, "then": {"pattern": "a"}}, MAYBE),
        ({"not": TEXT}, {"not": TEXT}, YES),
        ({"type": "string", "not": {"const": "a"}}, TEXT, YES),
    ],
)
def test_the_verdict(up: Json, down: Json, outcome: Outcome) -> None:
    """Compatible where each value fits, incompatible where a part never does, else unknown."""
    assert compatible(up, down).outcome is outcome


@pytest.mark.parametrize(
    ("up", "down", "kind", "path", "words"),
    [
        (
            closed("o", o=closed("l", l={"type": "array", "items": closed("t", t=TEXT)})),
            closed("o", o=closed("l", l={"type": "array", "items": closed("t", t=NUMBER)})),
            Kind.TYPE,
            ("o", "l", 0, "t"),
            ("string", "number"),
        ),
        (
            {"type": "integer", "maximum": 3},
            {"type": "number", "exclusiveMinimum": 5},
            Kind.TYPE,
            (),
            ("integer to 3", "number above 5"),
        ),
        (closed(a=TEXT), closed(b=TEXT), Kind.EXTRA, ("a",), ("string", "nothing")),
        (closed(a=TEXT), {"required": ["b"]}, Kind.MISSING, (), ("object", "object")),
        (closed(a=TEXT), {"required": ["a"]}, Kind.OPTIONAL, (), ("object", "object")),
        ({"enum": ["a", "b"]}, {"const": "b"}, Kind.RANGE, (), ('string "a" or "b"', 'string "b"')),
        ({}, TEXT, Kind.UNDECLARED, (), None),
        (TEXT, {"type": "string", "not": {}}, Kind.UNFOLLOWED, (), ("string", "string")),
    ],
)
def test_what_a_verdict_rests_on(
    up: Json, down: Json, kind: Kind, path: tuple[str | int, ...], words: tuple[str, str] | None
) -> None:
    """The kind, the way to it in the value, and what both sides have there."""
    found = [each for each in compatible(up, down).findings if each.kind is kind]
    assert found
    assert found[0].path == path
    if words is not None:
        assert (found[0].given, found[0].needed) == words


def test_all_conflicts_are_found_at_once() -> None:
    """Not only the first."""
    up = closed("a", "b", a=TEXT, b=TEXT)
    found = compatible(up, closed("a", "b", "c", a=NUMBER, b=WHOLE, c=TEXT)).findings
    assert {(each.kind, each.path) for each in found if each.conflict} == {
        (Kind.TYPE, ("a",)),
        (Kind.TYPE, ("b",)),
        (Kind.MISSING, ()),
    }


def test_what_is_too_large_is_unknown() -> None:
    """A hundred alternatives on both sides, and trees that grow out of each other."""
    many = {"anyOf": [closed("k", k={"const": [n]}) for n in range(100)]}
    assert compatible({**many, "title": "a"}, many).outcome is not NO
    names = "abcdefgh"
    deep: Json = {
        "$defs": {n: closed(**{m: {"$ref": f"#/$defs/{m}"} for m in names}) for n in names}
    }
    wide = {"$ref": "#/$defs/a", **deep}
    other = {"$ref": "#/$defs/h", "title": "b", **deep}
    assert compatible(wide, other).outcome in (YES, MAYBE)


def test_a_chain_of_references_is_no_recursion() -> None:
    """Nine hundred levels deep, it is unknown like all that is too large."""
    links = {f"a{n}": {"properties": {"x": {"$ref": f"#/$defs/a{n + 1}"}}} for n in range(900)}
    chain = {"$ref": "#/$defs/a0", "$defs": {**links, "a900": TEXT}}
    verdict = compatible(chain, {**chain, "title": "b"})
    assert verdict.outcome is MAYBE
    assert any("too large" in finding.text for finding in verdict.findings)
