"""Comparison of expected and actual values, as readable differences."""

from collections.abc import Iterator

from flowmesh.contract.json_value import Json
from flowmesh.jsontext import dump_json
from flowmesh.jsontext.places import Place, place_text

_SHOWN_MAX = 200
DIFFERENCES_MAX = 20


def shown(value: Json) -> str:
    """Return a value on one line, cut at the limit."""
    text = dump_json(value).decode()
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def differences(name: str, expected: Json, found: Json, *, subset: bool = False) -> list[str]:
    """Return all differences with their paths; with `subset` extra members are ignored."""
    differing = []
    for line in _differences(name, expected, found, subset):
        differing.append(line)
        if len(differing) == DIFFERENCES_MAX:
            differing.append("… and more")
            break
    return differing


def _differences(name: str, expected: Json, found: Json, subset: bool) -> Iterator[str]:
    waiting: list[tuple[Place, Json, Json]] = [(None, expected, found)]
    while waiting:
        place, expected, found = waiting.pop()
        if isinstance(expected, dict) and isinstance(found, dict):
            below = []
            for key in expected.keys() | (frozenset() if subset else found.keys()):
                if key not in found:
                    where = place_text((place, key), name)
                    yield f"{where}: expected {shown(expected[key])}, missing"
                elif key not in expected:
                    where = place_text((place, key), name)
                    yield f"{where}: not expected, is {shown(found[key])}"
                else:
                    below.append(key)
            below.sort(reverse=True)
            waiting += [((place, key), expected[key], found[key]) for key in below]
        elif isinstance(expected, list) and isinstance(found, list):
            if len(expected) != len(found):
                path = place_text(place, name)
                yield f"{path}: expected {len(expected)} items, found {len(found)}"
                yield f"{path}: expected {shown(expected)}, is {shown(found)}"
                continue
            pairs = list(zip(expected, found, strict=True))
            waiting += [((place, i), one, other) for i, (one, other) in enumerate(pairs)][::-1]
        elif not _equal(expected, found):
            yield f"{place_text(place, name)}: expected {shown(expected)}, is {shown(found)}"


def _equal(one: Json, other: Json) -> bool:
    """Return whether two values are equal: `1` equals `1.0`, neither equals `true`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
