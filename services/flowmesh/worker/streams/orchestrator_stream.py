"""The stream to one orchestrator: it sends and receives frames, and reconnects after a break.

The listener decides what is sent; a stream decides nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

import grpc

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.dispatch_service_pb2 import AttachHello, AttachRequest, AttachResponse
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.rpc import stream_retry_s
from flowmesh.worker import limits
from flowmesh.worker.leases import Lease
from flowmesh.worker.streams.outgoing_frames import OutgoingFrames
from flowmesh.worker.streams.unacknowledged_results import UnacknowledgedResults

# A structlog logger; the library gives bound loggers no common type.
Log = Any


class AttachCall(Protocol):
    """A running `DispatchService.Attach`."""

    def __aiter__(self) -> AsyncIterator[AttachResponse]: ...
    def cancel(self) -> object: ...


Attach = Callable[[AsyncIterator[AttachRequest]], AttachCall]


class StreamListener(Protocol):
    """Receives the events of streams."""

    def hello(self) -> AttachHello: ...
    def connected(self, stream: "OrchestratorStream") -> None: ...
    def disconnected(self, stream: "OrchestratorStream", results: list[Lease]) -> None: ...
    def received(self, stream: "OrchestratorStream", response: AttachResponse) -> None: ...


class OrchestratorStream:
    """The connection to one orchestrator. `run` keeps a stream open.

    `frames` and `results` are what is to be sent; both start empty on each new stream. `specs` are
    the task specs that the orchestrator has sent on this stream. `retired` is set when the
    instance has left the registry: there is no reconnect after the next break.
    """

    def __init__(
        self,
        *,
        stream_id: str,
        attach: Attach,
        listener: StreamListener,
        monotonic_ms: Callable[[], float],
        log: Log,
    ) -> None:
        self.id = stream_id
        self._log = log
        self.live = False
        self.retired = False
        self._finishing = False
        self.specs: OrderedDict[str, TaskSpec] = OrderedDict()
        self._attach = attach
        self._listener = listener
        self._monotonic_ms = monotonic_ms
        self._wake = asyncio.Event()
        self._call: AttachCall | None = None
        self._reset()

    def _reset(self) -> None:
        """Forget everything that belongs to the former stream."""
        self._wake.set()
        self._wake = asyncio.Event()
        self.specs.clear()
        self.frames = OutgoingFrames(self._wake.set)
        self.results = UnacknowledgedResults()
        self._sent_at_ms = self._monotonic_ms()
        self._heard = False

    def send_result(self, lease: Lease) -> None:
        """Queue the result of a lease; it is kept until acknowledged or withdrawn."""
        lease.stream = self
        self.results.add(lease)
        self._wake.set()

    def ping_if_quiet(self, now_ms: float) -> None:
        """Send an empty frame after a silence, so that the orchestrator sees a live process."""
        if self.live and now_ms - self._sent_at_ms >= limits.PING_AFTER_MS:
            self._wake.set()

    @property
    def heard(self) -> bool:
        """True if the orchestrator has sent anything on the last stream."""
        return self._heard

    @property
    def takes_credit(self) -> bool:
        """False while too many results wait for the orchestrator's acknowledgement."""
        return self.live and not self.results.full

    def keep_specs(self, specs: Iterable[TaskSpec]) -> None:
        """Keep the newest task specs, in the order in which the orchestrator keeps them too."""
        for spec in specs:
            # A copy: the message itself would keep its whole frame in memory.
            kept = TaskSpec()
            kept.CopyFrom(spec)
            self.specs[spec.digest] = kept
            # A repeated spec becomes the newest one on both sides.
            self.specs.move_to_end(spec.digest)
        while len(self.specs) > limits.SPECS_PER_STREAM_MAX:
            self.specs.popitem(last=False)

    # --- the stream ---

    async def run(self) -> None:
        """Attach, and reattach after each break, until retired; stop at once when canceled."""
        broken_at_ms: float | None = None
        while not self.retired:
            await self._stream()
            now_ms = self._monotonic_ms()
            if self._heard or broken_at_ms is None:
                broken_at_ms = now_ms
            await asyncio.sleep(stream_retry_s((now_ms - broken_at_ms) / 1_000))

    def finish(self) -> None:
        """Send everything that is queued, then end the stream for good."""
        self.retired = self._finishing = True
        self._wake.set()

    def close(self) -> None:
        """Break the stream; `run` opens the next one."""
        if self._call is not None:
            self._call.cancel()

    async def _stream(self) -> None:
        self._reset()
        self.frames.hello(self._listener.hello())
        try:
            self._call = call = self._attach(self._requests())
            self.live = True
            self._listener.connected(self)
            async for response in call:
                self._heard = True
                self._listener.received(self, response)
        except (grpc.RpcError, FlowmeshError, ConnectionError) as error:
            self._log.info("orchestrator_stream_broke", orchestrator=self.id, cause=cause_of(error))
        except asyncio.CancelledError:
            # `close` cancels the call, which looks the same as this task being canceled.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        except Exception as error:  # noqa: BLE001 (the stream must be opened again)
            # A fault in handling one frame must not end the connection: start a new stream.
            self._log.error("orchestrator_stream_failed", orchestrator=self.id, exc_info=error)
        finally:
            self.close()
            self._call = None
            self.live = False
            unacknowledged, self.results = self.results.leases(), UnacknowledgedResults()
            self._listener.disconnected(self, unacknowledged)

    async def _requests(self) -> AsyncIterator[AttachRequest]:
        """Yield the frames of one stream; end with that stream."""
        wake = self._wake
        while True:
            await wake.wait()
            wake.clear()
            while wake is self._wake:
                self._sent_at_ms = self._monotonic_ms()
                request = self.next_request()
                yield request
                if request.results:
                    failpoint("worker.result_sent")
                if not (self.frames or self.results.queued):
                    break
            if wake is not self._wake or self._finishing:
                return

    def next_request(self) -> AttachRequest:
        """Return the next frame. Results follow every message that was queued before them."""
        request, size = self.frames.take()
        self.results.add_to(request, size)
        return request


def cause_of(error: BaseException) -> str:
    """Return the code of an error for the log, not the text of a foreign exception."""
    if isinstance(error, grpc.aio.AioRpcError):
        return str(error.code().name)
    return error.reason if isinstance(error, FlowmeshError) else type(error).__name__
