"""Tasks of a worker service whose stream broke: how long they wait for it."""

import asyncio
from typing import Any

import pytest

from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.leases import BUILTIN_GRACE_MS, SERVICE_GRACE_MS, Lease, Leases
from flowmesh.runtime import Clock


class Loop:
    """A loop's timers, with the time in our hands."""

    def __init__(self) -> None:
        self._now_ms = 0.0
        self._due: list[tuple[float, Any, tuple[Any, ...]]] = []

    def call_later(self, delay_s: float, callback: Any, *arguments: Any) -> None:
        self._due.append((self._now_ms + delay_s * 1000, callback, arguments))

    def pass_ms(self, milliseconds: float) -> None:
        self._now_ms += milliseconds
        due = [one for one in self._due if one[0] <= self._now_ms]
        self._due = [one for one in self._due if one[0] > self._now_ms]
        for _, callback, arguments in due:
            callback(*arguments)


def attached() -> WorkerStream:
    stream = WorkerStream()
    stream.worker_service_id = "service"
    return stream


def held(leases: Leases, stream: WorkerStream, worker_id: str) -> Lease:
    lease = Lease(worker_id, "e", "n", 1, 0, stream, worker_id, 0.0, 0, 0, 0)
    leases.put(lease)
    return lease


def test_each_break_of_a_stream_has_a_grace_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that comes soon after another is not judged by the first one's time."""
    time = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: time)
    lost: list[str] = []
    leases = Leases(
        clock=Clock(),
        lost=lambda lease, _: lost.append(lease.worker_id),
        freed=lambda _: None,
    )
    first, second = attached(), attached()
    remote, builtin = held(leases, first, "remote"), held(leases, first, "service")
    leases.orphan(first)
    time.pass_ms(100)
    for lease in (remote, builtin):
        leases.adopt(lease, second, lease.worker_id)
    leases.reattached("service")
    time.pass_ms(BUILTIN_GRACE_MS - 200)
    leases.orphan(second)
    time.pass_ms(200)
    assert lost == []
    time.pass_ms(BUILTIN_GRACE_MS)
    assert lost == ["service"]
    time.pass_ms(SERVICE_GRACE_MS - BUILTIN_GRACE_MS - 300)
    assert lost == ["service"]
    time.pass_ms(500)
    assert lost == ["service", "remote"]
