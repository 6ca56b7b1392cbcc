"""Durable handlers: what they ask for is journaled, what they wait for sends them on."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalCall, JournalRecord, ModelUsage
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    JOURNAL_BYTES_MAX,
    JOURNAL_RECORDS_MAX,
    Cancel,
    DeliveryLost,
    Pause,
    Record,
    Resume,
    Signal,
    Steer,
    Suspend,
    TimersDue,
)
from flowmesh.engine.decisions.delays import DELAY_MS_MAX
from flowmesh.engine.state.compensation import compensation_status
from flowmesh.engine.state.journal import CALL, SIGNAL, SLEEP, STEP, USAGE_MAX
from flowmesh.engine.state.state import COMPLETED, EXECUTION_FAILED, FAILED
from flowmesh.plan import render_input
from tests.unit.engine.factories import Run, json, node, plan, undo

SECOND = 1_000_000


def stepped(index: int, name: str = "step", output: bytes = b"1") -> JournalRecord:
    return JournalRecord(index=index, kind=STEP, name=name, output=json(output))


def sleeps(index: int, seconds: int = 60) -> JournalRecord:
    return JournalRecord(index=index, kind=SLEEP, delay_ms=seconds * 1000)


def waits(index: int, name: str = "go", seconds: int = 0) -> JournalRecord:
    return JournalRecord(index=index, kind=SIGNAL, name=name, delay_ms=seconds * 1000)


def calls(index: int, task_type: str = "other", **call: Any) -> JournalRecord:
    return JournalRecord(index=index, kind=CALL, name=task_type, call=JournalCall(**call))


class Handled(Run):
    """An execution of one durable handler, `h`, and perhaps of a task beside it."""

    def __init__(self, beside: bool = False, **fields: object) -> None:
        super().__init__(plan(node("h", **fields), *([node("beside")] if beside else [])))

    def ask(self, *records: JournalRecord, known: int = 0, attempt: int = 1) -> bool:
        return self.do(Record("h", attempt, records, known=known, began_at_us=7))

    def leave(self, *records: JournalRecord, known: int = 0, attempt: int = 1) -> bool:
        return self.do(Suspend("h", attempt, records, known=known, began_at_us=7))

    @property
    def told(self) -> list[tuple[int, str]]:
        """Return the updates for the worker: index and outcome."""
        if self.last.handler_updates is None:
            return []
        ((of, known),) = self.last.handler_updates.values()
        assert of.journal is not None
        records = of.journal.records[known:]
        return [(each.index, each.WhichOneof("outcome") or "open") for each in records]


def test_a_step_is_journaled_and_its_worker_notified() -> None:
    """In one event, with when it was committed."""
    run = Handled()
    assert run.ask(stepped(0))
    assert run.kinds[-2:] == ["task_started h", "journal_appended h"]
    assert run.told == [(0, "output")]
    journal = run.state.reach("h").journal
    assert journal is not None
    assert journal.began_at_us == 7
    assert journal.records[0].at_us == run.now


def test_what_is_journaled_already_is_passed_over() -> None:
    """A record that is sent again adds nothing; the answer has what the worker lacks."""
    run = Handled()
    run.ask(stepped(0, output=b"1"))
    events = len(run.events)
    assert run.ask(stepped(0, output=b"2"), known=0)
    assert len(run.events) == events
    assert run.told == [(0, "output")]
    journal = run.state.reach("h").journal
    assert journal is not None
    assert journal.records[0].output.data == b"1"


def test_records_of_another_attempt_are_stale() -> None:
    """Nothing follows from them."""
    run = Handled()
    assert not run.ask(stepped(0), attempt=2)


def test_a_lost_delivery_keeps_the_journal() -> None:
    """The same attempt goes out again, with all that was journaled."""
    run = Handled()
    run.ask(stepped(0))
    run.do(DeliveryLost("h", 1))
    (sent,) = run.last.dispatch
    assert sent.attempt == 1
    assert sent.journal is not None
    assert len(sent.journal.records) == 1


def test_a_sleep_ends_on_time_at_the_worker() -> None:
    """The engine's timer ends it, whether the handler is at its worker or not."""
    run = Handled()
    run.ask(sleeps(0, 60))
    assert run.state.wake_at_us == run.now + 60 * SECOND
    run.do(TimersDue(), after_us=59 * SECOND)
    assert run.told == []
    run.do(TimersDue(), after_us=1 * SECOND)
    assert run.told == [(0, "output")]
    assert not run.state.wake_at_us


def test_a_suspended_handler_resumes_with_the_next_attempt() -> None:
    """It leaves its worker, and is sent again when the sleep is over; no try is counted."""
    run = Handled()
    run.leave(sleeps(0, 60))
    assert not run.state.at_workers
    run.do(TimersDue(), after_us=60 * SECOND)
    (sent,) = run.last.dispatch
    assert sent.attempt == 2
    run.fail("h", attempt=2)
    assert run.state.reach("h").status == FAILED


def test_a_resumed_attempt_is_no_new_try() -> None:
    """The retry policy counts the tries alone."""
    retry = failure_pb2.RetryPolicy(max_attempts=2, initial_delay_ms=10)
    run = Handled(retry=retry)
    for attempt in (1, 2, 3):
        run.leave(sleeps(attempt - 1, 1), known=2 * (attempt - 1), attempt=attempt)
        run.do(TimersDue(), after_us=SECOND)
    run.fail("h", attempt=4)
    assert run.kinds[-1] == "task_retrying h"
    run.do(TimersDue(), after_us=SECOND)
    run.fail("h", attempt=5)
    assert run.state.reach("h").status == FAILED


def test_a_handler_that_suspends_with_unread_records_is_sent_again() -> None:
    """A signal came while the handler was on its way out."""
    run = Handled()
    run.ask(waits(0))
    run.do(Signal("go", json(b'"now"')))
    run.leave(known=1)
    assert run.kinds[-2:] == ["task_suspended h", "task_scheduled h"]
    assert run.dispatched == ["h"]


def test_a_signal_that_is_there_is_taken_at_once() -> None:
    """By the first wait for it; the next one waits for the next."""
    run = Handled()
    run.do(Signal("go", json(b'"early"')))
    run.ask(waits(0), waits(1))
    assert run.told == [(0, "open"), (1, "open"), (0, "output")]
    run.do(Signal("go", json(b'"late"')))
    assert run.told == [(1, "output")]
    assert not run.state.awaiting


def test_a_wait_is_over_in_time() -> None:
    """And what comes after that is kept for the next wait."""
    run = Handled()
    run.leave(waits(0, seconds=5))
    run.do(TimersDue(), after_us=5 * SECOND)
    journal = run.state.reach("h").journal
    assert journal is not None
    assert journal.records[-1].timed_out
    run.do(Signal("go", json(b"1")))
    run.ask(waits(1), known=2, attempt=2)
    assert run.told == [(1, "open"), (1, "output")]


def test_a_call_is_a_task_below_the_handler() -> None:
    """It has its own retries, and its output is the next record."""
    retry = failure_pb2.RetryPolicy(max_attempts=2, initial_delay_ms=10, retry_on=["*"])
    run = Handled(queue="far")
    run.leave(calls(0, input=json(b"[5]"), retry=retry, config=b'{"a":1}'))
    (sent,) = run.last.dispatch
    assert (sent.id, sent.planned.queue) == ("h[0]/other", "far")
    assert sent.planned.spec is not None
    assert (sent.planned.spec.task_type, sent.planned.spec.config) == ("other", b'{"a":1}')
    assert render_input(run.state, sent).data == b"[5]"
    run.fail("h[0]/other")
    run.do(TimersDue(), after_us=SECOND)
    run.complete("h[0]/other", b"6", attempt=2)
    journal = run.state.reach("h").journal
    assert journal is not None
    assert journal.records[-1].output.data == b"6"
    assert run.dispatched == ["h"]


def test_a_call_has_a_limit_of_time_whether_it_says_one_or_not() -> None:
    """The default timeout of a task."""
    run = Handled()
    run.ask(calls(0), calls(1, "http.request"), calls(2, timeout_ms=7))
    assert [sent.planned.timeout_ms for sent in run.last.dispatch] == [300_000, 30_000, 7]


def test_a_failed_call_is_an_outcome() -> None:
    """The handler gets the failure and decides."""
    run = Handled()
    run.ask(calls(0))
    run.fail("h[0]/other")
    assert run.told == [(0, "failure")]
    assert run.state.reach("h").status < COMPLETED


def test_a_handler_that_ends_takes_its_calls_with_it() -> None:
    """Their workers are requested to stop; nothing of them is left."""
    run = Handled()
    run.ask(calls(0), waits(1), sleeps(2))
    run.complete("h")
    assert ("h[0]/other", 1) in run.last.cancel
    assert run.kinds[-3:] == ["task_canceled h[0]/other", "task_completed h", "workflow_completed"]
    state = run.state
    assert not any((state.scopes, state.awaiting, state.timers, state.at_workers))


def test_a_canceled_call_stops() -> None:
    """The handler asked for it and does not want it any more."""
    run = Handled()
    run.ask(calls(0))
    run.ask(JournalRecord(index=0, kind=CALL, name="other", canceled=True), known=1)
    assert ("h[0]/other", 1) in run.last.cancel
    assert not run.state.scopes


def test_a_cancel_ends_a_suspended_handler() -> None:
    """It is at no worker; its node is canceled nevertheless."""
    run = Handled()
    run.leave(waits(0))
    run.do(Cancel())
    assert run.kinds[-2:] == ["task_canceled h", "workflow_canceled"]


def test_a_paused_execution_sends_no_handler_on() -> None:
    """The awaited records arrive, and it continues after the resume."""
    run = Handled()
    run.leave(waits(0))
    run.do(Pause())
    run.do(Signal("go", json(b"1")))
    run.do(Resume())
    assert run.dispatched == ["h"]


@pytest.mark.parametrize(
    "record",
    [
        JournalRecord(index=0, kind=STEP, name="s"),
        JournalRecord(index=0, kind=9, name="s", output=json(b"1")),  # type: ignore[arg-type]
        JournalRecord(index=0, kind=SLEEP, output=json(b"1")),
        JournalRecord(index=0, kind=SLEEP, delay_ms=-1),
        JournalRecord(index=0, kind=SLEEP, delay_ms=DELAY_MS_MAX + 1),
        JournalRecord(index=0, kind=SIGNAL, name="go", delay_ms=2**63 - 1),
        JournalRecord(index=0, kind=SIGNAL, name="go", canceled=True),
        JournalRecord(index=0, kind=CALL, name="a/b"),
        JournalRecord(index=0, kind=STEP, name="n" * 300, output=json(b"1")),
        JournalRecord(index=0, kind=STEP, name="s", output=json(b" " * (300 << 10))),
        *(
            JournalRecord(index=0, kind=STEP, name="s", output=json(b"1"), usage=used)
            for used in (ModelUsage(input_tokens=-1), ModelUsage(micro_usd=USAGE_MAX + 1))
        ),
    ],
)
def test_what_is_no_record_fails_the_handler(record: JournalRecord) -> None:
    """With a message; its worker is requested to stop."""
    run = Handled()
    run.ask(record)
    failure = run.state.reach("h").failure
    assert failure is not None
    assert getattr(failure, "class") == "ValidationError"
    assert ("h", 1) in run.last.cancel


def test_a_journal_is_bounded() -> None:
    """In its records and in their bytes."""
    run = Handled()
    run.ask(*(stepped(index) for index in range(JOURNAL_RECORDS_MAX)))
    run.ask(stepped(JOURNAL_RECORDS_MAX), known=JOURNAL_RECORDS_MAX)
    failure = run.state.reach("h").failure
    assert failure is not None
    assert "10,000 records, the limit" in failure.message
    run = Handled()
    large = b" " * (200 << 10)
    for index in range(JOURNAL_BYTES_MAX // len(large) + 1):
        run.ask(stepped(index, output=large), known=index)
    failure = run.state.reach("h").failure
    assert failure is not None
    assert "2 MiB" in failure.message


def test_a_handler_that_suspends_without_waiting_fails() -> None:
    """It would never resume."""
    run = Handled()
    run.leave(stepped(0))
    assert run.state.reach("h").status == FAILED


def test_a_handler_that_is_retried_by_hand_resumes() -> None:
    """Behind what had ended; what was open it asks for anew."""
    run = Handled(beside=True)
    run.ask(stepped(0), waits(1), calls(2))
    run.fail("h", "Broken")
    run.do(Steer("h", execution_pb2.NODE_ACTION_RETRY))
    (sent,) = run.last.dispatch
    assert sent.journal is not None
    assert [each.name for each in sent.journal.records] == ["step"]
    run.ask(waits(1), known=1, attempt=2)
    run.do(Signal("go", json(b"1")))
    assert run.told == [(1, "output")]
    run.ask(calls(2), known=3, attempt=2)
    assert not run.complete("h[2]/other")
    assert run.complete("h[2]/other", attempt=2)


def test_a_held_handler_waits_for_a_decision() -> None:
    """Its calls continue; only a retry by a caller sends the handler again."""
    run = Handled(on_failure=plan_pb2.NODE_FAILURE_POLICY_HOLD)
    run.ask(calls(0))
    run.fail("h", "Broken")
    run.complete("h[0]/other", b"1")
    assert not run.last.dispatch
    run.do(Steer("h", execution_pb2.NODE_ACTION_RETRY))
    (sent,) = run.last.dispatch
    assert sent.journal is not None
    assert len(sent.journal.records) == 2


def test_an_undo_may_be_a_handler_that_calls_and_waits() -> None:
    """As any other; the execution ends when it is done, and not before."""
    undone = undo("a", retry={"max_attempts": 1})
    run = Run(plan(node("a", undo=undone), node("b", "a")))
    run.complete("a", b"7")
    run.fail("b", "ClientError")
    assert run.dispatched == ["a:undo"]
    asked = (calls(0, input=json(b"7")), sleeps(1, seconds=5))
    run.do(Suspend("a:undo", 1, asked, known=0, began_at_us=7))
    assert run.dispatched == ["a:undo[0]/other"]
    run.fail("a:undo[0]/other", "ClientError")
    assert run.dispatched == ["a:undo"]
    assert run.replayed().wake_at_us == run.state.wake_at_us
    run.do(TimersDue(), after_us=5 * SECOND)
    journal = run.state.reach("a:undo").journal
    assert journal is not None
    assert journal.ended == {0, 1}
    run.complete("a:undo", attempt=2)
    assert run.state.status == EXECUTION_FAILED
    assert compensation_status(run.state) == execution_pb2.COMPENSATION_STATE_COMPENSATED


def ahead(index: int, output: bytes = b"1") -> JournalRecord:
    record = stepped(index, output=output)
    record.ahead = True
    return record


def test_outputs_that_ran_ahead_follow_what_their_worker_knows() -> None:
    """A sleep that ended meanwhile comes first: the worker gets it, and runs the handler again."""
    run = Handled()
    run.ask(sleeps(0, 60), ahead(1))
    run.do(TimersDue(), after_us=60 * SECOND)
    assert run.told == [(0, "output")]
    run.ask(ahead(2), ahead(3), known=2)
    assert run.told == [(0, "output")]
    run.ask(ahead(2), ahead(3), known=3)
    assert run.told == [(2, "output"), (3, "output")]
    run.ask(ahead(2, b"7"), ahead(4), known=3)
    assert run.told == [(2, "output"), (3, "output")]
    journal = run.state.reach("h").journal
    assert journal is not None
    assert [each.index for each in journal.records] == [0, 1, 0, 2, 3]


@pytest.mark.parametrize(
    "record",
    [
        JournalRecord(index=0, kind=SLEEP, delay_ms=1, ahead=True),
        JournalRecord(index=0, kind=STEP, failure=failure_pb2.Failure(message="no"), ahead=True),
    ],
)
def test_only_outputs_of_steps_run_ahead(record: JournalRecord) -> None:
    """Another record with the mark fails the handler, with the reason."""
    run = Handled()
    run.ask(record)
    failure = run.state.reach("h").failure
    assert failure is not None
    assert "only the output of a step" in failure.message
