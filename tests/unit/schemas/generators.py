"""Schemas that have much in common, and values that are likely to fit them, out of a random."""

from collections.abc import Callable
from random import Random

from flowmesh.contract.json_value import Json

NAMES = ("a", "b", "c", "x-1")
OTHER_NAMES = ("z", "x-2")
TEXTS = ("", "a", "b", "ab", "abc", "x-1", "2020-01-01", "a@b.example", "1")
NUMBERS = (-1, 0, 1, 2, 3, 4, 6, 10, 0.5, 1.5, 2.0, 0.1, 0.3, 1e20)
PATTERNS = ("^a", "b$", "^x-", "^[0-9]+$", "")
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def schema(random: Random, depth: int = 3) -> Json:
    """A sound schema; its references lead to `$defs` of `document`."""
    roll = random.random()
    if roll < 0.05:
        return random.choice([True, False, {}, {}])
    if roll < 0.12:
        return {"$ref": random.choice(["#/$defs/one", "#/$defs/two"])} if depth < 3 else {}
    if roll < 0.2:
        return {"enum": [value(random, 1) for _ in range(random.randint(1, 4))]}
    if roll < 0.25:
        return {"const": value(random, 1)}
    if depth and roll < 0.45:
        return _combined(random, depth)
    found: dict[str, Json] = {}
    kinds = random.sample(("string", "number", "object", "array", "null", "boolean"), 2)
    for kind in kinds[: 1 if random.random() < 0.7 else 2]:
        found |= {"string": _string, "number": _number}.get(kind, _none)(random)
        if kind == "object" and depth:
            found |= _object(random, depth - 1)
        if kind == "array" and depth:
            found |= _array(random, depth - 1)
        if random.random() < 0.9:
            name = "integer" if kind == "number" and random.random() < 0.5 else kind
            found["type"] = name if "type" not in found else [found["type"], name]
    if isinstance(found.get("type"), str) and random.random() < 0.05:
        found["nullable"] = True
    return found


def document(random: Random) -> Json:
    """A schema with definitions, one of them recursive, sometimes of draft 7."""
    root = schema(random)
    if not isinstance(root, dict):
        return root
    one: Json = {
        "type": "object",
        "properties": {"a": schema(random, 1), "b": {"$ref": "#/$defs/one"}},
    }
    if random.random() < 0.5:
        one |= {"additionalProperties": False}
    root["$defs"] = {"one": one, "two": _string(random) | _number(random)}
    if random.random() < 0.2:
        root["$schema"] = DRAFT_7
    return root


def near(random: Random, given: Json) -> Json:
    """A schema that differs from the given one in a place or two, or in none."""
    if isinstance(given, bool) or random.random() < 0.05:
        return document(random)
    copy = _copied(given)
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3))):
        _mutate(random, copy)
    return copy


def _copied(given: Json) -> Json:
    if isinstance(given, dict):
        return {key: _copied(member) for key, member in given.items()}
    return [_copied(item) for item in given] if isinstance(given, list) else given


def _mutate(random: Random, root: dict[str, Json]) -> None:
    places = [root]
    for place in places:
        for key in (
            "properties",
            "patternProperties",
            *(["$defs"] if random.random() < 0.3 else []),
        ):
            places += [each for each in place.get(key, {}).values() if isinstance(each, dict)]
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            places += [each for each in place.get(key, []) if isinstance(each, dict)]
        for key in ("items", "additionalProperties", "not", "contains"):
            places += [place[key]] if isinstance(place.get(key), dict) else []
    place = random.choice(places)
    keys = [key for key in place if key not in ("$defs", "$schema")]
    roll = random.random()
    if roll < 0.3 and keys:
        del place[random.choice(keys)]
    elif roll < 0.75:
        kind = place.get("type")
        place |= _one_of(random, kind if isinstance(kind, str) else "")
    elif roll < 0.9:
        extra = schema(random, 1)
        kept = {key: place[key] for key in ("$defs", "$schema") if key in place}
        place |= (extra if isinstance(extra, dict) else {}) | kept
    elif isinstance(place.get("properties"), dict):
        place["required"] = random.sample(NAMES, random.randint(1, 2))


def _one_of(random: Random, kind: str) -> dict[str, Json]:
    """One more thing said of a type."""
    made: dict[str, Callable[[Random], Json]] = {
        "string": _string,
        "number": _number,
        "integer": _number,
        "object": lambda random: _object(random, 1),
        "array": lambda random: _array(random, 1),
    }
    several = made.get(kind, _none)(random)
    if kind == "number" and random.random() < 0.2:
        several["type"] = "integer"
    key = random.choice([*several, "not"])
    return {key: several.get(key, {"const": value(random, 0)})}


def _none(_random: Random) -> Json:
    return {}


def _some(random: Random, **choices: Json) -> Json:
    return {key: member for key, member in choices.items() if random.random() < 0.35}


def _string(random: Random) -> Json:
    return _some(
        random,
        minLength=random.randint(0, 2),
        maxLength=random.randint(1, 4),
        pattern=random.choice(PATTERNS),
        format=random.choice(("date", "email", "uuid")),
    )


def _number(random: Random) -> Json:
    return _some(
        random,
        minimum=random.choice(NUMBERS),
        maximum=random.choice(NUMBERS),
        exclusiveMinimum=random.choice(NUMBERS),
        exclusiveMaximum=random.choice(NUMBERS),
        multipleOf=random.choice((1, 2, 3, 4, 0.5, 0.1)),
    )


def _object(random: Random, depth: int) -> Json:
    names = random.sample(NAMES, random.randint(1, 3))
    found = _some(
        random,
        required=random.sample(NAMES, random.randint(1, 2)),
        additionalProperties=random.choice((False, False, schema(random, 0))),
        patternProperties={"^x-": schema(random, 0)},
        minProperties=random.randint(0, 2),
        maxProperties=random.randint(0, 3),
    )
    if random.random() < 0.2:
        found["propertyNames"] = _string(random)
    if random.random() < 0.2:
        found["dependentRequired"] = {random.choice(NAMES): [random.choice(NAMES)]}
    if random.random() < 0.1:
        found["unevaluatedProperties"] = False
    return found | {"properties": {name: schema(random, depth) for name in names}}


def _array(random: Random, depth: int) -> Json:
    found = _some(
        random,
        items=schema(random, depth),
        minItems=random.randint(0, 2),
        maxItems=random.randint(0, 3),
        uniqueItems=True,
        prefixItems=[schema(random, depth) for _ in range(random.randint(1, 2))],
    )
    if random.random() < 0.1:
        found["contains"] = schema(random, 0)
    return found


def _combined(random: Random, depth: int) -> Json:
    keyword = random.choice(("anyOf", "oneOf", "allOf", "oneOf", "not", "if"))
    if keyword in ("not", "if"):
        return {keyword: schema(random, 0), "then": schema(random, 0), "type": "string"}
    children = [schema(random, depth - 1) for _ in range(random.randint(1, 3))]
    beside = schema(random, 0) if random.random() < 0.2 else {}
    return {keyword: children} | (beside if isinstance(beside, dict) else {})


def value(random: Random, depth: int = 3) -> Json:
    """Any value."""
    roll = random.random()
    if depth and roll < 0.2:
        return {
            name: value(random, depth - 1) for name in random.sample(NAMES, random.randint(0, 3))
        }
    if depth and roll < 0.35:
        return [value(random, depth - 1) for _ in range(random.randint(0, 3))]
    if roll < 0.6:
        return random.choice(TEXTS)
    return random.choice(NUMBERS) if roll < 0.85 else random.choice((None, True, False))


def fitting(random: Random, given: Json, root: Json, depth: int = 5) -> Json:
    """A value that has a good chance to fit a schema."""
    if not isinstance(given, dict) or depth == 0 or random.random() < 0.05:
        return value(random, 2)
    if "$ref" in given:
        name = given["$ref"].rpartition("/")[2]
        return fitting(random, root.get("$defs", {}).get(name, {}), root, depth - 1)
    if "const" in given:
        return given["const"]
    if "enum" in given:
        return random.choice(given["enum"])
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in given:
            return fitting(random, random.choice(given[keyword]), root, depth - 1)
    kinds = given.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if not kinds:
        kinds = [("object" if "properties" in given else "string"), "array", "number"]
    kind = random.choice(kinds)
    if kind == "object":
        return _fitting_object(random, given, root, depth)
    if kind == "array":
        first = given.get("prefixItems", [])
        count = random.randint(given.get("minItems", 0), 3)
        items = [*first[:count], *([given.get("items", {})] * (count - len(first)))]
        found = [fitting(random, item, root, depth - 1) for item in items]
        return [found[0], *found] if found and random.random() < 0.2 else found
    if kind == "string":
        return random.choice(TEXTS)
    if kind in ("number", "integer"):
        low, high = given.get("minimum", -2), given.get("maximum", 1e21)
        inside = [each for each in (*NUMBERS, 8, 9, 12) if low <= each <= high]
        return random.choice(inside or NUMBERS)
    return None if kind == "null" else random.choice((True, False))


def _fitting_object(random: Random, given: Json, root: Json, depth: int) -> Json:
    listed = given.get("properties", {})
    names = [
        *given.get("required", []),
        *(n for n in NAMES if n in listed and random.random() < 0.6),
    ]
    if random.random() < 0.3:
        names.append(random.choice((*NAMES, *OTHER_NAMES)))
    rest = given.get("additionalProperties", {})
    return {name: fitting(random, listed.get(name, rest), root, depth - 1) for name in names}
