"""Trace context: one string, handed on, never trusted as it comes."""

import pytest

from flowmesh.telemetry import child_traceparent, current_traceparent, trace
from flowmesh.telemetry.context import is_traceparent

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_child_keeps_the_trace_and_has_its_own_span() -> None:
    """The trace id and the flags stay, the span id is new."""
    child = child_traceparent(GIVEN)
    assert is_traceparent(child)
    assert (child[:35], child[53:]) == (GIVEN[:35], GIVEN[53:])
    assert child[36:52] != GIVEN[36:52]


@pytest.mark.parametrize(
    "given",
    ["", "nonsense", GIVEN.upper(), GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)],
)
def test_what_is_no_trace_context_starts_a_new_trace(given: str) -> None:
    """A header from outside that is not one is not passed on."""
    assert is_traceparent(child_traceparent(given))
    assert not is_traceparent(given)


def test_a_trace_ends_with_its_block() -> None:
    """Context does not leak into what follows."""
    with trace(GIVEN):
        assert current_traceparent() == GIVEN
    assert current_traceparent() == ""
