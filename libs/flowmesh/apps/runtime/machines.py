"""State machines of an application: definitions, hooks, trackers, links and their starts."""

from typing import Any

from flowmesh.apps.catalog import nearest_names
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, WorkflowSpec
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.machines.definition import Definition, DefinitionReader
from flowmesh.apps.machines.engine import Hook, HookEvent, MachineEngine, Next, names_of
from flowmesh.apps.messaging.messages import Message
from flowmesh.apps.runtime.receivers import Receive, receiver_of
from flowmesh.apps.wiring.ports import (
    BROKER,
    HOOK_STEP,
    MACHINE,
    MACHINE_HOOKS,
    MACHINE_LINKS,
    RESOURCE_MAPPINGS,
    WORKFLOW,
)
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json

_KEYS = ("engine", "definitions", "hooks", "resourceMappings", "name", "description")
_HOOK_KEYS = ("workflowType", "transitions", "fromStates", "toStates", "handler", "when", "name")


def add_machines(document: AppDocument, registry: ServiceRegistry) -> None:
    """Give the engines their definitions and hooks; problems become findings."""
    for workflow in document.workflows:
        if workflow.kind == "statemachine" and len(workflow.config) > 1:
            _Assembly(document, registry, workflow).add()
    engines = registry.of_modules(MACHINE)
    for module in document.modules:
        hooks = registry.get(MACHINE_HOOKS, module.name)
        for hook in hooks() if hooks is not None else ():
            for engine in engines.values():
                engine.add_hook(hook)
        links = registry.get(MACHINE_LINKS, module.name)
        for name, hook in links() if links is not None else ():
            if name in engines:
                engines[name].add_hook(hook)
            else:
                near = nearest_names(name, engines)
                message = f"there is no state machine {name!r}{near}"
                document.findings.error("SERVICE_UNKNOWN", message, module.at / "config" / "links")
    for name, engine in engines.items():
        _publish_events(document, registry, name, engine)


def _publish_events(
    document: AppDocument, registry: ServiceRegistry, name: str, engine: MachineEngine
) -> None:
    """Publish each change on the topic `<definition>.<state>`, where the engine has a broker."""
    module = document.module(name)
    broker = str((module.config if module is not None else {}).get("broker") or "")
    if not broker:
        return
    find = registry.later(BROKER, broker)

    async def run(event: HookEvent) -> None:
        topic = f"{event.workflow}.{event.target}"
        body = {"type": topic, "id": event.instance, **event.document(), "state": event.target}
        await find().publish(topic, body, key=event.instance, headers={"fm-key": event.key})

    engine.add_hook(Hook(name="events", run=run))


class _Assembly:
    """One workflow of the kind statemachine."""

    def __init__(
        self, document: AppDocument, registry: ServiceRegistry, workflow: WorkflowSpec
    ) -> None:
        self._document = document
        self._findings = document.findings
        self._registry = registry
        self._workflow = workflow
        self._config = workflow.config

    def add(self) -> None:
        at = self._workflow.at
        for key in self._config:
            if key not in _KEYS:
                message = f"a statemachine workflow has no key {key!r}{nearest_names(key, _KEYS)}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        name = str(self._config.get("engine") or "")
        engine: MachineEngine | None = self._registry.get(MACHINE, name)
        if engine is None:
            known = [m.name for m in self._document.modules if m.type == "statemachine.engine"]
            if name in known:
                # It could not be built, and has findings.
                return
            there = ", ".join(known) or "none"
            message = f"unknown state machine engine {name!r}; known: {there}"
            self._findings.error("SERVICE_UNKNOWN", message, at / "engine")
            return
        self._definitions(engine)
        self._hooks(engine)
        spec = self._document.module(engine.name)
        assert spec is not None
        start = MachineWorkflow(engine, self._prefixes(engine.name), self._id_keys(engine.name))
        for each in engine.definitions:
            self._registry.put(WORKFLOW, each, start.of(each))
        only = next(iter(engine.definitions), "")
        for each in ("statemachine", engine.name, str(self._config.get("name") or "")):
            if each and only and self._registry.get(WORKFLOW, each) is None:
                self._registry.put(WORKFLOW, each, start.of(""))

    def _definitions(self, engine: MachineEngine) -> None:
        spec = self._document.module(engine.name)
        initial = str((spec.config if spec is not None else {}).get("initial_state") or "")
        reader = DefinitionReader(self._findings, initial)
        listed = self._config.get("definitions")
        at = self._workflow.at / "definitions"
        if listed is not None and not isinstance(listed, list):
            self._findings.error("MACHINE_INVALID", "definitions is a list", at)
            return
        for index, raw in enumerate(listed or ()):
            found = reader.read(raw, at / index)
            if found is None:
                continue
            if found.name in engine.definitions:
                message = f"a definition {found.name!r} already exists"
                self._findings.error("APP_NAME_TAKEN", message, at / index)
                continue
            engine.add(found)

    def _hooks(self, engine: MachineEngine) -> None:
        listed = self._config.get("hooks")
        for index, raw in enumerate(listed if isinstance(listed, list) else ()):
            at = self._workflow.at / "hooks" / index
            if not isinstance(raw, dict) or not raw.get("handler"):
                self._findings.error("MACHINE_INVALID", "a hook needs a handler", at)
                continue
            for key in raw:
                if key not in _HOOK_KEYS:
                    message = f"a hook has no key {key!r}{nearest_names(str(key), _HOOK_KEYS)}"
                    self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
            self._hook(engine, raw, index, at)

    def _hook(
        self, engine: MachineEngine, raw: dict[str, Json], index: int, at: SourcePath
    ) -> None:
        handler, when = str(raw["handler"]), str(raw.get("when") or "after")
        if when not in ("after", "before"):
            message = f"when is after or before, not {when!r}"
            self._findings.error("MACHINE_INVALID", message, at / "when")
        workflow = str(raw.get("workflowType") or "")
        transitions, sources = names_of(raw.get("transitions")), names_of(raw.get("fromStates"))
        targets = names_of(raw.get("toStates"))
        self._check_names(engine.definitions, workflow, transitions, sources | targets, at)
        run = self._run_of(handler)
        if run is None:
            message = f"there is no handler {handler!r}; its hook fails"
            self._findings.warn("HANDLER_UNRESOLVED", message, at / "handler")
            run = _missing(handler)
        hook = Hook(
            name=f"{handler}#{index}",
            run=run,
            workflow=workflow,
            transitions=transitions,
            sources=sources,
            targets=targets,
            before=when == "before",
        )
        engine.add_hook(hook)

    def _check_names(
        self,
        definitions: dict[str, Definition],
        workflow: str,
        transitions: frozenset[str],
        states: frozenset[str],
        at: SourcePath,
    ) -> None:
        if workflow and workflow not in definitions:
            near = nearest_names(workflow, definitions)
            message = f"there is no definition {workflow!r}{near}; the hook never runs"
            self._findings.warn("MACHINE_INVALID", message, at / "workflowType")
            return
        known = [definitions[workflow]] if workflow else list(definitions.values())
        for name in sorted(transitions):
            if not any(name in each.transitions for each in known):
                message = f"there is no transition {name!r}; the hook does not run for it"
                self._findings.warn("MACHINE_INVALID", message, at / "transitions")
        for name in sorted(states):
            if not any(name in each.states for each in known):
                message = f"there is no state {name!r}; the hook does not run for it"
                self._findings.warn("MACHINE_INVALID", message, at)

    def _run_of(self, handler: str) -> Any:
        step = self._registry.get(HOOK_STEP, handler)
        if step is not None:
            return step
        receive = receiver_of(handler, self._registry)
        return None if receive is None else _hook_of(receive)

    def _prefixes(self, engine: str) -> dict[str, str]:
        """Return the prefix of instance ids by definition, as resources add it."""
        return {
            str(each.config.get("workflowType") or ""): str(each.config["instanceIDPrefix"])
            for each in self._document.modules
            if each.type == "api.handler"
            and each.config.get("workflowEngine") == engine
            and each.config.get("instanceIDPrefix")
        }

    def _id_keys(self, engine: str) -> list[str]:
        listed = self._config.get("resourceMappings")
        found = [
            str(each.get("instanceIDKey") or "id")
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, dict) and each.get("stateMachine") in (None, engine)
        ]
        for module in self._document.modules:
            mappings = self._registry.get(RESOURCE_MAPPINGS, module.name)
            for each in mappings.values() if mappings is not None else ():
                if each.get("stateMachine") == engine:
                    found.append(str(each.get("instanceIDKey") or "id"))
        return list(dict.fromkeys([*found, "instanceId", "id"]))


def _hook_of(receive: Receive) -> Any:
    """Return a hook of a receiver: the change is its message."""

    async def run(event: HookEvent) -> Next | None:
        topic = f"{event.workflow}.{event.target}"
        headers = {"fm-key": event.key}
        await receive(Message(topic, event.document(), event.key, event.instance, headers))
        return None

    return run


def _missing(name: str) -> Any:
    async def run(_event: HookEvent) -> Next | None:
        raise HttpProblem(501, "NOT_IMPLEMENTED", f"there is no handler {name!r}")

    return run


class MachineWorkflow:
    """Starts of machines by triggers: the action is a transition; an unknown instance is opened."""

    def __init__(
        self,
        engine: MachineEngine,
        prefixes: dict[str, str],
        id_keys: list[str],
        definition: str = "",
    ) -> None:
        self._engine = engine
        self._prefixes = prefixes
        self._id_keys = id_keys
        self._definition = definition

    def of(self, definition: str) -> "MachineWorkflow":
        return MachineWorkflow(self._engine, self._prefixes, self._id_keys, definition)

    async def start(self, action: str, data: dict[str, Json]) -> dict[str, Json]:
        """Fire the transition of an action. Raises HttpProblem.

        A transition that the initial state allows opens an instance that does not exist.
        """
        definitions = list(self._engine.definitions)
        name = self._definition or str(data.get("workflowType") or "")
        name = name or (definitions[0] if len(definitions) == 1 else "")
        id = next((str(data[key]) for key in self._id_keys if data.get(key)), "")
        if not id:
            text = f"the trigger payload lacks {' or '.join(self._id_keys)}, the instance id"
            raise HttpProblem(422, "INSTANCE_UNNAMED", text)
        instance, found = await self._instance(id, name)
        inner = data.get("data")
        values = inner if isinstance(inner, dict) else data
        if not found:
            self._check_opening(name, instance, action, values)
            await self._engine.open(workflow=name, instance=instance, data=values)
            values = {}
        if action:
            state = await self._engine.fire(
                workflow=name, instance=instance, transition=action, data=values
            )
        else:
            state = (await self._engine.get(instance)).state
        return {"instanceId": instance, "state": state}

    def _check_opening(self, name: str, instance: str, action: str, data: dict[str, Json]) -> None:
        definition = self._engine.definitions.get(name)
        if definition is None or not action or definition.automatic(definition.initial, data):
            return
        transition = definition.transitions.get(action)
        if transition is None or not transition.leaves(definition.states[definition.initial]):
            text = f"there is no instance {instance!r}, and {action} does not begin one"
            raise HttpProblem(404, "INSTANCE_NOT_FOUND", text)

    async def _instance(self, id: str, definition: str) -> tuple[str, bool]:
        """Return the instance id and whether it exists."""
        prefix = self._prefixes.get(definition, "")
        candidates = [id] if not prefix or id.startswith(prefix) else [prefix + id, id]
        for each in candidates:
            if await self._engine.store.get(each) is not None:
                return each, True
        return candidates[0], False
