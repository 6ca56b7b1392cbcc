"""Nodes that wait for people: who may decide, when enough have, and what a deadline does."""

from typing import Any

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import Decide, NodeMissing, NodeUnfit, Steer, TimersDue
from flowmesh.engine.state import state as s
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from tests.unit.engine.factories import Run, edge, json, node, plan

HOUR_MS = 3_600_000
HOUR_US = HOUR_MS * 1000


def approval(node_id: str = "ok", *, given: Any = None, **fields: Any) -> dict[str, Any]:
    """A node that asks ann and bob."""
    value = {"assignees": ["ann", "bob"]} | (given or {})
    return node(
        node_id,
        kind=plan_pb2.NODE_KIND_APPROVAL,
        input_mode=plan_pb2.INPUT_MODE_TEMPLATE,
        input_template=orjson.dumps(value),
        approval=plan_pb2.Approval(**fields),
    )


def decide(run: Run, by: str, approved: bool = True, **fields: Any) -> bool:
    return run.do(Decide("ok", by, approved, **fields))


def output(run: Run) -> Any:
    assert run.state.output is not None
    return orjson.loads(run.state.output.data)


def test_all_of_those_asked_must_approve() -> None:
    """The output has what each of them said."""
    run = Run(plan(approval()))
    assert run.state.wake_at_us == s.FAR_US
    decide(run, "ann", comment="fine", form=json(b'{"limit": 5}'))
    assert not run.state.ended
    decide(run, "bob")
    assert output(run) == {
        "outcome": "approved",
        "decisions": [
            {"by": "ann", "approved": True, "comment": "fine", "form": {"limit": 5}},
            {"by": "bob", "approved": True},
        ],
    }


def test_one_rejection_is_enough_where_all_must_approve() -> None:
    """The node fails as Rejected, with all decisions."""
    run = Run(plan(approval()))
    decide(run, "bob", False)
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "Rejected"
    assert b'"by": "bob"' in run.state.failure.details


def test_so_many_of_them_are_enough() -> None:
    """And it is rejected once they cannot be that many any more."""
    three = {"assignees": ["ann", "bob", "cem"]}
    run = Run(plan(approval(given=three, needed=2)))
    decide(run, "ann", False)
    decide(run, "bob")
    assert not run.state.ended
    decide(run, "cem")
    assert output(run)["outcome"] == "approved"
    run = Run(plan(approval(given=three, needed=2)))
    decide(run, "ann", False)
    decide(run, "bob", False)
    assert run.state.status == s.EXECUTION_FAILED


def test_without_assignees_any_caller_decides() -> None:
    """The first decision counts."""
    run = Run(plan(approval(given={"assignees": []})))
    decide(run, "eve")
    assert output(run)["decisions"] == [{"by": "eve", "approved": True}]


def test_a_rejection_may_be_an_outcome_like_another() -> None:
    """Edges are taken by it."""
    asked = approval(goes_on_rejected=True)
    yes, no = (node(name, "ok", edges=[edge(0, name)]) for name in ("approved", "rejected"))
    run = Run(plan(asked, yes, no))
    decide(run, "ann", False)
    assert run.dispatched == ["rejected"]
    assert "task_skipped approved" in run.kinds


def test_a_deadline_asks_others_first() -> None:
    """Then it fails; those asked before may still decide until then."""
    run = Run(plan(approval(given={"escalateTo": ["boss"]}, deadline_ms=HOUR_MS, needed=1)))
    assert run.state.wake_at_us == run.now + HOUR_US
    run.do(TimersDue(), after_us=HOUR_US)
    assert run.kinds[-1] == "approval_escalated ok"
    asked = run.state.reach("ok").approval
    assert asked is not None
    assert list(asked.assignees) == ["ann", "bob", "boss"]
    run.do(TimersDue(), after_us=HOUR_US)
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "Timeout"


@pytest.mark.parametrize(
    ("word", "outcome"),
    [(plan_pb2.DEADLINE_APPROVE, "approved"), (plan_pb2.DEADLINE_REJECT, "rejected")],
)
def test_a_deadline_may_decide(word: Any, outcome: str) -> None:
    """As the definition says."""
    run = Run(plan(approval(deadline_ms=HOUR_MS, on_deadline=word, goes_on_rejected=True)))
    run.do(TimersDue(), after_us=HOUR_US)
    assert output(run) == {"outcome": outcome, "decisions": []}


def test_a_decision_by_a_stranger_or_a_second_one_is_refused() -> None:
    """And nothing changes; the same request again is no second decision."""
    run = Run(plan(approval(), node("a")))
    decide(run, "ann", request_id="r")
    before = run.state.sequence
    decide(run, "ann", request_id="r")
    for by, message in (("eve", "does not wait for 'eve', but for ann, bob"), ("ann", "already")):
        with pytest.raises(NodeUnfit, match=message):
            decide(run, by)
    with pytest.raises(NodeMissing):
        run.do(Decide("a", "ann", True))
    assert run.state.sequence == before
    decide(run, "bob")
    with pytest.raises(NodeUnfit, match="has been decided"):
        decide(run, "bob")


def test_names_that_are_none_fail_the_node() -> None:
    """With what would be right."""
    run = Run(plan(approval(given={"assignees": [1]})))
    assert run.state.failure is not None
    assert "assignees is a list of names" in run.state.failure.message


@pytest.mark.parametrize("key", ["assignees", "escalateTo"])
@pytest.mark.parametrize("name", ["a\0b", "x" * 257, "\0", [["ann"]], 7, True])
def test_a_name_that_no_column_takes_fails_the_node(key: str, name: object) -> None:
    """When the approval is asked for, not at its escalation."""
    run = Run(plan(approval(given={"assignees": ["ann"], key: [name]}, deadline_ms=HOUR_MS)))
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "ValidationError"
    assert key in run.state.failure.message


def test_a_name_of_the_longest_form_is_taken() -> None:
    """256 characters, of any script."""
    run = Run(plan(approval(given={"assignees": ["\u6c34" * 256]})))
    assert run.state.failure is None


def test_questions_and_decisions_are_in_history_and_snapshot() -> None:
    """A replay and a restored snapshot continue alike."""
    run = Run(plan(approval(given={"escalateTo": "boss"}, deadline_ms=HOUR_MS)))
    decide(run, "ann")
    for other in (run.replayed(), restore("exec-1", run.state.plan, snapshot(run.state))):
        assert other.reach("ok").approval == run.state.reach("ok").approval
        assert other.wake_at_us == run.state.wake_at_us
        assert list(other.asking) == ["ok"]


def test_a_decision_on_what_was_asked_before_is_refused() -> None:
    """A node that asks anew asks something else; the same round is decided."""
    run = Run(plan(approval()))
    node = run.state.node("ok")
    assert node is not None
    asked = node.scheduled_at_us
    with pytest.raises(NodeUnfit, match="requests approval again"):
        decide(run, "ann", asked_at_us=asked - 1)
    assert node.approval is not None
    assert not node.approval.decisions
    decide(run, "ann", asked_at_us=asked)
    assert [one.by for one in node.approval.decisions] == ["ann"]


def test_a_held_approval_takes_no_decision() -> None:
    """After the rejection it is held; a retry requests approval again."""
    held = plan_pb2.NODE_FAILURE_POLICY_HOLD
    run = Run(plan(approval() | {"on_failure": held}))
    decide(run, "ann", False)
    assert (list(run.state.on_hold), list(run.state.asking)) == (["ok"], [])
    with pytest.raises(NodeUnfit, match="has been decided"):
        decide(run, "bob")
    run.do(Steer("ok", execution_pb2.NODE_ACTION_RETRY))
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    for one in (run.state, run.replayed(), restored):
        assert (list(one.on_hold), list(one.asking)) == ([], ["ok"])
        asked = one.reach("ok")
        assert asked.approval is not None
        assert (asked.attempt, len(asked.approval.decisions)) == (2, 0)
    decide(run, "bob")
    decide(run, "ann")
    assert output(run)["outcome"] == "approved"
