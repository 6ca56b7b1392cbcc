"""The middle of the worker service: tasks from orchestrators to worker sets, results back.

Everything here runs on the event loop without awaiting, once per frame and not per task. Messages
for a stream are queued and sent once per pass of the loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from flowmesh.api.worker.v1.dispatch_service_pb2 import AttachHello, AttachResponse, LostTask
from flowmesh.api.worker.v1.task_pb2 import (
    RESULT_EXCEPTION_KIND_MOVED,
    Heartbeat,
    ResultException,
    TaskRecorded,
    TaskRecords,
    TaskResult,
)
from flowmesh.executors.breakers import Breakers
from flowmesh.failpoints import failpoint
from flowmesh.worker import limits
from flowmesh.worker.breaker_reports import BreakerReports
from flowmesh.worker.credit_grants import CreditGrants
from flowmesh.worker.dispatches import Dispatches
from flowmesh.worker.leases import (
    UNKNOWN_PARTITION,
    Lease,
    Leases,
    Receipt,
    held_task,
    scope_of,
)
from flowmesh.worker.result_router import ResultRouter
from flowmesh.worker.sets import WorkerSet
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream

WORKER_LOST = "WORKER_LOST"


class Relay:
    """Worker sets and the tasks that they hold; the listener of all streams to orchestrators."""

    def __init__(self, *, worker_service_id: str, monotonic_ms: Callable[[], float]) -> None:
        self.worker_service_id = worker_service_id
        self._monotonic_ms = monotonic_ms
        self._sets: dict[str, WorkerSet] = {}
        # The current set of each worker id.
        self._workers: dict[str, WorkerSet] = {}
        self._leases = Leases()
        # Set when a lease or a stream has ended.
        self._ended = asyncio.Event()
        self._router = ResultRouter(monotonic_ms=monotonic_ms, waited=self._ended.set)
        self._streams = self._router.streams
        self._grants = CreditGrants(
            sets=self._sets, streams=self._streams, monotonic_ms=monotonic_ms
        )
        self._dispatches = Dispatches(
            sets=self._sets,
            leases=self._leases,
            router=self._router,
            grants=self._grants,
            drop=lambda lease: self._settle([lease], stale=True),
        )
        self._breakers = BreakerReports(self._streams)

    def report_breakers(self, breakers: Breakers) -> None:
        """Report changed breakers to every orchestrator, and apply those of other services."""
        self._breakers.watch(breakers)

    # --- streams to orchestrators ---

    def hello(self) -> AttachHello:
        leases = self._leases.all()
        for lease in leases:
            lease.shared = True
        return self._hello(leases)

    def _hello(self, leases: Iterable[Lease]) -> AttachHello:
        return AttachHello(worker_service_id=self.worker_service_id, held=map(held_task, leases))

    def connected(self, stream: OrchestratorStream) -> None:
        self._streams[stream.id] = stream
        self._breakers.connected(stream)
        self._router.send_waiting(stream)
        self._grants.change_all()

    def disconnected(self, stream: OrchestratorStream, results: list[Lease]) -> None:
        self._streams.pop(stream.id, None)
        self._ended.set()
        self._router.disconnected(results, heard=stream.heard)
        self._grants.disconnected(stream.id)

    def received(self, stream: OrchestratorStream, response: AttachResponse) -> None:
        if response.specs:
            stream.keep_specs(response.specs)
        if response.exceptions:
            self._refused(stream, response.exceptions)
        if response.acknowledged_frame:
            throttled = not stream.takes_credit
            acknowledged = stream.results.acknowledge(response.acknowledged_frame)
            self._settle(acknowledged, stale=False)
            if throttled and stream.takes_credit:
                self._grants.change_all()
        if response.claim_partitions:
            self._dispatches.claimed(stream, response.claim_partitions, response.claim_epochs)
        for recall in response.recalled:
            self._grants.recalled(stream.id, recall.set_id, recall.slots)
        for backlog in response.backlogs:
            self._grants.backlog(stream.id, backlog.set_id, backlog.tasks)
        if response.breakers:
            self._breakers.received(response.breakers)
        if response.tasks:
            self._dispatches.dispatched(stream, response.tasks)
        if response.recorded:
            self._recorded(response.recorded)
        if response.cancels:
            self._cancel(response.cancels)

    def _recorded(self, recorded: Iterable[TaskRecorded]) -> None:
        """Forward the confirmation of journal records to the workers that sent them."""
        for each in recorded:
            lease = self._leases.get(each.token)
            if lease is None or lease.result is not None:
                continue
            if each.moved:
                # The handler repeats the records soon; send them to all orchestrators then.
                lease.shared = True
            elif lease.worker_set is not None:
                lease.worker_set.recorded(each)

    def _refused(self, stream: OrchestratorStream, exceptions: Iterable[ResultException]) -> None:
        """Route results to another orchestrator if this one is not the owner; drop stale ones."""
        stale: list[Lease] = []
        for exception in exceptions:
            lease = self._leases.get(exception.token)
            if lease is None or lease.result is None or lease.stream is not stream:
                continue
            stream.results.withdraw(lease)
            if exception.kind == RESULT_EXCEPTION_KIND_MOVED:
                lease.refused_by.add(stream.id)
                self._router.route(lease)
            else:
                stale.append(lease)
        self._settle(stale, stale=True)

    def _settle(self, leases: Iterable[Lease], *, stale: bool) -> None:
        """Remove leases whose results are applied or stale, and report them to the workers."""
        receipts: dict[str, list[Receipt]] = {}
        tokens: dict[str, list[str]] = {}
        self._ended.set()
        for lease in leases:
            self._leases.remove(lease)
            for receipt in lease.receipts:
                receipt.open -= 1
                # Several workers may have sent the same result.
                receipts.setdefault(receipt.worker_id, []).append(receipt)
            if stale:
                tokens.setdefault(lease.worker_id, []).append(lease.token)
        for worker_id in {**receipts, **tokens}:
            if worker_set := self._workers.get(worker_id):
                worker_set.settled(receipts.get(worker_id, []), tokens.get(worker_id, []))

    def _cancel(self, tokens: Iterable[str]) -> None:
        by_set: dict[WorkerSet, list[str]] = {}
        for token in tokens:
            lease = self._leases.get(token)
            if lease is None or lease.result is not None:
                continue
            lease.canceled = True
            if lease.worker_set is not None:
                by_set.setdefault(lease.worker_set, []).append(token)
        for worker_set, canceled in by_set.items():
            worker_set.cancel(canceled)

    # --- worker sets ---

    def add_set(self, worker_set: WorkerSet, held: Sequence[str] = ()) -> None:
        """Add a set; `held` are tokens that its worker still runs after a reconnect.

        A task of another owner stays where it is.
        """
        self._sets[worker_set.set_id] = worker_set
        self._workers[worker_set.worker_id] = worker_set
        new: list[Lease] = []
        canceled: list[str] = []
        for token in held:
            lease = self._leases.get(token)
            if lease is None:
                lease = Lease(token, worker_set.worker_id, worker_set, None, owner=worker_set.owner)
                self._leases.add(lease)
                new.append(lease)
            elif lease.result is not None or lease.owner != worker_set.owner:
                continue
            elif lease.worker_set is not None:
                lease.worker_set.credit.release()
            lease.worker_set = worker_set
            worker_set.credit.adopt()
            if lease.canceled:
                canceled.append(token)
        if new:
            for stream in self._streams.values():
                stream.frames.hello(self._hello(new))
        if canceled:
            worker_set.cancel(canceled)
        self._grants.change([worker_set])

    def remove_set(self, worker_set: WorkerSet) -> None:
        """Remove a set whose stream broke.

        Its tasks are lost unless the worker reconnects within REATTACH_GRACE_MS.
        """
        if self._sets.pop(worker_set.set_id, None) is None:
            return
        if self._workers.get(worker_set.worker_id) is worker_set:
            del self._workers[worker_set.worker_id]
        self._grants.recall_removed(worker_set)
        running, now_ms = self._leases.running_at(worker_set), self._monotonic_ms()
        for lease in running:
            lease.worker_set, lease.away_since_ms = None, now_ms
        if running:
            loop = asyncio.get_running_loop()
            loop.call_later(limits.REATTACH_GRACE_MS / 1000, self._lose, running, now_ms)

    def resize_set(self, worker_set: WorkerSet, slots: int) -> None:
        """Set the number of slots of a set; recall credit beyond it."""
        credit = worker_set.credit
        credit.slots = slots
        if credit.overdrawn:
            self._grants.recall_all(worker_set)
        self._grants.change([worker_set])

    def drain_set(self, worker_set: WorkerSet) -> None:
        """Stop the dispatch of tasks to a set; its running tasks continue."""
        worker_set.draining = True
        self._grants.recall_all(worker_set)

    def return_tasks(self, tokens: Iterable[str]) -> None:
        """Return running tasks of a process that stops; their deliveries are not counted."""
        for token in tokens:
            lease = self._leases.get(token)
            if lease is None or lease.result is not None:
                continue
            self._leases.remove(lease)
            self._ended.set()
            if lease.worker_set is not None:
                lease.worker_set.credit.release()
            for stream in self._router.reporting_to(lease):
                stream.frames.return_task(token)

    def complete(
        self, worker_set: WorkerSet, results: Iterable[TaskResult], receipt: Receipt | None = None
    ) -> None:
        """Send the results of a set to their orchestrators; keep them until acknowledged."""
        for result in results:
            lease = self._leases.get(result.token)
            if lease is None:
                # Acknowledged before, or run through another worker service: the owner decides.
                lease = Lease(
                    result.token, worker_set.worker_id, None, None, owner=worker_set.owner
                )
                self._leases.add(lease)
            elif lease.owner != worker_set.owner:
                _refuse_foreign(worker_set, result, receipt)
                continue
            if receipt is not None:
                lease.receipts.append(receipt)
            if lease.result is not None:
                continue
            if lease.worker_set is not None:
                lease.worker_set.credit.release()
                self._grants.change([lease.worker_set])
                if lease.worker_set.worker_id != worker_set.worker_id:
                    # A worker that was taken for lost finished first: cancel the second run.
                    lease.worker_set.cancel([lease.token])
            lease.worker_id = worker_set.worker_id
            if lease.partition == UNKNOWN_PARTITION:
                # Not dispatched through this service: the orchestrator may not know the worker.
                result.worker_id = lease.worker_id
            if worker_set.owner is not None:
                _attribute(result, lease)
            lease.worker_set = None
            lease.result = result
            lease.result_bytes = result.ByteSize()
            self._router.route(lease)

    def heartbeats(self, worker_set: WorkerSet, heartbeats: Iterable[Heartbeat]) -> None:
        """Forward heartbeats of running tasks of the owner."""
        by_stream: dict[OrchestratorStream, list[Heartbeat]] = {}
        for heartbeat in heartbeats:
            lease = self._leases.get(heartbeat.token)
            if lease is None or lease.owner != worker_set.owner:
                continue
            if lease.result is None:
                for stream in self._router.reporting_to(lease):
                    by_stream.setdefault(stream, []).append(heartbeat)
        failpoint("worker.heartbeat")
        for stream, beats in by_stream.items():
            stream.frames.heartbeat(beats)

    def records(self, worker_set: WorkerSet, records: Iterable[TaskRecords]) -> None:
        """Forward journal records of handlers, which repeat them until they are confirmed."""
        for each in records:
            lease = self._leases.get(each.token)
            if lease is None or (lease.result is None and lease.worker_set is not worker_set):
                worker_set.recorded(TaskRecorded(token=each.token, elsewhere=True))
            elif lease.result is None:
                for stream in self._router.reporting_to(lease):
                    stream.frames.record(each)

    # --- state ---

    def runs(self, token: str) -> bool:
        """Return whether a task runs here."""
        lease = self._leases.get(token)
        return lease is not None and lease.result is None

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of attached orchestrators, worker sets and leases."""
        return len(self._streams), len(self._sets), len(self._leases)

    async def until_settled(self) -> None:
        """Wait until no task runs and every result is acknowledged."""
        while len(self._leases):
            self._ended.clear()
            await self._ended.wait()

    async def until_quiet(self) -> None:
        """Wait until no task runs and no attached orchestrator can take a waiting result."""
        while self._streams and len(self._leases) > len(self._router.waiting):
            self._ended.clear()
            await self._ended.wait()

    # --- time ---

    def tick(self) -> None:
        """Send pings, end silent workers, and retry results whose orchestrator is away."""
        now_ms = self._monotonic_ms()
        for worker_set in list(self._sets.values()):
            worker_set.check_alive(now_ms)
            self._grants.close_silent(worker_set, now_ms)
        for stream in self._streams.values():
            stream.ping_if_quiet(now_ms)
        self._router.retry_waiting(now_ms)

    def _lose(self, leases: list[Lease], since_ms: float) -> None:
        """Report tasks as lost or returned that no worker runs at the end of a grace period."""
        for lease in leases:
            known = self._leases.get(lease.token) is lease
            if not known or lease.worker_set is not None or lease.result is not None:
                continue
            if lease.away_since_ms != since_ms:
                # Reconnected and disconnected again: the later break has its own grace period.
                continue
            self._leases.remove(lease)
            self._ended.set()
            for stream in self._router.reporting_to(lease):
                if lease.worker_id in self._workers:
                    # The worker reconnected without this task: it never received it.
                    stream.frames.return_task(lease.token)
                else:
                    stream.frames.report_lost(
                        LostTask(token=lease.token, worker_id=lease.worker_id, reason=WORKER_LOST)
                    )


def _refuse_foreign(worker_set: WorkerSet, result: TaskResult, receipt: Receipt | None) -> None:
    """Drop a result of a task that another owner's worker holds."""
    if receipt is not None:
        receipt.open -= 1
    worker_set.settled([], [result.token])


def _attribute(result: TaskResult, lease: Lease) -> None:
    """Set the worker of a result, and the scope by which it is checked, in place of its own."""
    result.worker_id = lease.worker_id
    result.ClearField("scope")
    if (scope := scope_of(lease)) is not None:
        result.scope.CopyFrom(scope)
