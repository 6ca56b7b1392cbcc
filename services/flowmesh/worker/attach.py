"""The stream to one orchestrator: frames out and in, and coming back after a break.

A link numbers and keeps result frames until they are acknowledged. What goes where is decided
by the relay; a link decides nothing.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Protocol

import grpc

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.dispatch_service_pb2 import (
    AttachHello,
    AttachRequest,
    AttachResponse,
    Breaker,
    Grant,
    HeldTasks,
    LostTask,
    RefusedTask,
)
from flowmesh.api.worker.v1.task_pb2 import Heartbeat, TaskRecords
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.rpc import stream_retry_s
from flowmesh.worker import limits
from flowmesh.worker.leases import Lease
from flowmesh.worker.sayings import Sayings

# A structlog logger; the library gives bound loggers no common type.
Log = Any


class AttachCall(Protocol):
    """A running `DispatchService.Attach`."""

    def __aiter__(self) -> AsyncIterator[AttachResponse]: ...
    def cancel(self) -> object: ...


Attach = Callable[[AsyncIterator[AttachRequest]], AttachCall]


class LinkOwner(Protocol):
    """Who is told what happens on a link."""

    def hello(self) -> AttachHello: ...
    def connected(self, link: "Link") -> None: ...
    def disconnected(self, link: "Link", results: list[Lease]) -> None: ...
    def received(self, link: "Link", response: AttachResponse) -> None: ...


class Link:
    """One orchestrator. `run` keeps a stream to it; the other methods say what goes out on it."""

    def __init__(
        self,
        *,
        link_id: str,
        attach: Attach,
        owner: LinkOwner,
        monotonic_ms: Callable[[], float],
        log: Log,
    ) -> None:
        self.id = link_id
        self._log = log
        self.live = False
        # The instance has left the registry: no reconnect after the next break.
        self.retired = False
        self._finishing = False
        self.specs: OrderedDict[str, TaskSpec] = OrderedDict()
        self._attach = attach
        self._owner = owner
        self._monotonic_ms = monotonic_ms
        self._wake = asyncio.Event()
        self._call: AttachCall | None = None
        self._reset()

    def _reset(self) -> None:
        """A new stream: nothing is queued, numbered or known on it."""
        self._wake.set()
        self._wake = asyncio.Event()
        self.specs.clear()
        self._said = Sayings()
        self._queued: deque[Lease] = deque()
        self._records: deque[TaskRecords] = deque()
        self._frames: OrderedDict[int, list[Lease]] = OrderedDict()
        self._last_frame = 0
        self._sent_at_ms = self._monotonic_ms()
        self._heard = False
        self._unacknowledged: dict[str, Lease] = {}
        self._unacknowledged_bytes = 0

    # what is to be said; goes out when the loop gets to it, in one frame if that has room

    def grant(self, grant: Grant) -> None:
        self._say(grant.ByteSize()).grants.append(grant)

    def recall(self, set_id: str) -> None:
        self._say(len(set_id)).recalls.append(set_id)

    def gone(self, set_id: str) -> None:
        self._say(len(set_id)).gone_sets.append(set_id)

    def heartbeat(self, heartbeats: Iterable[Heartbeat]) -> None:
        for heartbeat in heartbeats:
            self._say(heartbeat.ByteSize()).heartbeats.append(heartbeat)

    def record(self, records: TaskRecords) -> None:
        self._records.append(records)
        self._wake.set()

    def lost(self, lost: LostTask) -> None:
        self._say(lost.ByteSize()).lost.append(lost)

    def give_back(self, token: str) -> None:
        self._say(len(token)).returned.append(token)

    def refuse(self, refused: RefusedTask) -> None:
        self._say(refused.ByteSize()).refused.append(refused)

    def hold(self, held: HeldTasks) -> None:
        self._wake.set()
        self._said.hold(held)

    def tell_breakers(self, breakers: Iterable[Breaker]) -> None:
        for breaker in breakers:
            self._say(breaker.ByteSize()).breakers.append(breaker)

    def claim(self, hello: AttachHello) -> None:
        """Says which tokens are here: first of all, and when a worker comes back with some."""
        self._wake.set()
        self._said.hello(hello)

    def _say(self, size: int) -> AttachRequest:
        self._wake.set()
        return self._said.room_for(size)

    def result(self, lease: Lease) -> None:
        """Queues the result of a lease; it is kept here until acknowledged or taken away."""
        lease.link = self
        lease.frame = 0
        self._queued.append(lease)
        self._unacknowledged[lease.token] = lease
        self._unacknowledged_bytes += lease.result_bytes
        self._wake.set()

    def withdraw(self, lease: Lease) -> None:
        """The result is settled or goes elsewhere: no longer this link's."""
        if self._unacknowledged.pop(lease.token, None) is not None:
            self._unacknowledged_bytes -= lease.result_bytes

    def ping_if_quiet(self, now_ms: float) -> None:
        """An empty frame, so that the orchestrator knows that this process lives."""
        if self.live and now_ms - self._sent_at_ms >= limits.PING_AFTER_MS:
            self._wake.set()

    @property
    def heard(self) -> bool:
        """Whether anything has come on the last stream."""
        return self._heard

    @property
    def takes_credit(self) -> bool:
        """False while too many results wait for the orchestrator's acknowledgement."""
        return (
            self.live
            and len(self._unacknowledged) < limits.UNACKNOWLEDGED_RESULTS_MAX
            and self._unacknowledged_bytes < limits.UNACKNOWLEDGED_BYTES_MAX
        )

    def acknowledged(self, frame: int) -> list[Lease]:
        """Takes the leases whose results the orchestrator has applied up to this frame."""
        leases: list[Lease] = []
        while self._frames and next(iter(self._frames)) <= frame:
            number, sent = self._frames.popitem(last=False)
            for lease in sent:
                if lease.frame == number and self._unacknowledged.get(lease.token) is lease:
                    self.withdraw(lease)
                    leases.append(lease)
        return leases

    def keep_specs(self, specs: Iterable[TaskSpec]) -> None:
        for spec in specs:
            # A copy: the message itself would keep its whole frame in memory.
            kept = TaskSpec()
            kept.CopyFrom(spec)
            self.specs[spec.digest] = kept
            # One that is sent again is the newest for both sides.
            self.specs.move_to_end(spec.digest)
        while len(self.specs) > limits.SPECS_PER_STREAM_MAX:
            self.specs.popitem(last=False)

    # the stream

    async def run(self) -> None:
        """Attaches again and again until retired; ends at once when canceled."""
        broken_at_ms: float | None = None
        while not self.retired:
            await self._stream()
            now_ms = self._monotonic_ms()
            if self._heard or broken_at_ms is None:
                broken_at_ms = now_ms
            await asyncio.sleep(stream_retry_s((now_ms - broken_at_ms) / 1_000))

    def finish(self) -> None:
        """Says what is still to be said, then ends the stream for good."""
        self.retired = self._finishing = True
        self._wake.set()

    def close(self) -> None:
        """Breaks the stream; `run` opens the next one."""
        if self._call is not None:
            self._call.cancel()

    async def _stream(self) -> None:
        self._reset()
        self.claim(self._owner.hello())
        try:
            self._call = call = self._attach(self._requests())
            self.live = True
            self._owner.connected(self)
            async for response in call:
                self._heard = True
                self._owner.received(self, response)
        except (grpc.RpcError, FlowmeshError, ConnectionError) as error:
            self._log.info("orchestrator_stream_broke", orchestrator=self.id, cause=cause_of(error))
        except asyncio.CancelledError:
            # `close` cancels the call, which looks the same as this task being canceled.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        except Exception as error:  # noqa: BLE001 (the link must go on)
            # A fault of ours in one frame must not cost the link: a new stream starts clean.
            self._log.error("orchestrator_stream_failed", orchestrator=self.id, exc_info=error)
        finally:
            self.close()
            self._call = None
            self.live = False
            waiting, self._unacknowledged = list(self._unacknowledged.values()), {}
            self._owner.disconnected(self, waiting)

    async def _requests(self) -> AsyncIterator[AttachRequest]:
        """The frames of one stream; ends when that stream does."""
        wake = self._wake
        while True:
            await wake.wait()
            wake.clear()
            while wake is self._wake:
                self._sent_at_ms = self._monotonic_ms()
                request = self._next_request()
                yield request
                if request.results:
                    failpoint("worker.result_sent")
                if not (self._said or self._records or self._queued):
                    break
            if wake is not self._wake or self._finishing:
                return

    def _next_request(self) -> AttachRequest:
        """What waits, up to the bound of a frame: results after all that was said before."""
        request = self._said.take()
        if self._said:
            return request
        sent: list[Lease] = []
        size = 0
        # Before results: a handler ends after what it asked for.
        while self._records and size < limits.FRAME_BYTES_MAX:
            records = self._records.popleft()
            request.records.append(records)
            size += records.ByteSize()
        while self._queued and size < limits.FRAME_BYTES_MAX:
            lease = self._queued.popleft()
            if self._unacknowledged.get(lease.token) is not lease or lease.result is None:
                continue
            sent.append(lease)
            size += lease.result_bytes
        if sent:
            self._last_frame += 1
            for lease in sent:
                lease.frame = self._last_frame
            self._frames[self._last_frame] = sent
            request.results_frame = self._last_frame
            request.results.extend([lease.result for lease in sent if lease.result is not None])
        return request


def cause_of(error: BaseException) -> str:
    """What to log of a broken stream: the code, not the text of a foreign exception."""
    if isinstance(error, grpc.aio.AioRpcError):
        return str(error.code().name)
    return error.reason if isinstance(error, FlowmeshError) else type(error).__name__


class Orchestrators:
    """A link to every orchestrator that the registry knows, from the moment it knows it."""

    def __init__(self, *, make_link: Callable[[str, str], Link]) -> None:
        self._make_link = make_link
        self._links: dict[str, tuple[Link, asyncio.Task[None]]] = {}
        self._closed = False

    def update(self, addresses: Mapping[str, str]) -> None:
        """The current instances: id to address. Who has left keeps its stream until it breaks."""
        if self._closed:
            return
        for instance_id, (link, task) in list(self._links.items()):
            link.retired = instance_id not in addresses
            if task.done():
                del self._links[instance_id]
        for instance_id, address in addresses.items():
            if instance_id not in self._links:
                link = self._make_link(instance_id, address)
                self._links[instance_id] = (link, asyncio.create_task(link.run()))

    async def close(self) -> None:
        """Ends all streams, at best after what was still to be said."""
        self._closed = True
        tasks = [task for _, task in self._links.values()]
        for link, _ in self._links.values():
            link.finish()
        self._links.clear()
        if tasks:
            await asyncio.wait(tasks, timeout=limits.FINISH_MS / 1000)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
