"""A durable handler on its loop: the order of deliveries, and nondeterminism."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.contract.json_value import Json
from flowmesh.sdk.durable import NonDeterministic, StepFailed
from flowmesh.sdk.durable.run import SIGNAL, STEP, Operation, Run
from flowmesh.sdk.values.payloads import decode_inline


class Bench:
    """A host that does nothing by itself."""

    def __init__(self, handler: Callable[[Run], Awaitable[Json]]) -> None:
        self.sent: list[JournalRecord] = []
        self.ahead: list[list[str]] = []
        self.begun: list[int] = []
        self.stopped: list[int] = []
        self.outcome: list[tuple[Json, BaseException | None]] = []
        self.run = Run(handler=handler, host=self, began_at_us=1, read=decode_inline)
        self.run.turn()

    def commit(self, records: Sequence[JournalRecord]) -> None:
        self.sent.extend(records)

    def commit_ahead(self, records: Sequence[JournalRecord]) -> None:
        self.ahead.append([each.name for each in records])

    def begin(self, operation: Operation) -> None:
        self.begun.append(operation.index)

    def stop(self, index: int) -> None:
        self.stopped.append(index)

    def ended(self, value: Json, error: BaseException | None) -> None:
        self.outcome.append((value, error))

    def waits(self) -> None:
        """Ignore the wait."""

    def committed(self, *records: JournalRecord) -> None:
        self.run.committed(records)
        self.run.turn()

    def fails(self, index: int) -> None:
        failure = failure_pb2.Failure(message="it broke")
        setattr(failure, "class", "ServerError")
        self.run.step_ended(index, None, failure)
        self.run.turn()


def step(run: Run, name: str) -> "asyncio.Future[Json]":
    return run.ask(JournalRecord(kind=STEP, name=name), name)


def wait(run: Run, name: str) -> "asyncio.Future[Json]":
    return run.ask(JournalRecord(kind=SIGNAL, name=name))


def stepped(index: int, name: str, value: bytes = b"1") -> JournalRecord:
    output = payload_pb2.Payload(data=value)
    return JournalRecord(index=index, kind=STEP, name=name, output=output)


async def catches(run: Run) -> Json:
    """Continue after a failed step, beside a wait."""
    seen: list[str] = []

    async def stepping() -> None:
        try:
            await step(run, "a")
        except StepFailed:
            seen.append("failed")
            await step(run, "b")

    async def waiting() -> None:
        await wait(run, "s")
        seen.append("signaled")

    await asyncio.gather(stepping(), waiting())
    return seen


def test_a_failed_step_is_journaled_when_the_handler_continues() -> None:
    """Before what it does next."""
    bench = Bench(catches)
    bench.committed(JournalRecord(index=1, kind=SIGNAL, name="s"))
    bench.fails(0)
    assert [each.WhichOneof("outcome") for each in bench.sent] == [None, "failure"]
    assert bench.begun == [0]
    bench.committed(bench.sent[-1])
    assert bench.begun == [0, 2]


def test_a_failed_step_that_ends_the_handler_is_not() -> None:
    """Another try of the handler has another try of the step."""

    async def fails(run: Run) -> Json:
        return await step(run, "a")

    bench = Bench(fails)
    bench.fails(0)
    assert not bench.sent
    ((_, error),) = bench.outcome
    assert isinstance(error, StepFailed)


def test_what_was_committed_before_a_failure_is_seen_before_it() -> None:
    """The handler is run again in that order; no step is."""
    bench = Bench(catches)
    bench.committed(JournalRecord(index=1, kind=SIGNAL, name="s"))
    bench.fails(0)
    failed = bench.sent[-1]
    payload = payload_pb2.Payload(data=b"1")
    bench.committed(JournalRecord(index=1, kind=SIGNAL, name="s", output=payload))
    bench.committed(failed)
    assert bench.begun == [0, 2]
    bench.committed(stepped(2, "b"))
    assert bench.outcome == [(["signaled", "failed"], None)]


def test_a_step_that_another_worker_ended_is_stopped() -> None:
    """The first outcome counts, and the handler has it."""

    async def one(run: Run) -> Json:
        return await step(run, "a")

    bench = Bench(one)
    bench.committed(stepped(0, "a", b"7"))
    assert bench.stopped == [0]
    assert bench.outcome == [(7, None)]


def test_a_handler_that_ends_too_early_is_refused() -> None:
    """Its journal has more than it asks for."""

    async def nothing(_run: Run) -> Json:
        return None

    bench = Bench(catches)
    run = Run(handler=nothing, host=bench, began_at_us=1, read=decode_inline)
    run.committed([stepped(0, "a")])
    run.turn()
    ((_, error),) = bench.outcome
    assert isinstance(error, NonDeterministic)
    assert (error.position, error.recorded, error.asked) == (0, "step 'a'", "its end")


def test_a_handler_that_waits_for_nothing_known_fails() -> None:
    """It could never continue."""

    async def forever(_run: Run) -> Json:
        await asyncio.Event().wait()

    ((_, error),) = Bench(forever).outcome
    assert isinstance(error, RuntimeError)
