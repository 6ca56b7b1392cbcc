"""A JSON Schema as a document: its subschemas, their drafts, and targets of references.

References are resolved inside the document only, by pointer, by anchor and to embedded resources
with an `$id`. Nothing is fetched; published metaschemas are known by name.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from flowmesh.contract.json_value import Json

Path = tuple[str | int, ...]

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
BY_NAME = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
BY_INDEX = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
DIRECT = frozenset(
    {
        "items",
        "additionalItems",
        "additionalProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contains",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
    }
)
# The base of relative names in a document without a name.
_NAMELESS = "http://schema.invalid/"
_VOCABULARIES = {
    "2019-09": "core applicator validation meta-data format content",
    "2020-12": "core applicator unevaluated validation meta-data format-annotation "
    "format-assertion content",
}


class Draft(IntEnum):
    """The published drafts, in order."""

    DRAFT_4 = 4
    DRAFT_6 = 6
    DRAFT_7 = 7
    DRAFT_2019_09 = 2019
    DRAFT_2020_12 = 2020

    @property
    def refs_stand_alone(self) -> bool:
        """Return whether siblings of a `$ref` are ignored."""
        return self <= Draft.DRAFT_7

    def asserts(self, format_: str) -> bool:
        """Return whether the format is asserted, not just an annotation."""
        return _FORMATS.get(format_, self) < self <= Draft.DRAFT_7


# The draft before the first one that asserts a format; later drafts assert none.
_FORMATS = {
    **dict.fromkeys(("date", "time", "date-time", "email", "idn-email", "hostname"), 0),
    **dict.fromkeys(("ipv4", "ipv6", "uri", "regex"), 0),
    **dict.fromkeys(("uri-reference", "uri-template", "json-pointer"), 4),
    **dict.fromkeys(("idn-hostname", "iri", "iri-reference", "relative-json-pointer"), 6),
}
DEFAULT_DRAFT = Draft.DRAFT_2020_12
_DRAFTS = {
    "http://json-schema.org/draft-04/schema": Draft.DRAFT_4,
    "http://json-schema.org/draft-06/schema": Draft.DRAFT_6,
    "http://json-schema.org/draft-07/schema": Draft.DRAFT_7,
    "https://json-schema.org/draft/2019-09/schema": Draft.DRAFT_2019_09,
    "https://json-schema.org/draft/2020-12/schema": Draft.DRAFT_2020_12,
}
DRAFT_URIS = {draft: uri for uri, draft in _DRAFTS.items()}
DRAFT_NAMES = tuple(_DRAFTS)
_METASCHEMAS = frozenset(DRAFT_NAMES) | {
    f"https://json-schema.org/draft/{year}/meta/{name}"
    for year, names in _VOCABULARIES.items()
    for name in names.split()
}

METASCHEMA: Mapping[str, Json] = {}


def draft_named(uri: Json) -> Draft | None:
    """Return the published draft that `$schema` names, or None."""
    return _DRAFTS.get(uri.removesuffix("#")) if isinstance(uri, str) else None


@dataclass(frozen=True, slots=True)
class Place:
    """A subschema that is an object; `base` is the base of names in it."""

    schema: dict[str, Json]
    path: Path
    base: str
    draft: Draft


def places(schema: dict[str, Json], path: Path = ()) -> Iterator[Place]:
    """Yield every subschema that is an object, the schema itself first."""
    waiting = [(schema, path, _NAMELESS, DEFAULT_DRAFT)]
    while waiting:
        part, at, base, draft = waiting.pop()
        draft = draft_named(part.get("$schema")) or draft
        place = Place(part, at, _named(part, base, draft), draft)
        yield place
        waiting.extend(
            (child, (*at, *keys), place.base, draft)
            for keys, child in children(part)
            if isinstance(child, dict)
        )


def children(schema: dict[str, Json]) -> Iterator[tuple[Path, Json]]:
    """Yield the subschemas of a schema with their keys."""
    for keyword, value in schema.items():
        if keyword in BY_NAME and isinstance(value, dict):
            yield from (((keyword, name), child) for name, child in value.items())
        elif keyword in BY_INDEX and isinstance(value, list):
            yield from (((keyword, index), child) for index, child in enumerate(value))
        elif keyword in DIRECT:
            yield (keyword,), value


def _id_of(schema: dict[str, Json], draft: Draft) -> str:
    """Return the `$id` of a schema; empty beside a `$ref` of older drafts."""
    if draft.refs_stand_alone and "$ref" in schema:
        return ""
    name = schema.get("id" if draft is Draft.DRAFT_4 else "$id")
    return name if isinstance(name, str) else ""


def _named(schema: dict[str, Json], base: str, draft: Draft) -> str:
    name = urldefrag(_id_of(schema, draft)).url
    return _joined(base, name) if name else base


def _joined(base: str, reference: str) -> str:
    """Join like `urljoin`, which does not support names such as `urn:…`."""
    if reference.startswith("#"):
        return urldefrag(base).url + reference
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def _anchors(place: Place) -> Iterator[str]:
    for keyword in ("$anchor", "$dynamicAnchor"):
        name = place.schema.get(keyword)
        if isinstance(name, str):
            yield name
    fragment = urldefrag(_id_of(place.schema, place.draft)).fragment
    if place.draft.refs_stand_alone and fragment:
        yield fragment


class Document:
    """A schema whose references can be resolved."""

    def __init__(self, root: dict[str, Json], found: Iterable[Place] | None = None) -> None:
        self.root = root
        self._places: dict[int, Place] = {}
        self._resources: dict[str, dict[str, Json]] = {_NAMELESS: root}
        self._anchors: dict[tuple[str, str], dict[str, Json]] = {}
        self._dynamic: dict[str, list[Json]] = {}
        self.repeated: list[Place] = []
        """Subschemas with a duplicate name."""
        for place in found if found is not None else places(root):
            self._places[id(place.schema)] = place
            own = urldefrag(_id_of(place.schema, place.draft)).url
            named = [
                self._anchors.setdefault((place.base, n), place.schema) for n in _anchors(place)
            ]
            if own or place.schema is root:
                named.append(self._resources.setdefault(place.base, place.schema))
            if any(first is not place.schema for first in named):
                self.repeated.append(place)
            dynamic = place.schema.get("$dynamicAnchor")
            if isinstance(dynamic, str):
                self._dynamic.setdefault(f"#{dynamic}", []).append(place.schema)
            if place.schema.get("$recursiveAnchor") is True:
                self._dynamic.setdefault("$recursiveRef", []).append(place.schema)

    def draft(self, schema: dict[str, Json]) -> Draft:
        place = self._places.get(id(schema))
        return place.draft if place is not None else self._places[id(self.root)].draft

    def target(self, schema: dict[str, Json], reference: str) -> Json:
        """Return the target of a reference in `schema`; None outside the document.

        A published metaschema is `METASCHEMA`.
        """
        place = self._places.get(id(schema)) or self._places[id(self.root)]
        uri, fragment = urldefrag(_joined(place.base, reference))
        if uri in _METASCHEMAS and uri not in self._resources:
            return METASCHEMA
        resource = self._resources.get(uri)
        if resource is None:
            return None
        name = unquote(fragment)
        if name and not name.startswith("/"):
            return self._anchors.get((uri, name))
        found = _at_pointer(resource, name)
        return found if isinstance(found, dict | bool) else None

    def dynamic_targets(self, keyword: str, reference: str) -> list[Json]:
        """Return the further possible targets of a dynamic reference."""
        name = "$recursiveRef" if keyword == "$recursiveRef" else f"#{urlsplit(reference).fragment}"
        return self._dynamic.get(name, []) if keyword != "$ref" else []


def _at_pointer(value: Json, pointer: str) -> Json:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
