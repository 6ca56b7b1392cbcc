"""Repeatable steps: the handler goes on before the commit of their outputs, in one order."""

import asyncio
from collections.abc import Awaitable, Callable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.contract.json_value import Json
from flowmesh.sdk.durable.ahead import RECEIVED_MAX
from flowmesh.sdk.durable.run import SIGNAL, STEP, Run
from tests.unit.sdk.worker.test_durable_run import Bench, step, stepped, wait


def again(run: Run, name: str) -> "asyncio.Future[Json]":
    return run.ask(JournalRecord(kind=STEP, name=name), name, repeatable=True)


class Ahead(Bench):
    """A host whose owner checks records that ran ahead."""

    def __init__(self, handler: Callable[[Run], Awaitable[Json]]) -> None:
        super().__init__(handler)
        self.run.ahead.allowed = True

    def ends(self, index: int, value: bytes = b"1") -> None:
        self.run.step_ended(index, payload_pb2.Payload(data=value), None)
        self.run.turn()


def ahead(index: int, name: str, value: bytes = b"1") -> JournalRecord:
    record = stepped(index, name, value)
    record.ahead = True
    return record


async def chain(run: Run) -> Json:
    """Three repeatable steps, an ordinary one, and a repeatable one."""
    done = [await again(run, name) for name in "abc"]
    done.append(await step(run, "d"))
    return [*done, await again(run, "e")]


def test_a_chain_does_not_wait_for_its_commits() -> None:
    """One message is on its way; an ordinary step and the end wait for all outputs before."""
    bench = Ahead(chain)
    for index in range(3):
        bench.ends(index)
    assert bench.begun == [0, 1, 2]
    assert bench.ahead == [["a"]]
    bench.committed(ahead(0, "a"))
    assert bench.ahead == [["a"], ["b", "c"]]
    assert bench.begun == [0, 1, 2]
    bench.committed(ahead(1, "b"), ahead(2, "c"))
    assert bench.begun == [0, 1, 2, 3]
    bench.ends(3)
    assert [each.name for each in bench.sent] == ["d"]
    bench.committed(stepped(3, "d"))
    bench.ends(4)
    assert not bench.outcome
    bench.committed(ahead(4, "e"))
    assert bench.outcome == [([1, 1, 1, 1, 1], None)]


def test_an_owner_that_checks_nothing_gets_each_output_alone() -> None:
    """A suite of an earlier version."""
    bench = Bench(chain)
    bench.run.step_ended(0, payload_pb2.Payload(data=b"1"), None)
    bench.run.turn()
    assert bench.begun == [0]
    assert [(each.name, each.ahead) for each in bench.sent] == [("a", False)]
    bench.committed(stepped(0, "a"))
    assert bench.begun == [0, 1]


def test_outputs_without_a_commit_are_bounded() -> None:
    """A crash repeats so many steps at most."""

    async def many(run: Run) -> Json:
        for _ in range(2 * RECEIVED_MAX):
            await again(run, "a")

    bench = Ahead(many)
    for index in range(RECEIVED_MAX):
        bench.ends(index)
    assert len(bench.begun) == RECEIVED_MAX + 1
    bench.ends(RECEIVED_MAX)
    assert len(bench.begun) == RECEIVED_MAX + 1
    bench.committed(ahead(0, "a"))
    assert len(bench.begun) == RECEIVED_MAX + 2


async def races(run: Run) -> Json:
    """What a step gives, and the steps after it, depend on whether a signal came before."""
    seen: list[Json] = []

    async def signaled() -> None:
        seen.append(await wait(run, "s"))

    async def stepping() -> None:
        await again(run, "a")
        await again(run, "late" if seen else "early")
        await again(run, "last")

    await asyncio.gather(signaled(), stepping())
    return [*seen, len(run.journal)]


def test_a_record_that_came_first_runs_the_handler_again() -> None:
    """With the order of the journal; what followed from outputs is stopped and forgotten."""
    bench = Ahead(races)
    bench.committed(JournalRecord(index=0, kind=SIGNAL, name="s"))
    bench.ends(1)
    bench.ends(2)
    assert bench.begun == [1, 2, 3]
    assert bench.ahead == [["a"]]
    signal = JournalRecord(index=0, kind=SIGNAL, name="s", output=payload_pb2.Payload(data=b"5"))
    bench.committed(signal)
    # The output of `a` stays, as `a` was requested before; it is received after the signal.
    assert bench.stopped == [3]
    assert bench.ahead == [["a"], ["a"]]
    assert bench.begun == [1, 2, 3, 2]
    bench.committed(ahead(1, "a"))
    bench.ends(2)
    assert bench.ahead[-1] == ["late"]
    bench.committed(ahead(2, "late"))
    bench.ends(3)
    bench.committed(ahead(3, "last"))
    assert bench.outcome == [([5, 4], None)]


def test_another_output_of_the_same_step_counts_if_it_was_committed_first() -> None:
    """Another worker has the task, too."""
    seen: list[Json] = []

    async def two(run: Run) -> Json:
        seen.append(await again(run, "a"))
        return await again(run, "b")

    bench = Ahead(two)
    bench.ends(0, b"1")
    bench.ends(1, b"2")
    bench.committed(ahead(0, "a", b"7"))
    assert seen == [1, 7]
    assert bench.begun == [0, 1, 1]
    bench.ends(1, b"8")
    bench.committed(ahead(1, "b", b"8"))
    assert bench.outcome == [(8, None)]


def test_an_ordinary_step_that_ends_meanwhile_waits() -> None:
    """Its output is sent when the outputs that the handler has seen are committed."""

    async def both(run: Run) -> Json:
        return await asyncio.gather(step(run, "slow"), again(run, "a"))

    bench = Ahead(both)
    bench.ends(1)
    bench.ends(0)
    assert not bench.sent
    bench.committed(ahead(1, "a"))
    assert [each.name for each in bench.sent] == ["slow"]
    bench.committed(stepped(0, "slow"))
    assert bench.outcome == [([1, 1], None)]


def test_the_time_of_a_handler_is_that_of_its_replay() -> None:
    """An output that ran ahead had no time yet when the handler received it."""
    times: list[int] = []

    async def timed(run: Run) -> Json:
        for name in "abc":
            await (step if name == "b" else again)(run, name)
            times.append(run.now_us)

    records = [ahead(0, "a"), stepped(1, "b"), ahead(2, "c")]
    for at, record in enumerate(records, start=100):
        record.at_us = at
    bench = Ahead(timed)
    for index, record in enumerate(records):
        bench.ends(index)
        bench.committed(record)
    assert times == [1, 101, 101]
    times.clear()
    replayed = Run(handler=timed, host=bench, began_at_us=1, read=lambda _: None)
    replayed.committed(records)
    replayed.turn()
    assert times == [1, 101, 101]
