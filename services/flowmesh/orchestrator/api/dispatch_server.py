"""DispatchService: one stream per worker service, read and written concurrently."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.api.worker.v1 import dispatch_service_pb2_grpc as pb_grpc
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.errors import FlowmeshError, Invalid, Unavailable
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.model.commands import Answer, Stale
from flowmesh.orchestrator.model.errors import Moved
from flowmesh.orchestrator.ownership.lease_keeper import LeaseKeeper
from flowmesh.rpc import LOCAL_PEER


class _Frame:
    """A frame of results whose commits are pending."""

    __slots__ = ("number", "open")

    def __init__(self, number: int, results: int) -> None:
        self.number = number
        self.open = results


class _Acknowledger:
    """Acknowledges frames in order, each once all of its results are settled."""

    def __init__(self, stream: WorkerStream) -> None:
        self._stream = stream
        self._frames: deque[_Frame] = deque()

    def frame(self, number: int, results: int) -> _Frame:
        frame = _Frame(number, results)
        self._frames.append(frame)
        return frame

    def settler(self, frame: _Frame, token: str) -> Callable[[Answer | Exception], None]:
        def settle(answer: Answer | Exception) -> None:
            kind = _exception_of(answer)
            if kind:
                self._stream.out.exceptions.add(token=token, kind=kind)
            frame.open -= 1
            if not frame.open:
                self._advance()

        return settle

    def _advance(self) -> None:
        acknowledged = 0
        while self._frames and not self._frames[0].open:
            acknowledged = self._frames.popleft().number
        if acknowledged:
            self._stream.acknowledge(acknowledged)


def _exception_of(answer: Answer | Exception) -> task_pb2.ResultExceptionKind.ValueType:
    if isinstance(answer, Moved | Unavailable):
        # Not settled: the worker service keeps the result and sends it again.
        return task_pb2.RESULT_EXCEPTION_KIND_MOVED
    if isinstance(answer, Stale | FlowmeshError | ValueError):
        return task_pb2.RESULT_EXCEPTION_KIND_STALE
    return task_pb2.RESULT_EXCEPTION_KIND_UNSPECIFIED


class DispatchServer(pb_grpc.DispatchServiceServicer):
    """The streams of worker services."""

    def __init__(
        self,
        *,
        dispatcher: Dispatcher,
        keeper: LeaseKeeper,
        spawn: Callable[[Any], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._keeper = keeper
        self._spawn = spawn

    async def Attach(
        self, request_iterator: AsyncIterator[pb.AttachRequest], context: Any
    ) -> AsyncIterator[pb.AttachResponse]:
        stream = WorkerStream(local=context.peer() == LOCAL_PEER)
        reader = asyncio.create_task(self._read(stream, request_iterator))
        reader.add_done_callback(lambda _: stream.flush_soon())
        try:
            while True:
                yield await stream.next_frame()
                if reader.done():
                    reader.result()
                    return
        finally:
            reader.cancel()
            self._dispatcher.services.detach(stream)

    async def _read(self, stream: WorkerStream, requests: AsyncIterator[pb.AttachRequest]) -> None:
        acknowledger = _Acknowledger(stream)
        async for request in requests:
            if not stream.worker_service_id and not request.hello.worker_service_id:
                raise Invalid("HELLO_INVALID", "the first message must contain a hello with an id")
            self._take(stream, acknowledger, request)

    def _take(
        self, stream: WorkerStream, acknowledger: _Acknowledger, request: pb.AttachRequest
    ) -> None:
        dispatcher = self._dispatcher
        if request.HasField("hello"):
            dispatcher.services.attach(stream, request.hello)
        if request.breakers:
            dispatcher.services.update_breakers(stream, request.breakers)
        if request.held:
            # Before results of the same frame.
            dispatcher.services.held(stream, request.held)
        if request.records:
            dispatcher.journals.record(stream, request.records)
        if request.results:
            failpoint("orchestrator.result_received")
            frame = acknowledger.frame(request.results_frame, len(request.results))
            for result in request.results:
                dispatcher.results.result(result, acknowledger.settler(frame, result.token))
        dispatcher.services.grant(stream, request.grants)
        if request.recalls:
            # Credit granted in the same frame is used before it is returned; otherwise both sides
            # would exchange grant and recall without end.
            dispatcher.pump()
        dispatcher.results.heartbeat(request.heartbeats)
        dispatcher.results.lost(stream, request.lost)
        dispatcher.results.returned(stream, request.returned)
        dispatcher.services.recall(stream, request.recalls)
        stream.remove_sets(request.gone_sets)
        for refused in request.refused:
            dispatcher.results.returned(stream, [refused.token])
            self._spawn(self._keeper.raise_epoch(refused.partition, refused.epoch_seen))
        if request.grants or request.returned:
            dispatcher.pump()
