"""The next step for an object of a cluster, and its status."""

from typing import Any

import pytest

from flowmesh.operator.kinds import DELETION_POLICY, FINALIZER
from flowmesh.operator.reconcile import Step, next_step
from flowmesh.operator.status import Outcome, is_same, status_of

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def an_object(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "w", "namespace": "n", "generation": 2, **metadata}}


def registered(found: dict[str, Any], reason: str = "Registered") -> dict[str, Any]:
    outcome = Outcome(reason == "Registered", reason, version=1, digest="d")
    return found | {"status": status_of(found, outcome, NOW)}


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (None, Step.NOTHING),
        (an_object(), Step.ADD_FINALIZER),
        (an_object(finalizers=[FINALIZER]), Step.REGISTER),
        (registered(an_object(finalizers=[FINALIZER])), Step.NOTHING),
        (registered(an_object(finalizers=[FINALIZER]), "Invalid"), Step.NOTHING),
        (registered(an_object(finalizers=[FINALIZER]), "Unavailable"), Step.REGISTER),
        (an_object(finalizers=[FINALIZER], deletionTimestamp=NOW), Step.UNREGISTER),
        (an_object(finalizers=["other"], deletionTimestamp=NOW), Step.NOTHING),
        (
            an_object(
                finalizers=[FINALIZER],
                deletionTimestamp=NOW,
                annotations={DELETION_POLICY: "retain"},
            ),
            Step.REMOVE_FINALIZER,
        ),
    ],
)
def test_what_is_missing_is_done_next(found: dict[str, Any] | None, step: Step) -> None:
    """The finalizer first: a kill after the registration must not leave an orphan."""
    assert next_step(found, resync=False) is step


def test_a_resync_compares_with_the_suite_again() -> None:
    """Somebody may have deleted the definition there."""
    found = registered(an_object(finalizers=[FINALIZER]))
    assert next_step(found, resync=True) is Step.REGISTER


def test_a_condition_keeps_its_time_while_its_status_is_the_same() -> None:
    """And the same status is not written again."""
    found = registered(an_object())
    again = status_of(found, Outcome(True, "Registered", version=1, digest="d"), LATER)
    assert again["conditions"][0]["lastTransitionTime"] == NOW
    assert is_same(found, again)
    failed = status_of(found, Outcome(False, "Invalid", "a problem"), LATER)
    assert failed["conditions"][0]["lastTransitionTime"] == LATER
    assert failed["version"] == 1
    assert not is_same(found, failed)
