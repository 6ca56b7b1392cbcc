"""Flows: modules `step.*` that `dependsOn`, branches and routes connect, as pipelines.

A flow begins behind the module that its first step depends on, or with the first step itself.
Branches lead to the modules that they name; every other step leads to those that depend on it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from flowmesh.apps.catalog import nearest_names
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.limits import STEPS_MAX
from flowmesh.apps.document.model import (
    FlowSpec,
    ModuleSpec,
    PipelineSpec,
    RouteSpec,
    StepSpec,
    TriggerSpec,
    WorkflowSpec,
)
from flowmesh.contract.json_value import Json

BRANCH = "step.conditional"
# The step that calls a module of another type; documents cannot name it.
CALL = "step.module"
CALLED = frozenset(
    {
        *("http.handler", "data.transformer", "dynamic.component", "statemachine.engine"),
        *("webhook.sender", "notification.slack", "messaging.broker", "messaging.nats"),
        *("messaging.kafka", "messaging.broker.eventbus", "eventbus.modular"),
    }
)
_CASE = re.compile(r"case-(\d+)\Z")
_ROOT = re.compile(r"(?<![\w.\"'\]])([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+(?![\w(])")
_OWN_ROOTS = frozenset({"request", "steps", "trigger", "meta", "data", "current", "response"})


def is_step(module: ModuleSpec) -> bool:
    return module.type.startswith("step.")


def _begins(module: ModuleSpec) -> bool:
    """Return whether a module of another type has requests or messages that begin a flow."""
    return "Handler" in module.descriptor.offers and not is_step(module)


def names_in(
    workflows: Iterable[WorkflowSpec],
    triggers: Iterable[TriggerSpec],
    routes: Iterable[RouteSpec],
    modules: Iterable[ModuleSpec],
) -> frozenset[str]:
    """Return the texts of all parts that may name a step."""
    parts: list[Json] = [each.config for each in workflows]
    parts += [each.config for each in triggers]
    parts += [route.handler for route in routes]
    parts += [s.config for route in routes if route.pipeline for s in route.pipeline.steps]
    parts += [each.config for each in modules if not is_step(each)]
    return frozenset(texts_in(parts))


def texts_in(value: Json) -> Iterator[str]:
    """Yield all texts of a value, without keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)


class FlowReader:
    """Finds the flows in the modules of one application."""

    def __init__(self, modules: Sequence[ModuleSpec], findings: Findings) -> None:
        self._modules = {each.name: each for each in modules}
        self._findings = findings
        self._after: dict[str, list[ModuleSpec]] = {}
        for module in modules:
            for name in module.depends_on:
                self._after.setdefault(name, []).append(module)
        self._routes = {e.name: self._branches(e) for e in modules if e.type == BRANCH}

    def flows(self, named: frozenset[str]) -> Iterator[FlowSpec]:
        """Yield the flows that a module, a request, a message or a job begins."""
        steps = [each for each in self._modules.values() if is_step(each)]
        within = self._reached([each.name for each in steps])
        inner = {following for name in within for following in self._next(name)}
        for module in self._modules.values():
            if is_step(module):
                begun = module.name not in inner and not self._entered(module)
                if begun or module.name in named:
                    yield from self._flow(module, [module.name])
            elif module.name not in inner and _begins(module):
                first = [each.name for each in self._after.get(module.name, ()) if is_step(each)]
                if first:
                    yield from self._flow(module, first)

    def _entered(self, module: ModuleSpec) -> bool:
        """Return whether a flow of another module leads to a step."""
        before = [self._modules[name] for name in module.depends_on if name in self._modules]
        return any(is_step(each) or _begins(each) for each in before)

    def _flow(self, entry: ModuleSpec, first: Sequence[str]) -> Iterator[FlowSpec]:
        reached = self._reached(first)
        if len(reached) > STEPS_MAX:
            message = f"a flow has at most {STEPS_MAX} modules, not {len(reached)}"
            self._findings.error("APP_TOO_LARGE", message, entry.at)
            return
        leading: dict[str, list[str]] = {name: [] for name in reached}
        for name in reached:
            for following in self._next(name):
                leading[following].append(name)
        order = self._ordered(leading)
        if order is None:
            return
        steps = tuple(
            self._step(self._modules[name], () if name in first else leading[name])
            for name in order
        )
        pipeline = PipelineSpec(name=entry.name, steps=steps, at=entry.at)
        expressions = [str(s.config.get("expression") or "") for s in steps if s.type == BRANCH]
        roots = dict.fromkeys(root for text in expressions for root in _ROOT.findall(text))
        yield FlowSpec(
            entry=entry.name,
            pipeline=pipeline,
            roots=tuple(each for each in roots if each not in _OWN_ROOTS),
        )

    def _step(self, module: ModuleSpec, leading: Sequence[str]) -> StepSpec:
        config: dict[str, Json] = dict(module.config)
        kind = module.type
        if module.type == BRANCH:
            config |= {"routes": self._routes[module.name], "in_flow": True}
        elif not is_step(module):
            config = {"module": module.name, "ends": not self._next(module.name)}
            kind = CALL
        branches = tuple(each for each in leading if module.name in self._targets(each))
        return StepSpec(
            name=module.name,
            type=kind,
            config=config,
            at=module.at,
            after=tuple(each for each in leading if each not in branches),
            branch_of=branches,
        )

    def _reached(self, first: Sequence[str]) -> list[str]:
        """Return the modules of a flow in document order."""
        seen: set[str] = set()
        waiting = list(first)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += self._next(name)
        return [name for name in self._modules if name in seen]

    def _next(self, name: str) -> list[str]:
        """Return the modules that a module of a flow leads to."""
        dependent = [
            each.name
            for each in self._after.get(name, ())
            if (is_step(each) or each.type in CALLED) and each.name != name
        ]
        following = dict.fromkeys((*self._targets(name), *dependent))
        return [each for each in following if each in self._modules]

    def _targets(self, name: str) -> tuple[str, ...]:
        """Return the modules that a branching step chooses from."""
        routes = self._routes.get(name)
        if routes is None:
            return ()
        return (*routes.values(), str(self._modules[name].config.get("default") or ""))

    def _ordered(self, leading: Mapping[str, Sequence[str]]) -> list[str] | None:
        """Return the modules each after those that lead to it; None and a finding for a cycle."""
        left = {name: set(each) for name, each in leading.items()}
        order: list[str] = []
        while left:
            ready = next((name for name, before in left.items() if not before & left.keys()), None)
            if ready is None:
                self._report_cycle(left)
                return None
            order.append(ready)
            del left[ready]
        return order

    def _report_cycle(self, left: Mapping[str, set[str]]) -> None:
        path = [next(iter(left))]
        while path.count(path[-1]) == 1:
            path.append(next(name for name in left if name in left[path[-1]]))
        cycle = path[path.index(path[-1]) :][::-1]
        message = f"the modules lead to each other in a cycle: {' → '.join(cycle)}"
        self._findings.error("WIRING_CYCLE", message, self._modules[cycle[0]].at)

    def _branches(self, module: ModuleSpec) -> dict[str, str]:
        """Return the modules by value, out of the routes and the branches of a module."""
        at = module.at / "config" / "routes"
        routes = {
            _key(value): str(name)
            for value, name in (module.config.get("routes") or {}).items()
            if self._check_target(str(name), at)
        }
        default = str(module.config.get("default") or "")
        if default:
            self._check_target(default, module.at / "config" / "default")
        for key, name in module.branches.items():
            here = module.at / "branches" / key
            value = self._case(module, key, here)
            if value is None or not self._check_target(name, here):
                continue
            if routes.setdefault(value, name) != name:
                message = f"routes lead {value!r} to {routes[value]}, and branches to {name}"
                self._findings.error("APP_CONFIG_INVALID", message, here)
        return routes

    def _case(self, module: ModuleSpec, key: str, at: SourcePath) -> str | None:
        """Return the value of a branch: `case-0` is the first of the cases."""
        found = _CASE.match(key)
        if found is None:
            return key
        cases = module.config.get("cases") or []
        if int(found[1]) >= len(cases):
            message = f"there is no case {found[1]}; cases has {len(cases)} values, from case-0"
            self._findings.error("APP_CONFIG_INVALID", message, at)
            return None
        return _key(cases[int(found[1])])

    def _check_target(self, name: str, at: SourcePath) -> bool:
        module = self._modules.get(name)
        if module is None:
            message = f"there is no module {name!r}{nearest_names(name, self._modules)}"
            self._findings.error("STEP_UNKNOWN", message, at)
        elif not is_step(module) and module.type not in CALLED:
            message = f"{name!r} is {module.type}, which a step cannot lead to"
            self._findings.error("SERVICE_KIND", message, at)
        else:
            return True
        return False


def _key(value: Json) -> str:
    return value if isinstance(value, str) else ("true" if value is True else str(value).lower())
