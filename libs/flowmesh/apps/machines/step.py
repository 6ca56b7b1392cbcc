"""The step of a state machine: a pure function from an instance and a transition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.machines.definition import Definition, State
from flowmesh.contract.json_value import Json

EffectKind = Literal["hook", "auto", "timeout"]

AUTOMATIC_IN_A_ROW_MAX = 100
OPEN = "(open)"


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance; `version` counts its changes, `automatic` the automatic ones in a row."""

    id: str
    workflow: str
    state: str
    version: int
    data: Mapping[str, Json]
    ended: bool
    created_at: float
    changed_at: float
    automatic: int = 0

    def document(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "workflow": self.workflow,
            "state": self.state,
            "version": self.version,
            "data": dict(self.data),
            "ended": self.ended,
            "createdAt": self.created_at,
            "changedAt": self.changed_at,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an instance; `cause` names the effect that made it, once."""

    version: int
    transition: str
    source: str
    target: str
    data: Mapping[str, Json]
    at: float
    cause: str = ""

    def document(self) -> dict[str, Json]:
        return {
            "version": self.version,
            "transition": self.transition,
            "fromState": self.source,
            "toState": self.target,
            "data": dict(self.data),
            "at": self.at,
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """Work after a change: a hook, or a transition that fires by itself."""

    kind: EffectKind
    name: str
    due_at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A change with the instance after it."""

    instance: Instance
    change: Change
    effects: Sequence[Effect] = ()


def opened(
    definition: Definition, id: str, data: Mapping[str, Json], now: float, hooks: Sequence[str] = ()
) -> Outcome:
    """Return a new instance in its initial state."""
    state = definition.states[definition.initial]
    merged = {**state.data, **data}
    instance = Instance(id, definition.name, state.name, 1, merged, state.final, now, now)
    change = Change(1, OPEN, "", state.name, data, now)
    return Outcome(instance, change, _effects(definition, instance, state, now, hooks))


def target_of(
    definition: Definition, instance: Instance, transition: str, data: Mapping[str, Json]
) -> State:
    """Return the state that a transition leads to. Raises HttpProblem if it is refused."""
    found = definition.transitions.get(transition)
    if found is None:
        known = ", ".join(definition.transitions) or "none"
        text = f"{definition.name} has no transition {transition[:80]!r}; known: {known}"
        raise HttpProblem(404, "TRANSITION_NOT_FOUND", text)
    state = definition.states.get(instance.state)
    if state is None or not found.leaves(state):
        left = [] if state is None else definition.transitions.values()
        possible = ", ".join(each.name for each in left if each.leaves(state)) if state else ""
        text = f"{transition} does not lead out of {instance.state}; possible: {possible or 'none'}"
        raise HttpProblem(409, "TRANSITION_REFUSED", text)
    if found.condition is not None and not found.condition({**instance.data, **data}):
        text = f"the condition of {transition} does not hold for {instance.id}"
        raise HttpProblem(409, "TRANSITION_REFUSED", text)
    return definition.states[found.target]


def fired(
    definition: Definition,
    instance: Instance,
    transition: str,
    data: Mapping[str, Json],
    now: float,
    *,
    hooks: Sequence[str] = (),
    automatic: bool = False,
    cause: str = "",
) -> Outcome:
    """Return the outcome of a transition. Raises HttpProblem if it is refused."""
    state = target_of(definition, instance, transition, data)
    merged = {**instance.data, **definition.transitions[transition].data, **state.data, **data}
    after = replace(
        instance,
        state=state.name,
        version=instance.version + 1,
        data=merged,
        ended=state.final,
        changed_at=now,
        automatic=instance.automatic + 1 if automatic else 0,
    )
    change = Change(after.version, transition, instance.state, state.name, data, now, cause)
    return Outcome(after, change, _effects(definition, after, state, now, hooks))


def _effects(
    definition: Definition, instance: Instance, state: State, now: float, hooks: Sequence[str]
) -> list[Effect]:
    found = [Effect("hook", name, now) for name in hooks]
    transition = definition.automatic(state.name, instance.data)
    if transition is not None:
        found.append(Effect("auto", transition.name, now))
    if state.timeout_s and not state.final:
        found.append(Effect("timeout", state.timeout_transition, now + state.timeout_s))
    return found
