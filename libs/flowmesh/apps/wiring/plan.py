"""The plan of an application: partners of modules, and the order of their starts.

A reference takes a name. Without a name the partner is the only module that offers the kind, or
the nearest one in the chain of `dependsOn`; several candidates are an error with their names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flowmesh.apps.catalog import Need, nearest_names
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, ModuleSpec

# Modules are mounted on servers and routers after all are built, so these need no order.
_MOUNTS = frozenset({"Server", "Router"})
# Kinds whose absence changes nothing but the place of a mount.
_QUIET = frozenset({"Router"})


@dataclass(frozen=True, slots=True)
class Plan:
    """Partners by module and kind, and the levels of starts."""

    partners: Mapping[str, Mapping[str, str]]
    levels: tuple[tuple[str, ...], ...]

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(name for level in self.levels for name in level)


class Wiring:
    """Finds partners in one document."""

    def __init__(self, document: AppDocument) -> None:
        self._modules = {each.name: each for each in document.modules}
        self._findings = document.findings
        self._edges: dict[str, dict[str, None]] = {name: {} for name in self._modules}

    def plan(self) -> Plan:
        """Return the plan; report what cannot be resolved."""
        for module in self._modules.values():
            self._depends(module)
        partners = {name: self._partners(each) for name, each in self._modules.items()}
        return Plan(partners, self._levels())

    def resolve(self, kind: str, name: str, at: SourcePath, *, optional: bool = False) -> str:
        """Return the module that offers the kind under a name; report an unknown one."""
        base = name if name in self._modules else name.rpartition(".")[0]
        module = self._modules.get(base)
        if module is None:
            if not optional:
                self._unknown(kind, name, at)
            return ""
        offers = module.descriptor.offers
        if kind not in offers:
            what = ", ".join(offers) or "no service"
            message = f"{name!r} is {module.type}, which offers {what}, not {kind}"
            self._findings.error("SERVICE_KIND", message + self._candidates(kind), at)
            return ""
        return name

    def only(
        self, kind: str, module: ModuleSpec | None, at: SourcePath, *, optional: bool = True
    ) -> str:
        """Return the partner of a kind without a name; "" if there is none."""
        offering = [
            each.name
            for each in self._modules.values()
            if kind in each.descriptor.offers and each is not module
        ]
        if not offering:
            if not optional:
                subject = module.type if module else "this"
                message = f"{subject} needs a module that offers {kind}; there is none"
                self._findings.error("WIRING_MISSING", message, at)
            return ""
        if len(offering) == 1:
            return offering[0]
        if module is not None and (near := self._nearest(module, kind)):
            if len(near) == 1:
                return near[0]
            offering = near
        if kind in _QUIET:
            return ""
        message = f"several modules offer {kind}: {', '.join(offering)}; name one"
        self._findings.error("WIRING_AMBIGUOUS", message, at)
        return ""

    def _depends(self, module: ModuleSpec) -> None:
        for index, name in enumerate(module.depends_on):
            at = module.at / "dependsOn" / index
            if name == module.name:
                self._findings.error("WIRING_CYCLE", f"{name} depends on itself", at)
            elif name not in self._modules:
                near = nearest_names(name, self._modules)
                self._findings.error("SERVICE_UNKNOWN", f"there is no module {name!r}{near}", at)
            else:
                self._edges[module.name][name] = None

    def _partners(self, module: ModuleSpec) -> dict[str, str]:
        descriptor = module.descriptor
        found: dict[str, str] = {}
        needs = {need.key: need for need in descriptor.needs if need.key}
        for field in descriptor.fields:
            name = module.config.get(field.key)
            if not field.refers or not name or not isinstance(name, str):
                continue
            need = needs.get(field.key)
            at = module.at / "config" / field.key
            resolved = self.resolve(field.refers, name, at)
            if resolved:
                found[field.key] = resolved
                if need is not None:
                    found[need.kind] = resolved
                if not field.soft:
                    self._edge(module, field.refers, resolved)
        for need in descriptor.needs:
            if need.kind not in found and not (need.key and module.config.get(need.key)):
                self._find(module, need, found)
        return found

    def _find(self, module: ModuleSpec, need: Need, found: dict[str, str]) -> None:
        if need.kind == "Server" and "Router" in found:
            return
        partner = self.only(need.kind, module, module.at, optional=need.optional)
        if not partner:
            return
        if need.optional and need.kind not in _MOUNTS and self._reaches(partner, module.name):
            return
        found[need.kind] = partner
        self._edge(module, need.kind, partner)

    def _edge(self, module: ModuleSpec, kind: str, partner: str) -> None:
        base = partner if partner in self._modules else partner.rpartition(".")[0]
        if kind not in _MOUNTS and base != module.name:
            self._edges[module.name][base] = None

    def _nearest(self, module: ModuleSpec, kind: str) -> list[str]:
        """Return the modules of the kind that are nearest in the chain of `dependsOn`."""
        seen, level = {module.name}, list(module.depends_on)
        while level:
            known = [self._modules[name] for name in level if name in self._modules]
            found = [each.name for each in known if kind in each.descriptor.offers]
            if found:
                return list(dict.fromkeys(found))
            seen.update(level)
            level = [n for each in known for n in each.depends_on if n not in seen]
        return []

    def _reaches(self, start: str, target: str) -> bool:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name == target:
                return True
            if name not in seen:
                seen.add(name)
                waiting += self._edges.get(name, {})
        return False

    def _unknown(self, kind: str, name: str, at: SourcePath) -> None:
        near = nearest_names(name, self._modules)
        message = f"there is no module {name!r} that offers {kind}"
        self._findings.error("SERVICE_UNKNOWN", message + (near or self._candidates(kind)), at)

    def _candidates(self, kind: str) -> str:
        names = [n for n, m in self._modules.items() if kind in m.descriptor.offers]
        return f"; {kind} is offered by {', '.join(names)}" if names else ""

    def _levels(self) -> tuple[tuple[str, ...], ...]:
        """Return the modules in levels, each after its partners; ties in document order."""
        left = {name: set(edges) for name, edges in self._edges.items()}
        levels: list[tuple[str, ...]] = []
        while left:
            ready = tuple(name for name, edges in left.items() if not edges & left.keys())
            if not ready:
                self._report_cycle(left)
                return (*levels, tuple(left))
            levels.append(ready)
            for name in ready:
                del left[name]
        return tuple(levels)

    def _report_cycle(self, left: Mapping[str, set[str]]) -> None:
        path: list[str] = [next(iter(left))]
        while path.count(path[-1]) == 1:
            path.append(next(name for name in self._edges[path[-1]] if name in left))
        cycle = path[path.index(path[-1]) :]
        at = self._modules[cycle[0]].at
        message = f"modules depend on each other in a cycle: {' → '.join(cycle)}"
        self._findings.error("WIRING_CYCLE", message, at)
