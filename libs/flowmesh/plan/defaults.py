"""Defaults of a JSON Schema: values of absent members of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from flowmesh.plan.schemas import SchemaProblem, path_of


@dataclass(frozen=True, slots=True)
class Default:
    """The default of a member, if it `has` one, and those of its own members."""

    has: bool
    value: Any
    members: Mapping[str, Default]


def defaults_of(source: bytes) -> Mapping[str, Default]:
    """Return the defaults in the `properties` of a schema, by name, and in objects inside them.

    Those elsewhere, as in choices, items and behind references, are annotations.
    """
    return _members(orjson.loads(source)) if b'"default"' in source else {}


def misfits(
    defaults: Mapping[str, Default],
    problems: Callable[[Any], Iterable[SchemaProblem]],
    above: tuple[str, ...] = (),
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of each default that its schema refuses, with the reason.

    `problems` returns those of a value of the whole schema.
    """
    for name, default in defaults.items():
        path = (*above, name)
        if default.has and (reason := _misfit(path, default.value, problems)):
            yield path, reason
        yield from misfits(default.members, problems, path)


def _misfit(
    path: tuple[str, ...], value: Any, problems: Callable[[Any], Iterable[SchemaProblem]]
) -> str:
    whole, place = value, path_of(path)
    for name in reversed(path):
        whole = {name: whole}
    inside = (f"{place}.", f"{place}[")
    found = (each for each in problems(whole) if f"{each.path}.".startswith(inside))
    return next((each.message for each in found), "")


def without(defaults: Mapping[str, Default], path: tuple[str, ...]) -> Mapping[str, Default]:
    """Return the defaults without the one at a path."""
    name, *below = path
    found = defaults[name]
    if below:
        return {**defaults, name: replace(found, members=without(found.members, tuple(below)))}
    return {**defaults, name: replace(found, has=False, value=None)}


def with_defaults(value: Any, defaults: Mapping[str, Default]) -> Any:
    """Return the value with the defaults of absent members; it is not changed itself."""
    if not defaults or not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, default in defaults.items():
        if name in filled:
            filled[name] = with_defaults(filled[name], default.members)
        elif default.has:
            filled[name] = with_defaults(default.value, default.members)
    return filled


def _members(schema: Any) -> Mapping[str, Default]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    found = {}
    for name, part in properties.items():
        if isinstance(part, dict):
            default = Default("default" in part, part.get("default"), _members(part))
            if default.has or default.members:
                found[name] = default
    return found
