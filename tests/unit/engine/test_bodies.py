"""Groups, races, state machines and signals: what begins, what is canceled, what comes out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions import limits
from flowmesh.engine import Cancel, Signal, TimersDue
from flowmesh.engine.decisions import progress
from flowmesh.engine.decisions.delays import DELAY_MS_MAX
from flowmesh.engine.state import state as s
from tests.unit.engine.factories import Run, edge, group, json, machine, node, plan, signal, state

NOOP: dict[str, Any] = {"kind": plan_pb2.NODE_KIND_NOOP}
TIMER: dict[str, Any] = {"kind": plan_pb2.NODE_KIND_TIMER}
COMPUTED_TIMER: dict[str, Any] = {
    "input_mode": plan_pb2.INPUT_MODE_TEMPLATE,
    "input_template": b'"{{state}}"',
    **TIMER,
}


def output(run: Run, node_id: str) -> Any:
    found = run.state.node(node_id)
    assert found is not None
    assert found.output is not None
    return orjson.loads(found.output.data)


def status(run: Run, node_id: str) -> int:
    found = run.state.node(node_id)
    return found.status if found is not None else s.PENDING


# --- edges and joins ---


def decision(*labels: str, join: Any = plan_pb2.JOIN_ALL) -> Run:
    """`d` leads to `a` by the label A and to `b` by B; both lead to `z`."""
    run = Run(
        plan(
            node("d"),
            node("a", "d", edges=[edge(0, "A")], join=join),
            node("b", "d", edges=[edge(0, "B")], join=join),
            node("z", "a", "b", join=join),
        )
    )
    run.complete("d", orjson.dumps(labels[0] if len(labels) == 1 else labels))
    return run


def test_only_the_edges_that_a_decision_names_are_taken() -> None:
    """Other branches are skipped, and the join continues with the chosen one."""
    run = decision("A")
    assert run.dispatched == ["a"]
    assert status(run, "b") == s.SKIPPED
    run.complete("a")
    assert run.dispatched == ["z"]


def test_a_join_of_all_waits_for_every_edge_that_was_taken() -> None:
    """Both branches run; the join runs once, after the second."""
    run = decision("A", "B")
    assert run.dispatched == ["a", "b"]
    run.complete("b")
    assert run.dispatched == []
    run.complete("a")
    assert run.dispatched == ["z"]


def test_a_join_of_any_runs_at_the_first_and_only_once() -> None:
    """The other branch continues, and the execution ends after it."""
    run = decision("A", "B", join=plan_pb2.JOIN_ANY)
    run.complete("b")
    assert run.dispatched == ["z"]
    run.complete("z")
    run.complete("a")
    assert run.dispatched == []
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_join_is_skipped_when_no_edge_to_it_was_taken() -> None:
    """Nothing waits for ever: the execution completes without it."""
    run = decision("neither")
    assert [status(run, name) for name in "abz"] == [s.SKIPPED] * 3
    assert run.state.status == s.EXECUTION_COMPLETED


def test_an_edge_on_failure_is_taken_instead_of_failing() -> None:
    """The failure runs its handler, skips what needed the result, and fails nothing else."""
    run = Run(
        plan(
            node("a"),
            node("then", "a"),
            node("handle", "a", edges=[edge(0, on_failure=True)]),
        )
    )
    run.fail("a", "ClientError")
    assert run.dispatched == ["handle"]
    assert status(run, "then") == s.SKIPPED
    run.complete("handle")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_an_edge_on_failure_is_not_taken_by_success() -> None:
    """The handler is skipped."""
    run = Run(plan(node("a"), node("handle", "a", edges=[edge(0, on_failure=True)])))
    run.complete("a")
    assert status(run, "handle") == s.SKIPPED


# --- groups and races ---


def test_a_group_answers_the_outputs_of_its_leaves_in_their_order() -> None:
    """In any order of their ends; successors of the group wait for all of them."""
    run = Run(plan(group("g", node("a"), node("b"), node("c", "a")), node("z", "g")))
    assert run.dispatched == ["g[0]/a", "g[0]/b"]
    run.complete("g[0]/a", b"1")
    run.complete("g[0]/c", b"3")
    run.complete("g[0]/b", b"2")
    assert run.dispatched == ["z"]
    assert output(run, "g") == [2, 3]


def test_a_node_that_fails_fails_its_group_at_once() -> None:
    """Other nodes are canceled, no successor begins, and the failure names the node."""
    run = Run(plan(group("g", node("a"), node("b"), node("c", "b")), node("z", "g")))
    run.fail("g[0]/a", "ClientError")
    assert run.last.cancel == [("g[0]/b", 1)]
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert run.state.failure.node == "g[0]/a"
    assert run.complete("g[0]/b") is False


def test_the_first_leaf_to_complete_wins_a_race() -> None:
    """Its output is the group's; the others are canceled, those that failed do not matter."""
    run = Run(
        plan(
            group("g", node("a"), node("b"), node("t", delay_ms=10, **TIMER), race=True),
            node("z", "g"),
        )
    )
    run.fail("g[0]/a", "ClientError")
    run.complete("g[0]/b", b'"won"')
    assert output(run, "g") == "won"
    assert run.dispatched == ["z"]
    assert run.state.timers == {}
    assert run.state.scopes == {}


def test_a_race_without_winner_fails_with_the_first_failure() -> None:
    """All its leaves have to fail for that."""
    run = Run(plan(group("g", node("a"), node("b"), race=True)))
    run.fail("g[0]/a", "ClientError")
    run.fail("g[0]/b", "AuthenticationError")
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "ClientError"


# --- state machines ---


def test_a_machine_hands_its_value_from_node_to_node() -> None:
    """Each sees what the one before left; the last value is the machine's output."""
    run = Run(plan(machine("m", "{{input}}", state("a", "b"), state("b")), node("z", "m")))
    assert run.dispatched == ["m[0]/a"]
    run.complete("m[0]/a", b'{"n":1}')
    assert run.dispatched == ["m[1]/b"]
    assert run.state.scopes["m[1]/"].binding("state", lambda p: p.data) == {"n": 1}
    run.complete("m[1]/b", b'{"n":2}')
    assert run.dispatched == ["z"]
    assert output(run, "m") == {"n": 2}
    assert run.state.scopes == {}


def test_a_node_chooses_what_follows_and_leaves_the_value_alone() -> None:
    """Round and round, as often as it says so."""
    run = Run(
        plan(machine("m", 7, state("work", "test"), state("test", chooses=True), state("end")))
    )
    run.complete("m[0]/work", b"1")
    run.complete("m[1]/test", b'{"next":"work"}')
    run.complete("m[2]/work", b"2")
    run.complete("m[3]/test", b'{"next":"end"}')
    assert run.dispatched == ["m[4]/end"]
    run.complete("m[4]/end", b'"done"')
    assert output(run, "m") == "done"


@pytest.mark.parametrize("choice", [b'"b"', b'["b","a"]', b'{"next":"b"}'])
def test_a_choice_has_several_forms(choice: bytes) -> None:
    """As a name, as a list of labels, as an object; an empty one ends the machine."""
    run = Run(plan(machine("m", 7, state("a", chooses=True), state("b", chooses=True))))
    run.complete("m[0]/a", choice)
    assert run.dispatched == ["m[1]/b"]
    run.complete("m[1]/b", b"[]")
    assert output(run, "m") == 7


def test_a_machine_may_run_so_many_nodes() -> None:
    """One more fails it as over its limit."""
    around = machine("m", 7, state("a", "a"), steps_max=2)
    run = Run(plan(around))
    run.complete("m[0]/a")
    run.complete("m[1]/a")
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "ResourceLimit"


def test_a_single_group_answers_the_output_of_its_only_leaf() -> None:
    """As the item of a map does."""
    run = Run(plan(group("g", node("a"), node("b", "a"), single=True)))
    run.complete("g[0]/a", b"1")
    run.complete("g[0]/b", b"2")
    assert output(run, "g") == 2


@pytest.mark.parametrize("choice", [b'{"next":"nowhere"}', b"3", b'{"next":1}', b"{}"])
def test_a_choice_of_what_is_not_there_fails_the_machine(choice: bytes) -> None:
    """The failure names the choice and its node."""
    run = Run(plan(machine("m", 7, state("test", chooses=True))))
    run.complete("m[0]/test", choice)
    assert run.state.failure is not None
    assert "which is not a node of its graph" in run.state.failure.message
    assert run.state.failure.node == "m[0]/test"


def test_a_caught_failure_continues_at_its_handler() -> None:
    """The handler sees the earlier value and the failure; an uncaught class fails."""
    catching = state("a", "b", {"ClientError": "h"})
    run = Run(plan(machine("m", {"n": 1}, catching, state("b"), state("h"))))
    run.fail("m[0]/a", "ClientError")
    assert run.dispatched == ["m[1]/h"]
    scope = run.state.scopes["m[1]/"]
    assert scope.binding("state", lambda p: p.data) == {"n": 1}
    error = scope.binding("error", lambda p: p.data)
    assert error == {
        "class": "ClientError",
        "message": "it broke",
        "node": "m[0]/a",
        "details": None,
    }
    run.fail("m[1]/h", "AuthenticationError")
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert run.state.failure.node == "m[1]/h"


def test_a_node_that_keeps_leaves_the_value_as_it_is() -> None:
    """Its own output is not visible to other nodes."""
    run = Run(plan(machine("m", 7, state("wait", "", keeps=True, delay_ms=5, **TIMER))))
    run.do(TimersDue(), after_us=5_000)
    assert output(run, "m") == 7


def test_a_timer_ends_at_an_instant_that_is_rendered() -> None:
    """An RFC 3339 instant, in the past one that is over; what is none fails with a reason."""
    run = Run(
        plan(machine("m", "1970-01-01T00:00:03Z", state("wait", keeps=True, **COMPUTED_TIMER)))
    )
    assert run.state.wake_at_us == 3_000_000
    run = Run(
        plan(machine("m", "1969-01-01T00:00:00Z", state("wait", keeps=True, **COMPUTED_TIMER)))
    )
    assert run.state.wake_at_us == run.now


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("tomorrow", 'an instant with its time zone like 2030-01-31T08:00:00Z, got "tomorrow"'),
        ("2030-01-31T08:00:00", 'got "2030-01-31T08:00:00"'),
        ("9999-01-01T00:00:00Z", 'at most 366 days after it begins, not "9999-01-01T00:00:00Z"'),
        (DELAY_MS_MAX + 1, "at most 366 days after it begins, not 31622400001"),
        (1e308, "at most 366 days after it begins, not 1e308"),
        (-1, "a number of milliseconds, or an instant"),
        (True, "got true"),
    ],
)
def test_a_timer_that_has_no_end_fails_with_what_would_be_right(value: Any, message: str) -> None:
    """Neither a duration nor an instant, or beyond the longest delay."""
    run = Run(plan(machine("m", value, state("wait", keeps=True, **COMPUTED_TIMER))))
    failure = run.state.reach("m").failure
    assert failure is not None
    assert getattr(failure, "class") == "ValidationError"
    assert message in failure.message


def test_the_longest_delay_is_taken() -> None:
    """The limit itself, as a duration and as an instant; it is that of what is written out."""
    assert DELAY_MS_MAX == limits.DELAY_MS_MAX
    run = Run(plan(machine("m", DELAY_MS_MAX, state("wait", keeps=True, **COMPUTED_TIMER))))
    assert run.state.wake_at_us == run.now + DELAY_MS_MAX * 1000
    end = datetime.fromtimestamp(run.now / 1e6, UTC) + timedelta(milliseconds=DELAY_MS_MAX)
    run = Run(plan(machine("m", end.isoformat(), state("wait", keeps=True, **COMPUTED_TIMER))))
    assert run.state.wake_at_us == run.now + DELAY_MS_MAX * 1000


def test_bodies_stand_in_bodies() -> None:
    """A machine in a race in a machine: values of the nearest, and all of it goes when it ends."""
    inner = group("race", machine("left", "{{state}}", state("a")), node("b"), race=True)
    followed = {**inner, **state("race", "z", **NOOP), "kind": inner["kind"]}
    run = Run(plan(machine("m", 5, followed, state("z"))))
    assert set(run.state.at_workers) == {"m[0]/race[0]/left[0]/a", "m[0]/race[0]/b"}
    run.complete("m[0]/race[0]/b", b'"b"')
    assert run.last.cancel == [("m[0]/race[0]/left[0]/a", 1)]
    assert run.dispatched == ["m[1]/z"]
    assert set(run.state.scopes) == {"m[1]/"}


def test_a_machine_that_loops_without_work_does_not_block_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It pauses, continues in a later command, and can be canceled in between."""
    monkeypatch.setattr(progress, "BEGUN_PER_STEP_MAX", 10)
    run = Run(plan(machine("m", 7, state("a", "b", **NOOP), state("b", "a", **NOOP))))
    assert len(run.events) < 60
    assert [one.id for one in run.last.asks] == ["m"]
    run.do(Cancel())
    assert run.state.status == s.EXECUTION_CANCELED


# --- signals ---


def test_a_node_waits_for_its_signal_and_has_its_payload() -> None:
    """A signal of another name is not for it."""
    run = Run(plan(signal("wait", name="paid"), node("z", "wait")))
    run.do(Signal("other", json(b"1")))
    assert run.dispatched == []
    run.do(Signal("paid", json(b'{"by":"card"}')))
    assert run.dispatched == ["z"]
    assert output(run, "wait") == {"by": "card"}


def test_waiting_for_a_signal_is_sleeping() -> None:
    """It is no execution that waits for nothing, and a limit of its own still ends it."""
    run = Run(plan(signal("wait", name="paid")))
    assert run.state.wake_at_us == s.FAR_US
    run = Run(plan(signal("wait", name="paid"), timeout_ms=5))
    assert run.state.wake_at_us == run.now + 5_000
    run.do(TimersDue(), after_us=5_000)
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.awaiting == {}


def test_each_signal_is_consumed_by_one_node_in_order() -> None:
    """One that came early waits for its node; the second node gets the second signal."""
    run = Run(plan(node("a"), signal("one", "a", name="s"), signal("two", "one", name="s")))
    run.do(Signal("s", json(b"1")))
    run.do(Signal("s", json(b"2")))
    run.complete("a")
    assert (output(run, "one"), output(run, "two")) == (1, 2)
    assert run.state.status == s.EXECUTION_COMPLETED
    assert run.state.awaiting == {}
