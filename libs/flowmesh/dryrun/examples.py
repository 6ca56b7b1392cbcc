"""Deterministic example values of a JSON Schema: the outputs of tasks without a mock."""

from collections.abc import Mapping

from flowmesh.contract.json_value import Json
from flowmesh.dryrun.limits import EXAMPLE_DEPTH_MAX, EXAMPLE_ITEMS_MAX

_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_ORDER = ("object", "array", "string", "integer", "number", "boolean", "null")


def example_of(schema: Json) -> Json:
    """Return a value of the schema: its example, default or first choice, else a simple one.

    Patterns, `not` and conditions are ignored: validate the value if they matter.
    """
    return _Maker(schema).value(schema, 0)


class _Maker:
    def __init__(self, root: Json) -> None:
        self._root = root

    def value(self, schema: Json, depth: int) -> Json:
        if not isinstance(schema, Mapping) or depth > EXAMPLE_DEPTH_MAX:
            return None
        schema = self._whole(schema, depth)
        examples = schema.get("examples")
        if isinstance(examples, list) and examples:
            return examples[0]
        for keyword in ("example", "const", "default"):
            if keyword in schema:
                return schema[keyword]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[0]
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return _string(schema)
            case "integer":
                return int(_number(schema, 1))
            case "number":
                return _number(schema, 0.5)
            case "boolean":
                return True
        return None

    def _whole(self, schema: Mapping[str, Json], depth: int) -> dict[str, Json]:
        """Return the schema merged with its reference, all of `allOf` and each first choice."""
        found = dict(schema)
        parts: list[Json] = []
        reference = found.pop("$ref", None)
        if isinstance(reference, str):
            parts.append(self._at(reference))
        parts += found.pop("allOf", None) or []
        for keyword in ("oneOf", "anyOf"):
            parts += (found.pop(keyword, None) or [])[:1]
        for part in parts:
            if isinstance(part, Mapping) and depth < EXAMPLE_DEPTH_MAX:
                found = _joined(found, self._whole(part, depth + 1))
        return found

    def _at(self, reference: str) -> Json:
        value = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def _object(self, schema: Mapping[str, Json], depth: int) -> dict[str, Json]:
        declared = schema.get("properties")
        members = dict(declared) if isinstance(declared, Mapping) else {}
        required = [name for name in schema.get("required") or () if isinstance(name, str)]
        more = schema.get("additionalProperties")
        for name in required:
            members.setdefault(name, more if isinstance(more, Mapping) else {"type": "string"})
        # Only required members below half the depth, so that a recursive schema ends.
        if depth > EXAMPLE_DEPTH_MAX // 2:
            members = {name: members[name] for name in required}
        return {name: self.value(member, depth + 1) for name, member in members.items()}

    def _array(self, schema: Mapping[str, Json], depth: int) -> list[Json]:
        first = schema.get("prefixItems")
        prefix = list(first) if isinstance(first, list) else []
        least = schema.get("minItems")
        count = least if isinstance(least, int) else 0
        if "items" in schema and depth <= EXAMPLE_DEPTH_MAX // 2:
            count = max(count, len(prefix) + (not prefix))
        most = schema.get("maxItems")
        count = min(count, most if isinstance(most, int) else EXAMPLE_ITEMS_MAX, EXAMPLE_ITEMS_MAX)
        rest = schema.get("items")
        wanted = [*prefix, *[rest] * max(count - len(prefix), 0)]
        return [self.value(item, depth + 1) for item in wanted]


def _joined(one: dict[str, Json], other: Mapping[str, Json]) -> dict[str, Json]:
    """Merge two schemas; the first one wins where a keyword differs."""
    found = {**other, **one}
    for keyword in ("properties", "required"):
        mine, theirs = one.get(keyword), other.get(keyword)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            found[keyword] = {**theirs, **mine}
        elif isinstance(mine, list) and isinstance(theirs, list):
            found[keyword] = [*theirs, *mine]
    return found


def _type_of(schema: Mapping[str, Json]) -> str:
    given = schema.get("type")
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return next((name for name in _ORDER if name in given), "null")
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "null"


def _string(schema: Mapping[str, Json]) -> str:
    text = _FORMATS.get(str(schema.get("format")), "text")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        text += "x" * min(least - len(text), EXAMPLE_ITEMS_MAX)
    return text[:most] if isinstance(most, int) else text


def _number(schema: Mapping[str, Json], step: float) -> float:
    """Return the minimum if there is one, else 1 or the maximum if that is lower."""

    def bound(keyword: str) -> float | None:
        value = schema.get(keyword)
        return None if isinstance(value, bool) or not isinstance(value, int | float) else value

    below, above = bound("exclusiveMinimum"), bound("exclusiveMaximum")
    least = bound("minimum") if below is None else below + step
    most = bound("maximum") if above is None else above - step
    multiple = bound("multipleOf")
    found = least if least is not None else min(1, most) if most is not None else 1
    if multiple:
        found = -(-found // multiple) * multiple
    return found
