"""Reports on built applications: modules, partners, routes, order of starts."""

from collections.abc import Sequence

from flowmesh.apps.modules.openapi import served_routes
from flowmesh.apps.runtime.building import Built
from flowmesh.contract.json_value import Json

Rows = list[Sequence[str]]


def inspected(built: Built) -> dict[str, Json]:
    """Return everything as one document; configurations are left out, they may hold secrets."""
    return {
        "name": built.document.name,
        "modules": [
            {
                "name": each.name,
                "type": each.type,
                "runs": True,
                "dependsOn": list(each.depends_on),
                "partners": dict(built.plan.partners.get(each.name, {})),
            }
            for each in built.document.modules
        ],
        "order": [list(level) for level in built.plan.levels],
        "routes": [
            dict(zip(("server", "method", "path", "target", "middlewares"), row, strict=True))
            for row in _routes(built)
        ],
        "pipelines": [each.name for each in built.document.pipelines],
    }


def table_of(built: Built, view: str) -> tuple[Sequence[str], Rows]:
    """Return the header and the rows of a view."""
    if view == "routes":
        return ("SERVER", "METHOD", "PATH", "TARGET", "MIDDLEWARES"), _routes(built)
    if view == "order":
        levels = enumerate(built.plan.levels, 1)
        return ("LEVEL", "MODULES"), [(str(n), ", ".join(names)) for n, names in levels]
    if view == "deps":
        partners = built.plan.partners
        return ("MODULE", "DEPENDS ON", "PARTNERS"), [
            (
                each.name,
                ", ".join(each.depends_on),
                ", ".join(f"{kind}={name}" for kind, name in partners[each.name].items()),
            )
            for each in built.document.modules
        ]
    return ("MODULE", "TYPE"), [(each.name, each.type) for each in built.document.modules]


def _routes(built: Built) -> Rows:
    rows: Rows = []
    for server in built.table.servers():
        for method, path, spec in served_routes(server):
            target = "module"
            names = ""
            if spec is not None:
                names = ", ".join(spec.middlewares)
                target = spec.handler or ("trigger" if spec.start else "answer")
                if spec.pipeline is not None:
                    steps = ", ".join(step.name for step in spec.pipeline.steps)
                    target = f"pipeline: {steps}"
            rows.append((server.name, method or "any", path, target, names))
    return sorted(rows, key=tuple)


def mermaid(built: Built) -> str:
    """Return the partners of modules as a Mermaid drawing."""
    ids = {each.name: f"m{number}" for number, each in enumerate(built.document.modules)}
    lines = ["flowchart LR"]
    lines += [f'    {ids[m.name]}["{m.name}<br>{m.type}"]' for m in built.document.modules]
    for each in built.document.modules:
        others = dict.fromkeys([*each.depends_on, *built.plan.partners[each.name].values()])
        lines += [f"    {ids[each.name]} --> {ids[name]}" for name in others if name in ids]
    return "\n".join(lines)
