"""Blue and green: which colour gets the newest spec, which one the traffic. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

COLOURS: Final = ("blue", "green")


@dataclass(frozen=True, slots=True)
class Colour:
    """A Deployment as it is in the cluster."""

    release: str
    replicas: int
    ready: bool


@dataclass(frozen=True, slots=True)
class State:
    """The colours of an App that exist, and the one that has had the traffic since a time."""

    colours: Mapping[str, Colour]
    serving: str = ""
    switched_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`newest` has or gets the newest spec, `target` the traffic; `idle` gives its pods up."""

    newest: str
    target: str
    idle: str = ""


def plan(state: State, release: str, *, active: str, keep_s: float, now_s: float) -> Plan:
    """Return what a release of an App needs; `active` pins the traffic to a colour."""
    newest = _newest(state, release, active)
    # A colour that was never there gets the newest spec first.
    target = active if active in state.colours or active == newest else newest
    spare = _other(state.serving) if state.serving else ""
    if spare in (newest, target) or spare not in state.colours or target != state.serving:
        return Plan(newest, target)
    if not state.colours[spare].replicas:
        return Plan(newest, target)
    kept = now_s < state.switched_s + keep_s
    return Plan(newest, target, idle="" if kept else spare)


def _newest(state: State, release: str, active: str) -> str:
    """Return the colour that has a release, or else the one that has no traffic."""
    holders = [
        each for each in COLOURS if each in state.colours and state.colours[each].release == release
    ]
    if active and active not in state.colours:
        return active
    if state.serving in holders:
        return state.serving
    if holders:
        return holders[0]
    return _other(state.serving) if state.serving else active or COLOURS[0]


def _other(colour: str) -> str:
    return COLOURS[1] if colour == COLOURS[0] else COLOURS[0]
