"""Permission checks: one per kind of task; an undecided task does not run."""

import sys
from types import ModuleType
from typing import Any

import pytest

from flowmesh.orchestrator.dispatch.permission_check import PermissionCheck
from flowmesh.policies import PermissionRequest, load
from tests.unit.engine.factories import Run, each, node, plan

NEEDED = ("pay", "read")


class Remembers:
    """Denies a type of task, and keeps what it was asked."""

    def __init__(self, denied: str = "") -> None:
        self.asked: list[PermissionRequest] = []
        self._denied = denied

    def denies(self, asked: PermissionRequest) -> str:
        self.asked.append(asked)
        return "not today" if asked.task_type == self._denied else ""


def items() -> Run:
    run = Run(plan(each("m", [1, 2, 3], node("a", permissions=NEEDED), concurrency=3), node("b")))
    run.serve()
    return run


def test_a_kind_of_task_is_asked_about_once_in_an_execution() -> None:
    """However many such tasks there are; each kind and each execution is checked separately."""
    policy = Remembers()
    permission_check, run = PermissionCheck(policy), items()
    run.state.actor, run.state.permissions = "ann", ("pay",)
    for task in run.state.at_workers.values():
        assert permission_check.refusal(run.state, task) is None
    (of_items, of_b) = sorted(policy.asked, key=lambda one: len(one.needed), reverse=True)
    assert (of_items.needed, of_b.needed) == (NEEDED, ())
    assert (of_items.actor, of_items.permissions) == ("ann", ("pay",))
    permission_check.refusal(items().state, run.state.at_workers["b"])
    assert len(policy.asked) == 2
    other = items()
    other.state.execution_id = "exec-2"
    permission_check.refusal(other.state, other.state.at_workers["b"])
    assert len(policy.asked) == 3


def test_without_a_policy_declared_permissions_decide() -> None:
    """All of them; what is missing is named."""
    run, permission_check = items(), PermissionCheck(None)
    assert not permission_check.checks_every_task
    refused = permission_check.refusal(run.state, run.state.at_workers["m[0]/a"])
    assert refused is not None
    assert refused.failure is not None
    assert getattr(refused.failure, "class") == "PERMISSION_DENIED"
    assert refused.failure.message == "the anonymous starter is not permitted pay, read"
    run.state.permissions = ("pay", "read", "write")
    assert PermissionCheck(None).refusal(run.state, run.state.at_workers["m[0]/a"]) is None


def test_what_a_broken_policy_cannot_decide_does_not_run() -> None:
    """The failure says why."""

    class Broken:
        def denies(self, asked: PermissionRequest) -> str:
            raise LookupError(asked.task_type)

    run = items()
    refused = PermissionCheck(Broken()).refusal(run.state, run.state.at_workers["b"])
    assert refused is not None
    assert refused.failure is not None
    assert refused.failure.message.startswith("the policy failed: LookupError: ")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("policies", "'policies' is not package.module:factory"),
        ("no.such.module:make", "no.such.module cannot be imported"),
        ("made_policies:nobody", "made_policies has no factory 'nobody'"),
        ("made_policies:wrong", "the object made by made_policies:wrong has no method denies"),
    ],
)
def test_a_policy_that_cannot_be_created_is_reported(
    place: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the process serves anything."""
    made: Any = ModuleType("made_policies")
    made.right, made.wrong = Remembers, object
    monkeypatch.setitem(sys.modules, "made_policies", made)
    assert isinstance(load("made_policies:right"), Remembers)
    with pytest.raises(ValueError, match=message):
        load(place)
