"""Refusals and reveals that wait for the audit log."""

import contextvars
import time

import pytest

from flowmesh.access import Principal, refusals
from flowmesh.access.principal import acting_as, is_forwarded
from flowmesh.access.refusals import REVEALED, Refusals
from flowmesh.errors import Forbidden
from flowmesh.telemetry.metrics import Metrics

ADA = Principal("usr_1", "user", "ada", namespaces={"a": 1})


def revealed(kept: Refusals, target: str) -> bool:
    with acting_as(ADA):
        return kept.note_reveal("X.Get", "a", target, lambda: "10.0.0.1")


def test_a_reveal_says_who_saw_what_and_when() -> None:
    """Read again within a minute it makes no further entry."""
    kept, before_us = Refusals(Metrics()), time.time_ns() // 1_000
    assert [revealed(kept, each) for each in ("exec-1", "exec-1", "exec-2")] == [True] * 3
    first, second = kept.take()
    assert (first.actor, first.method, first.namespace) == ("ada", "X.Get", "a")
    assert (first.reason, first.address, first.target) == (REVEALED, "10.0.0.1", "exec-1")
    assert before_us <= first.at_us <= second.at_us <= time.time_ns() // 1_000
    assert kept.take() == []


def test_nothing_is_revealed_that_cannot_be_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that the audit log refused stay queued in their order."""
    monkeypatch.setattr(refusals, "REVEALS_MAX", 2)
    kept = Refusals(Metrics())
    assert [revealed(kept, each) for each in ("1", "2", "3")] == [True, True, False]
    taken = kept.take()
    assert revealed(kept, "4")
    kept.keep_reveals(taken)
    assert [each.target for each in kept.take()] == ["1", "2", "4"]


def test_a_refusal_is_noted_once_with_its_time_and_place() -> None:
    """The place is the named namespace if the caller has a right there, or its only one."""
    kept, before_us = Refusals(Metrics()), time.time_ns() // 1_000
    error = Forbidden("ROLE_REQUIRED", "no")
    with acting_as(ADA):
        for method in ("X.Inner", "X.Outer"):
            kept.note(error, method, namespace="b")
    kept.note(Forbidden("ROLE_REQUIRED", "no"), "X.Get", namespace="a")
    first, second = kept.take()
    assert (first.actor, first.method, first.namespace) == ("ada", "X.Inner", "a")
    assert (second.actor, second.namespace) == ("anonymous", "")
    assert before_us <= first.at_us <= second.at_us <= time.time_ns() // 1_000


def test_calls_of_an_open_process_count_as_those_of_services() -> None:
    """Nothing was authenticated, so addresses that callers state are taken."""
    assert contextvars.Context().run(is_forwarded)
