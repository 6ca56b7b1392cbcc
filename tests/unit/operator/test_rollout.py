"""Which colour gets the newest spec, and which one the traffic."""

import pytest

from flowmesh.operator.provisioning.rollout import Colour, Plan, State, plan

NEW, OLD = Colour("new", 2, ready=True), Colour("old", 2, ready=True)
IDLE = Colour("old", 0, ready=False)


def planned(state: State, active: str = "", now_s: float = 100) -> Plan:
    return plan(state, "new", active=active, keep_s=60, now_s=now_s)


@pytest.mark.parametrize(
    ("state", "active", "newest", "target"),
    [
        (State({}), "", "blue", "blue"),
        (State({}), "green", "green", "green"),
        (State({"blue": NEW}), "", "blue", "blue"),
        (State({"blue": OLD}, "blue"), "", "green", "green"),
        (State({"blue": OLD, "green": NEW}, "blue"), "", "green", "green"),
        (State({"blue": OLD, "green": NEW}, "green"), "", "green", "green"),
        # A pin is the rollback; the newest spec stays where it is.
        (State({"blue": OLD, "green": NEW}, "green"), "blue", "green", "blue"),
        (State({"blue": OLD, "green": NEW}, "blue"), "blue", "green", "blue"),
        # A new spec under a pin goes to the other colour.
        (State({"blue": OLD}, "blue"), "blue", "green", "blue"),
        # An older spec that is kept takes over at once.
        (State({"blue": NEW, "green": OLD}, "green"), "", "blue", "blue"),
        (State({"blue": NEW}, "blue"), "green", "green", "green"),
    ],
)
def test_the_newest_spec_and_the_traffic(
    state: State, active: str, newest: str, target: str
) -> None:
    """A pin decides about the traffic only."""
    found = planned(state, active)
    assert (found.newest, found.target) == (newest, target)


def test_the_old_colour_keeps_its_pods_for_a_time() -> None:
    """Counted from the switch; and what has none is left alone."""
    state = State({"blue": OLD, "green": NEW}, "green", switched_s=50)
    assert planned(state, now_s=100).idle == ""
    assert planned(state, now_s=111).idle == "blue"
    assert planned(state, "green", now_s=111).idle == "blue"
    state = State({"blue": IDLE, "green": NEW}, "green", switched_s=50)
    assert planned(state, now_s=111).idle == ""


def test_a_colour_that_is_wanted_keeps_its_pods() -> None:
    """As the newest spec beside a pin."""
    state = State({"blue": OLD, "green": NEW}, "blue", switched_s=50)
    assert planned(state, "blue", now_s=1_000).idle == ""
