"""A remote worker and the relay behind it: cancels, frames that two workers send, silence."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import structlog

from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.dispatch_service_pb2 import AttachResponse, DispatchedTask
from flowmesh.api.worker.v1.task_pb2 import Task, TaskResult
from flowmesh.api.worker.v1.worker_service_pb2 import WorkHello, WorkRequest
from flowmesh.worker import limits
from flowmesh.worker.relay import Relay
from flowmesh.worker.remote import RemoteWorker
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream
from tests.simulation.servers.loop import elapsed, virtual_loop

GRACE_S = limits.REATTACH_GRACE_MS / 1000


class Service:
    """A worker service with a stream to one orchestrator."""

    def __init__(self) -> None:
        self.relay = Relay(worker_service_id="ws", monotonic_ms=self._now_ms)
        unused: Any = None
        self.link = OrchestratorStream(
            stream_id="o",
            attach=unused,
            listener=self.relay,
            monotonic_ms=self._now_ms,
            log=structlog.get_logger(),
        )
        self.link.live = True
        self.relay.connected(self.link)

    def _now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

    async def comes(self, worker_id: str, number: int, *held: str) -> RemoteWorker:
        """A worker connects, with what it still runs."""
        remote = RemoteWorker(
            set_id=f"{worker_id}/{number}",
            hello=WorkHello(worker_id=worker_id, task_types=["t"], slots=1),
            relay=self.relay,
            monotonic_ms=self._now_ms,
        )
        self.relay.add_set(remote, held)
        await elapsed(0.01)
        return remote

    def dispatch(self, remote: RemoteWorker, token: str, *cancels: str) -> None:
        task = Task(token=token, task_type="t", partition=1, epoch=1)
        sent = DispatchedTask(set_id=remote.set_id, task=task)
        self.relay.received(self.link, AttachResponse(tasks=[sent], cancels=cancels))


def run(test: Coroutine[Any, Any, None]) -> None:
    """On a clock that passes when nothing can happen."""
    with virtual_loop() as loop:
        loop.run_until_complete(test)


def test_a_cancel_travels_behind_its_task() -> None:
    """In a message of its own: whatever a worker looks at first, it has the task by then."""

    async def test() -> None:
        service = Service()
        remote = await service.comes("w", 1)
        service.dispatch(remote, "T", "T")
        told = []
        async for response in remote.responses():
            told.append(([task.token for task in response.tasks], list(response.cancels)))
            if response.cancels:
                break
        assert told == [(["T"], []), ([], ["T"])]

    run(test())


def test_the_frame_of_a_second_worker_with_the_same_task_is_acknowledged() -> None:
    """One that was thought lost came back with it, and both have ended it."""

    async def test() -> None:
        service = Service()
        relay, link = service.relay, service.link
        first = await service.comes("A", 1)
        service.dispatch(first, "T")
        relay.remove_set(first)
        await elapsed(GRACE_S + 0.1)
        second = await service.comes("B", 1)
        service.dispatch(second, "T")
        back = await service.comes("A", 2, "T")
        for remote in (back, second):
            remote.received(WorkRequest(results_frame=1, results=[TaskResult(token="T")]))
        await elapsed(0.01)
        frame = link.next_request()
        assert [result.token for result in frame.results] == ["T"]
        relay.received(link, AttachResponse(acknowledged_frame=frame.results_frame))
        assert [remote._next.acknowledged_frame for remote in (back, second)] == [1, 1]

    run(test())


def test_a_second_break_has_a_grace_of_its_own() -> None:
    """The worker came back after the first one, with its task."""

    async def test() -> None:
        service = Service()
        first = await service.comes("A", 1)
        service.dispatch(first, "T")
        service.relay.remove_set(first)
        await elapsed(GRACE_S - 0.1)
        again = await service.comes("A", 2, "T")
        service.relay.remove_set(again)
        await elapsed(GRACE_S - 0.1)
        assert service.relay.runs("T")
        await elapsed(0.2)
        assert not service.relay.runs("T")

    run(test())


def test_a_drain_ends_when_the_last_task_is_lost() -> None:
    """Its worker is gone, so nothing runs here any more."""

    async def test() -> None:
        service = Service()
        remote = await service.comes("A", 1)
        service.dispatch(remote, "T")
        quiet = asyncio.ensure_future(service.relay.until_quiet())
        service.relay.remove_set(remote)
        await elapsed(GRACE_S + 0.1)
        assert quiet.done()

    run(test())


def test_a_silent_worker_is_given_up_though_its_stream_is_stuck() -> None:
    """Nobody reads what is written to it, so its end cannot be waited for."""

    async def test() -> None:
        service = Service()
        remote = await service.comes("A", 1)
        service.dispatch(remote, "T")
        await elapsed(limits.WORKER_SILENCE_MS / 1000 + 0.1)
        service.relay.tick()
        await elapsed(GRACE_S + 0.1)
        assert not service.relay.runs("T")

    run(test())


def test_a_spec_that_is_sent_again_counts_as_new(monkeypatch: Any) -> None:
    """Both sides forget the one that was sent longest ago."""
    monkeypatch.setattr(limits, "SPECS_PER_STREAM_MAX", 4)

    async def test() -> None:
        link = Service().link
        for number in (1, 2, 3, 4, 1, 5):
            link.keep_specs([TaskSpec(digest=f"d{number}")])
        assert list(link.specs) == ["d3", "d4", "d1", "d5"]

    run(test())


def test_a_result_waits_for_one_orchestrator_as_long_as_it_says() -> None:
    """Each attempt to reach the one that is gone is not a new beginning."""

    async def test() -> None:
        service = Service()
        relay, gone = service.relay, service.link
        remote = await service.comes("A", 1)
        service.dispatch(remote, "T")
        remote.received(WorkRequest(results_frame=1, results=[TaskResult(token="T")]))
        gone.next_request()
        other: Any = SimpleNamespace(id="p", live=True, takes_credit=False, sent=[])
        other.frames = SimpleNamespace(**dict.fromkeys(QUIET, _nothing))
        other.ping_if_quiet = _nothing
        other.send_result = other.sent.append
        relay.connected(other)
        for attempt in range(40):
            gone.live = False
            relay.disconnected(gone, list(gone.results.leases()) if not attempt else [])
            relay.tick()
            if other.sent:
                break
            await elapsed(0.25)
            relay.connected(gone)
            for lease in list(gone.results.leases()):
                gone.results.withdraw(lease)
                relay.disconnected(gone, [lease])
        assert [lease.token for lease in other.sent] == ["T"]

    run(test())


QUIET = ("grant", "recall", "report_breakers")


def _nothing(*_: object) -> None:
    """What is said to it besides."""


def test_an_output_with_an_integer_beyond_64_bits_fails_its_attempt() -> None:
    """Also of a worker that does not look at what it sends; the results beside it pass."""

    async def test() -> None:
        service = Service()
        remote = await service.comes("w", 1)
        outputs = [b'{"n": [18446744073709551616]}', b'["18446744073709551616", 1]', b"\xff" * 20]
        results = []
        for number, data in enumerate(outputs):
            service.dispatch(remote, str(number))
            payload = Payload(data=data)
            results.append(TaskResult(token=str(number), output=payload))
        remote.received(WorkRequest(results_frame=1, results=results))
        await elapsed(0.01)
        first, *others = service.link.next_request().results
        assert getattr(first.failure, "class") == "ValidationError"
        assert first.failure.message.startswith("output.n[0] is an integer that cannot be kept")
        assert [each.output.data for each in others] == outputs[1:]

    run(test())
