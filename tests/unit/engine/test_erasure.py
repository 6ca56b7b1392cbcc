"""Search attributes, and the erasure of values."""

import pytest

from flowmesh.api.common.v1 import search_pb2
from flowmesh.engine import Cancel, Ended, Erase, SetAttributes, StillOpen
from flowmesh.engine.erasure import ERASED
from tests.unit.engine.factories import Run, node, plan


def amount(number: float) -> search_pb2.SearchValue:
    return search_pb2.SearchValue(name="attr.amount", number=number)


def test_attributes_change_by_events_and_a_repeat_changes_nothing() -> None:
    """Set, set again, removed; what has ended takes no more."""
    run = Run(plan(node("a")))
    run.do(SetAttributes((amount(1),), request_id="r"))
    run.do(SetAttributes((amount(2),), request_id="r"))
    assert run.state.search == {"attr.amount": 1.0}
    run.do(SetAttributes((), ("attr.amount",)))
    assert run.state.search == {}
    run.complete("a", b"1")
    with pytest.raises(Ended):
        run.do(SetAttributes((amount(3),)))


def test_only_what_has_ended_is_erased_and_its_end_stays() -> None:
    """Its status, its nodes and the class of its failure stay; its values do not."""
    run = Run(plan(node("a"), node("b", "a")), b'{"name":"Ada"}')
    run.complete("a", b'{"secret":1}')
    with pytest.raises(StillOpen):
        run.do(Erase("asked"))
    run.fail("b", "ClientError")
    status, ended_at = run.state.status, run.state.ended_at_us
    run.do(Erase("asked", "e", "ada"))
    run.do(Erase("again", "f", "bob"))
    state = run.state
    assert (state.status, state.ended_at_us) == (status, ended_at)
    assert state.erasure is not None
    assert (state.erasure.reason, state.erasure.actor) == ("asked", "ada")
    assert (state.input.data, state.output) == (b"null", None)
    assert state.failure is not None
    assert (getattr(state.failure, "class"), state.failure.message) == ("ClientError", ERASED)
    assert [one.output for one in state.scope.nodes.values()] == [None, None]
    with pytest.raises(Ended):
        run.do(Cancel("late"))
