"""Differences of two applications: modules and routes, and the effect of each on a release."""

from dataclasses import dataclass

from flowmesh.apps.modules.openapi import served_routes
from flowmesh.apps.runtime.building import Built
from flowmesh.contract.json_value import Json


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `added`, `removed` or `changed`."""

    kind: str
    part: str
    name: str
    detail: str = ""


def compare(old: Built, new: Built) -> list[Change]:
    """Return the differences, modules first; values are left out, they may be secret."""
    before = {each.name: each for each in old.document.modules}
    after = {each.name: each for each in new.document.modules}
    found = [Change("removed", "module", n, before[n].type) for n in before if n not in after]
    found += [Change("added", "module", n, after[n].type) for n in after if n not in before]
    for name in before.keys() & after.keys():
        one, two = before[name], after[name]
        if one.type != two.type:
            found.append(Change("changed", "module", name, f"type {one.type} → {two.type}"))
            continue
        keys = sorted({*one.config, *two.config})
        changed = [key for key in keys if one.config.get(key) != two.config.get(key)]
        if changed:
            found.append(Change("changed", "module", name, f"config: {', '.join(changed)}"))
        if one.depends_on != two.depends_on:
            found.append(Change("changed", "module", name, "dependsOn"))
    return found + _routes(old, new)


def _routes(old: Built, new: Built) -> list[Change]:
    before, after = _by_place(old), _by_place(new)
    found = [Change("removed", "route", place) for place in before if place not in after]
    found += [Change("added", "route", place) for place in after if place not in before]
    found += [
        Change("changed", "route", place)
        for place in before
        if place in after and before[place] != after[place]
    ]
    return found


def _by_place(built: Built) -> dict[str, Json]:
    places: dict[str, Json] = {}
    for server in built.table.servers():
        for method, path, spec in served_routes(server):
            content = None
            if spec is not None:
                steps = spec.pipeline.steps if spec.pipeline is not None else ()
                content = (
                    spec.handler,
                    spec.middlewares,
                    spec.answer,
                    [(step.name, step.type, dict(step.config)) for step in steps],
                )
            places[f"{server.name} {method or 'any'} {path}"] = content
    return dict(sorted(places.items()))
