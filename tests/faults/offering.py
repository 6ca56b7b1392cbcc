"""Offers unary starts to a suite from a process of its own, and says what became of them.

Reads one question a line (JSON), writes one answer a line. `closed`: so many callers, each with
one call open. `open`: a call whenever one is due, whether others have been answered or not.
"""

import asyncio
import itertools
import json
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import grpc.aio
import uvloop
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.testing.polling import pause

PATH = "/flowmesh.api.execution.v1.ExecutionService/StartExecution"
DETAILS_KEY = "grpc-status-details-bin"
CHANNELS = 8
WAIT_MS = 30_000
TICK_S = 0.002
# Callers that wait for an answer at most: what is offered while all of them do is not sent.
OPEN_MAX = 1_600
SHARES = (0.5, 0.99)


class Offered:
    """What became of the calls of one question; times in milliseconds."""

    def __init__(self) -> None:
        self.accepted_ms: list[float] = []
        self.refused_ms: list[float] = []
        self.reasons: dict[str, int] = {}
        self.without_delay = 0
        self.late = 0

    def refused(self, error: grpc.aio.AioRpcError, taken_ms: float) -> None:
        """Counts an answer that is no result by its code and reason."""
        reason, delayed = "", False
        for key, value in error.trailing_metadata() or ():
            if key == DETAILS_KEY:
                for detail in status_pb2.Status.FromString(value).details:
                    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
                    if detail.Is(info.DESCRIPTOR):
                        detail.Unpack(info)
                        reason = info.reason
                    delayed |= detail.Is(retry.DESCRIPTOR)
        name = f"{error.code().name}/{reason}"
        self.reasons[name] = self.reasons.get(name, 0) + 1
        self.refused_ms.append(taken_ms)
        self.without_delay += not delayed

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


class Load:
    """Calls over a few connections; every request is made before it is needed."""

    def __init__(self, address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(address, options) for _ in range(CHANNELS)]
        self._calls = itertools.cycle([channel.unary_unary(PATH) for channel in self._channels])
        self._requests = _requests()

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def call(self, offered: Offered, due: float) -> None:
        """One start that waits for its end."""
        try:
            await next(self._calls)(next(self._requests), timeout=WAIT_MS / 1_000 + 5)
        except grpc.aio.AioRpcError as error:
            offered.refused(error, (time.perf_counter() - due) * 1_000)
        else:
            offered.accepted_ms.append((time.perf_counter() - due) * 1_000)

    async def closed(self, callers: int, seconds: float) -> dict[str, Any]:
        offered, until = Offered(), time.perf_counter() + seconds

        async def lane() -> None:
            while (now := time.perf_counter()) < until:
                await self.call(offered, now)

        await asyncio.gather(*(lane() for _ in range(callers)))
        return offered.answer(seconds)

    async def open(self, per_s: float, seconds: float) -> dict[str, Any]:
        """Counts what is answered while it offers; waits for the rest without counting it."""
        offered, began = Offered(), time.perf_counter()
        calls: set[asyncio.Task[None]] = set()
        made = 0
        while (passed := time.perf_counter() - began) < seconds:
            due = int(passed * per_s)
            for number in range(made, due):
                if len(calls) >= OPEN_MAX:
                    offered.late += 1
                    continue
                call = asyncio.create_task(self.call(offered, began + number / per_s))
                calls.add(call)
                call.add_done_callback(calls.discard)
            made = due
            await pause(TICK_S)
        answer = offered.answer(seconds)
        await asyncio.gather(*calls)
        return {**answer, "offered_per_s": made / seconds, "open_at_end": made - answer["accepted"]}


def _requests() -> Iterator[bytes]:
    """Starts under request ids of their own, as clients send them."""
    plain = pb.StartExecutionRequest(workflow_id="chain", wait_ms=WAIT_MS, without_nodes=True)
    while True:
        plain.request_id = uuid.uuid4().hex
        yield plain.SerializeToString()


async def main(address: str) -> None:
    load = Load(address)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        question = json.loads(line)
        answer = await getattr(load, question.pop("do"))(**question)
        print(json.dumps(answer), flush=True)
    await load.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
