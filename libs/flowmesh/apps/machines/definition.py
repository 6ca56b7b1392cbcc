"""Definitions of state machines, read from a workflow of the kind statemachine."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flowmesh.apps.catalog import nearest_names
from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.contract.json_value import Json
from flowmesh.expressions.conditions import compile_condition
from flowmesh.expressions.errors import ExpressionInvalid, RenderError

Condition = Callable[[Mapping[str, Json]], bool]

STATES_MAX = 1_000
ANY = "*"
_AFTER = duration("after", "Time in a state.")
_NAME = re.compile(r"(?<![\w.\"'\]])([A-Za-z_]\w*)")
_WORDS = frozenset({"true", "false", "null", "in", "has", "size", "string", "int", "double"})
_STATE_KEYS = ("description", "isFinal", "isError", "data", "timeout", "ui")
_TRANSITION_KEYS = (
    *("fromState", "toState", "condition", "autoTransform", "data", "description", "ui"),
)
_KEYS = ("name", "description", "initialState", "states", "transitions", "ui")


@dataclass(frozen=True, slots=True)
class State:
    """A state; `timeout_s` after its entry `timeout_transition` fires."""

    name: str
    final: bool = False
    error: bool = False
    data: Mapping[str, Json] = field(default_factory=dict)
    timeout_s: float = 0.0
    timeout_transition: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition; without sources it leads from every state that is not final."""

    name: str
    sources: frozenset[str]
    target: str
    automatic: bool = False
    condition: Condition | None = None
    data: Mapping[str, Json] = field(default_factory=dict)

    def leaves(self, state: State) -> bool:
        return state.name in self.sources if self.sources else not state.final


@dataclass(frozen=True, slots=True)
class Definition:
    """A state machine."""

    name: str
    initial: str
    states: Mapping[str, State]
    transitions: Mapping[str, Transition]

    def automatic(self, state: str, data: Mapping[str, Json]) -> Transition | None:
        """Return the first automatic transition out of a state whose condition holds."""
        found = self.states.get(state)
        if found is None:
            return None
        for each in self.transitions.values():
            if not each.automatic or not each.leaves(found):
                continue
            if each.condition is None or each.condition(data):
                return each
        return None


class DefinitionReader:
    """Reads definitions; everything that is wrong becomes a finding."""

    def __init__(self, findings: Findings, initial: str = "") -> None:
        self._findings = findings
        self._initial = initial

    def read(self, raw: Json, at: SourcePath) -> Definition | None:
        """Return a definition; None if it cannot be used at all."""
        if not isinstance(raw, dict) or not raw.get("name"):
            self._error("a definition is an object with a name and states", at)
            return None
        self._keys("a definition", raw, _KEYS, at)
        given = raw.get("states")
        if not isinstance(given, dict) or not given:
            self._error("states is an object of states by name", at / "states")
            return None
        if len(given) > STATES_MAX:
            self._error(f"a machine has at most {STATES_MAX} states", at / "states")
            return None
        states = {n: self._state(n, s or {}, at / "states" / n) for n, s in given.items()}
        transitions: dict[str, Transition] = {}
        listed = raw.get("transitions") or {}
        for name, each in listed.items() if isinstance(listed, dict) else ():
            made = self._transition(name, each, states, at / "transitions" / name)
            if made is not None:
                transitions[name] = made
        initial = str(raw.get("initialState") or self._initial or "")
        if initial not in states:
            near = nearest_names(initial, states)
            message = f"initialState names one of the states, not {initial!r}{near}"
            self._error(message, at / "initialState" if "initialState" in raw else at)
            return None
        definition = Definition(str(raw["name"]), initial, states, transitions)
        self._timeouts(definition, at)
        self._reachable(definition, at)
        return definition

    def _state(self, name: str, raw: Json, at: SourcePath) -> State:
        if not isinstance(raw, dict):
            self._error("a state is an object", at)
            return State(name)
        self._keys("a state", raw, _STATE_KEYS, at)
        timeout = raw.get("timeout")
        seconds, transition = 0.0, ""
        if timeout is not None:
            try:
                seconds = float(convert(_AFTER, timeout["after"]))
                transition = str(timeout["transition"])
            except (ValueMismatch, KeyError, TypeError):
                self._error("timeout is {after: duration, transition: name}", at / "timeout")
        data = raw.get("data")
        return State(
            name,
            final=raw.get("isFinal") is True,
            error=raw.get("isError") is True,
            data=data if isinstance(data, dict) else {},
            timeout_s=seconds,
            timeout_transition=transition,
        )

    def _transition(
        self, name: str, raw: Json, states: Mapping[str, State], at: SourcePath
    ) -> Transition | None:
        if not isinstance(raw, dict):
            self._error("a transition is an object with fromState and toState", at)
            return None
        self._keys("a transition", raw, _TRANSITION_KEYS, at)
        target = str(raw.get("toState") or "")
        source = raw.get("fromState")
        sources = [] if source in (ANY, [ANY]) else source if isinstance(source, list) else [source]
        unknown = [each for each in (target, *sources) if each not in states]
        if unknown:
            near = nearest_names(str(unknown[0]), states)
            self._error(f"there is no state {unknown[0]!r}{near}", at)
            return None
        condition = raw.get("condition")
        data = raw.get("data")
        return Transition(
            name,
            frozenset(map(str, sources)),
            target,
            automatic=raw.get("autoTransform") is True,
            condition=self._condition(condition, at / "condition") if condition else None,
            data=data if isinstance(data, dict) else {},
        )

    def _condition(self, text: Json, at: SourcePath) -> Condition | None:
        source = str(text)
        plain = re.sub(r"\"[^\"]*\"|'[^']*'", '""', source)
        roots = sorted({name for name in _NAME.findall(plain) if name not in _WORDS})
        try:
            condition = compile_condition(source, dialect="cel", roots=roots)
        except ExpressionInvalid as error:
            self._findings.error("EXPRESSION_INVALID", error.message, at)
            return None
        assert condition is not None

        def holds(data: Mapping[str, Json]) -> bool:
            scope = {name: data if name == "data" else data.get(name) for name in roots}
            try:
                return bool(condition.evaluate(scope))
            except RenderError as error:
                raise HttpProblem(422, "CONDITION_FAILED", error.message) from None

        return holds

    def _timeouts(self, definition: Definition, at: SourcePath) -> None:
        for state in definition.states.values():
            name = state.timeout_transition
            transition = definition.transitions.get(name)
            if name and (transition is None or not transition.leaves(state)):
                message = f"the timeout of {state.name} names no transition out of it: {name!r}"
                self._error(message, at / "states" / state.name / "timeout")

    def _reachable(self, definition: Definition, at: SourcePath) -> None:
        """Warn of states that nothing leads to, and of dead ends that are not final."""
        found, waiting = {definition.initial}, [definition.initial]
        while waiting:
            state = definition.states[waiting.pop()]
            targets = {t.target for t in definition.transitions.values() if t.leaves(state)}
            if not targets and not state.final:
                message = f"no transition leads out of {state.name}; mark it isFinal"
                self._findings.warn("STATE_DEAD_END", message, at / "states" / state.name)
            waiting += targets - found
            found |= targets
        for name in definition.states.keys() - found:
            message = f"no transition leads to the state {name}"
            self._findings.warn("STATE_UNREACHABLE", message, at / "states" / name)

    def _keys(
        self, what: str, raw: Mapping[str, Json], known: tuple[str, ...], at: SourcePath
    ) -> None:
        for key in raw:
            if key not in known:
                message = f"{what} has no key {key!r}{nearest_names(str(key), known)}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)

    def _error(self, message: str, at: SourcePath) -> None:
        self._findings.error("MACHINE_INVALID", message, at)
