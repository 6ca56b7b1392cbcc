"""The trace of a start belongs to the execution for as long as it lives."""

from flowmesh.engine import Start, State, Transition, decide, replay
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from tests.unit.engine.factories import NOW, json, node, plan

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_trace_of_the_start_survives_replay_and_snapshot() -> None:
    """In the live state, in one replayed from the history, in one restored; empty if not given."""
    for given in (TRACEPARENT, ""):
        of = plan(node("a"))
        state = State("exec-1", of)
        into = Transition(state)
        decide(state, Start(json(b"{}"), traceparent=given), NOW, into)
        states = (
            state,
            replay("exec-1", of, into.history.events),
            restore("exec-1", of, snapshot(state)),
        )
        assert [each.traceparent for each in states] == [given] * 3
