"""Offers starts to a suite from a process of its own, and says what became of them.

Reads one question a line (JSON), writes one answer a line. `closed`: so many callers, each with
one call open. `open`: a call whenever one is due, whether others have been answered or not.
They go out as calls of their own (`calls`) or over session streams (`sessions`), and are answered
at their end; `starts` are calls that are answered as soon as the start is committed.
"""

import asyncio
import itertools
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import grpc.aio
import uvloop
from google.rpc import error_details_pb2, status_pb2

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.testing.polling import pause

SERVICE = "/flowmesh.api.execution.v1.ExecutionService"
DETAILS_KEY = "grpc-status-details-bin"
WORKFLOW = "chain"
CHANNELS = 8
SESSIONS = 2
CHANNEL_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]
CODES = {code.value[0]: code.name for code in grpc.StatusCode}
WAIT_MS = 30_000
TICK_S = 0.005
# Callers that wait for an answer at most: what is offered while all of them do is not sent.
OPEN_MAX = 1_600
SHARES = (0.5, 0.99)


class Refusal(NamedTuple):
    """An answer that is no result: code and reason, and whether it says when to come back."""

    name: str
    delayed: bool


Told = Callable[[float, Refusal | None], None]
"""Called with the time at which a start was due, once it is answered or was refused."""


class Offered:
    """What became of the starts of one question; times in milliseconds."""

    def __init__(self) -> None:
        self.accepted_ms: list[float] = []
        self.refused_ms: list[float] = []
        self.reasons: dict[str, int] = {}
        self.without_delay = 0
        self.late = 0

    def count(self, due: float, refusal: Refusal | None) -> None:
        taken_ms = (time.perf_counter() - due) * 1_000
        if refusal is None:
            self.accepted_ms.append(taken_ms)
            return
        self.reasons[refusal.name] = self.reasons.get(refusal.name, 0) + 1
        self.refused_ms.append(taken_ms)
        self.without_delay += not refusal.delayed

    def answer(self, took_s: float) -> dict[str, Any]:
        return {
            "per_s": len(self.accepted_ms) / took_s,
            "accepted": len(self.accepted_ms),
            "refused": len(self.refused_ms),
            "accepted_ms": _shares(self.accepted_ms),
            "refused_ms": _shares(self.refused_ms),
            "reasons": self.reasons,
            "without_delay": self.without_delay,
            "late": self.late,
        }


def _shares(values: list[float]) -> list[float]:
    ordered = sorted(values) or [0.0]
    return [round(ordered[min(int(len(ordered) * s), len(ordered) - 1)], 1) for s in SHARES]


class Sender(Protocol):
    """Sends starts, and tells once they are answered."""

    def send(self, due: float, told: Told) -> None: ...


class Calls:
    """Each start is a call that waits for so long; its request is made before it is needed."""

    def __init__(self, address: str, wait_ms: int = WAIT_MS) -> None:
        path = f"{SERVICE}/StartExecution"
        channels = [grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) for _ in range(CHANNELS)]
        calls: list[grpc.aio.UnaryUnaryMultiCallable[Any, Any]] = [
            channel.unary_unary(path) for channel in channels
        ]
        self._calls = itertools.cycle(calls)
        self._requests = _requests(wait_ms)
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, due: float, told: Told) -> None:
        task = asyncio.create_task(self._send(due, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, due: float, told: Told) -> None:
        try:
            await next(self._calls)(next(self._requests), timeout=WAIT_MS / 1_000 + 5)
        except grpc.aio.AioRpcError as error:
            told(due, _refused(error))
        else:
            told(due, None)


class Sessions:
    """Starts go out in frames, over a few streams: what is sent in one pass is in one."""

    def __init__(self, address: str) -> None:
        channels = [grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) for _ in range(SESSIONS)]
        self._sessions = itertools.cycle([_Session(channel) for channel in channels])

    def send(self, due: float, told: Told) -> None:
        next(self._sessions).send(due, told)


class _Session:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stream: Any = channel.stream_stream(
            f"{SERVICE}/Session",
            request_serializer=pb.SessionRequest.SerializeToString,
            response_deserializer=pb.SessionResponse.FromString,
        )()
        self._frame = pb.SessionRequest()
        self._wake = asyncio.Event()
        self._open: dict[int, tuple[float, Told]] = {}
        self._numbers = itertools.count(1)
        self._name = uuid.uuid4().hex
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]
        for task in self._tasks:
            # Nobody is answered any more: this process ends, with what broke the stream.
            task.add_done_callback(lambda ended: ended.get_loop().stop())

    def send(self, due: float, told: Told) -> None:
        number = next(self._numbers)
        start = self._frame.starts.add(call_id=number, want_result=True).start
        start.workflow_id, start.request_id = WORKFLOW, f"{self._name}-{number}"
        self._open[number] = due, told
        self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            frame, self._frame = self._frame, pb.SessionRequest()
            await self._stream.write(frame)

    async def _read(self) -> None:
        while True:
            response = await self._stream.read()
            for result in response.results:
                due, told = self._open.pop(result.call_id)
                told(due, None)
            for refused in response.refused:
                due, told = self._open.pop(refused.call_id)
                name = f"{CODES[refused.code]}/{refused.reason}"
                told(due, Refusal(name, refused.retry_after_ms > 0))


SENDERS: dict[str, Callable[[str], Sender]] = {
    "calls": Calls,
    "sessions": Sessions,
    "starts": partial(Calls, wait_ms=0),
}


class Load:
    """Answers questions by one of SENDERS."""

    def __init__(self, address: str, by: str) -> None:
        self._sender = SENDERS[by](address)

    async def closed(self, callers: int, seconds: float) -> dict[str, Any]:
        offered, until = Offered(), time.perf_counter() + seconds
        left, done = callers, asyncio.Event()

        def told(due: float, refusal: Refusal | None) -> None:
            nonlocal left
            offered.count(due, refusal)
            now = time.perf_counter()
            if now < until:
                self._sender.send(now, told)
                return
            left -= 1
            if not left:
                done.set()

        for _ in range(callers):
            self._sender.send(time.perf_counter(), told)
        await done.wait()
        return offered.answer(seconds)

    async def open(self, per_s: float, seconds: float) -> dict[str, Any]:
        """Counts what is answered while it offers; waits for the rest without counting it."""
        offered, began = Offered(), time.perf_counter()
        made = answered = late = 0

        def told(due: float, refusal: Refusal | None) -> None:
            nonlocal answered
            answered += 1
            offered.count(due, refusal)

        while (passed := time.perf_counter() - began) < seconds:
            due = int(passed * per_s)
            for number in range(made, due):
                if number - late - answered >= OPEN_MAX:
                    late += 1
                else:
                    self._sender.send(began + number / per_s, told)
            made = due
            await pause(TICK_S)
        offered.late = late
        answer = offered.answer(seconds)
        while made - late > answered:
            await pause(TICK_S)
        return {**answer, "offered_per_s": made / seconds, "open_at_end": made - answer["accepted"]}


def _refused(error: grpc.aio.AioRpcError) -> Refusal:
    reason, delayed = "", False
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            for detail in status_pb2.Status.FromString(value).details:
                info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
                if detail.Is(info.DESCRIPTOR):
                    detail.Unpack(info)
                    reason = info.reason
                delayed |= detail.Is(retry.DESCRIPTOR)
    return Refusal(f"{error.code().name}/{reason}", delayed)


def _requests(wait_ms: int) -> Iterator[bytes]:
    """Starts under request ids of their own, as clients send them."""
    plain = pb.StartExecutionRequest(workflow_id=WORKFLOW, wait_ms=wait_ms, without_nodes=True)
    while True:
        plain.request_id = uuid.uuid4().hex
        yield plain.SerializeToString()


async def main(address: str, by: str) -> None:
    load = Load(address, by)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        question = json.loads(line)
        answer = await getattr(load, question.pop("do"))(**question)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
