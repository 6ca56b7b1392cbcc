"""The middle of the worker service: tasks from orchestrators to worker sets, results back.

Everything here happens on the event loop, without awaiting: per frame, never per task. What is
to be said on a stream is collected and leaves once per pass of the loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from flowmesh.api.worker.v1.dispatch_service_pb2 import (
    AttachHello,
    AttachResponse,
    DispatchedTask,
    HeldTask,
    HeldTasks,
    LostTask,
    RefusedTask,
)
from flowmesh.api.worker.v1.task_pb2 import (
    RESULT_EXCEPTION_KIND_MOVED,
    Heartbeat,
    ResultException,
    Task,
    TaskRecorded,
    TaskRecords,
    TaskResult,
)
from flowmesh.executors.breakers import Breaker, Breakers
from flowmesh.failpoints import failpoint
from flowmesh.worker import limits
from flowmesh.worker.attach import Link
from flowmesh.worker.breaker_messages import message_of
from flowmesh.worker.leases import UNKNOWN_PARTITION, Lease, Leases, Receipt
from flowmesh.worker.sets import WorkerSet

WORKER_LOST = "WORKER_LOST"


class Relay:
    """Who holds which task, who may send how many more, and which result waits for whom."""

    def __init__(self, *, worker_service_id: str, monotonic_ms: Callable[[], float]) -> None:
        self.worker_service_id = worker_service_id
        self._monotonic_ms = monotonic_ms
        self._links: dict[str, Link] = {}
        self._sets: dict[str, WorkerSet] = {}
        # The current set of each worker id.
        self._workers: dict[str, WorkerSet] = {}
        self._leases = Leases()
        # Results that no stream holds at the moment, by token.
        self._waiting: dict[str, Lease] = {}
        # Who sent the newest dispatch or claim of a partition.
        self._owners: dict[int, Link] = {}
        # In the order in which they changed: a run must not depend on where an object lies.
        self._changed: dict[WorkerSet, None] = {}
        self._pass_due = False
        self._breakers: Breakers | None = None
        # Set when a lease or a stream has ended.
        self._news = asyncio.Event()

    # circuit breakers, here and elsewhere

    def show_breakers(self, breakers: Breakers) -> None:
        """Tells every orchestrator of breakers that change, and hears of those of others."""
        self._breakers = breakers
        breakers.changed = self._breaker_changed

    def _breaker_changed(self, breaker: Breaker) -> None:
        assert self._breakers is not None
        for link in self._links.values():
            link.tell_breakers([message_of(breaker, self._breakers)])

    # streams to orchestrators

    def hello(self) -> AttachHello:
        leases = self._leases.all()
        for lease in leases:
            lease.shared = True
        return self._hello(leases)

    def connected(self, link: Link) -> None:
        self._links[link.id] = link
        if self._breakers is not None:
            link.tell_breakers(
                message_of(each, self._breakers) for each in self._breakers.not_closed()
            )
        for lease in list(self._waiting.values()):
            if lease.link is None or lease.link is link:
                self._send(lease, link)
        self._change(self._sets.values())

    def disconnected(self, link: Link, results: list[Lease]) -> None:
        self._links.pop(link.id, None)
        self._news.set()
        for worker_set in self._sets.values():
            worker_set.credit.forget(link.id)
        for lease in results:
            self._wait(lease, anew=link.heard)
        self._change(self._sets.values())

    def received(self, link: Link, response: AttachResponse) -> None:
        if response.specs:
            link.keep_specs(response.specs)
        if response.exceptions:
            self._refused(link, response.exceptions)
        if response.acknowledged_frame:
            throttled = not link.takes_credit
            self._settle(link.acknowledged(response.acknowledged_frame), stale=False)
            if throttled and link.takes_credit:
                self._change(self._sets.values())
        if response.claim_partitions:
            stale = self._leases.stale(response.claim_partitions, response.claim_epochs)
            self._claimed(link, set(response.claim_partitions) - stale)
            for partition in stale:
                # Another owner's by now, while the claim was on its way: nothing here is for it.
                link.hold(HeldTasks(partition=partition))
        for recall in response.recalled:
            if worker_set := self._sets.get(recall.set_id):
                worker_set.credit.answer(link.id, recall.slots)
                self._change([worker_set])
        for backlog in response.backlogs:
            if worker_set := self._sets.get(backlog.set_id):
                worker_set.credit.say_backlog(link.id, backlog.tasks)
                self._change([worker_set])
        if self._breakers is not None:
            for breaker in response.breakers:
                self._breakers.opened_elsewhere(breaker.upstream, breaker.retry_after_ms)
        if response.tasks:
            self._dispatched(link, response.tasks)
        if response.recorded:
            self._recorded(response.recorded)
        if response.cancels:
            self._cancel(response.cancels)

    def _recorded(self, recorded: Iterable[TaskRecorded]) -> None:
        """Journals of handlers grew: each worker hears of its own."""
        for each in recorded:
            lease = self._leases.get(each.token)
            if lease is None or lease.result is not None:
                continue
            if each.moved:
                # Sent again before long, and then to all of them.
                lease.shared = True
            elif lease.worker_set is not None:
                lease.worker_set.recorded(each)

    def _dispatched(self, link: Link, dispatched: Iterable[DispatchedTask]) -> None:
        deliveries: dict[WorkerSet, list[Task]] = {}
        for item in dispatched:
            task = item.task
            worker_set = self._sets.get(item.set_id)
            if worker_set is None or not worker_set.credit.spend(link.id):
                link.give_back(task.token)
            elif self._accepted(link, task, worker_set):
                deliveries.setdefault(worker_set, []).append(task)
            else:
                worker_set.credit.release()
                self._change([worker_set])
        for worker_set, tasks in deliveries.items():
            worker_set.deliver(tasks, link.specs)

    def _accepted(self, link: Link, task: Task, worker_set: WorkerSet) -> bool:
        newer = self._leases.newer_epoch(task.partition, task.epoch)
        if newer:
            link.refuse(RefusedTask(token=task.token, partition=task.partition, epoch_seen=newer))
            return False
        self._owners[task.partition] = link
        lease = self._leases.get(task.token)
        if lease is not None:
            # Sent again although it is here: keep what runs, or send the result once more.
            self._hand_to(lease, link, task.partition)
            return False
        if worker_set.draining:
            link.give_back(task.token)
            return False
        if task.spec_digest and task.spec_digest not in link.specs:
            # The two sides differ in what was sent: a new stream starts from nothing.
            link.close()
            return False
        self._leases.add(Lease(task.token, worker_set.worker_id, worker_set, link, task.partition))
        return True

    def _claimed(self, link: Link, partitions: set[int]) -> None:
        for partition, leases in self._leases.of_partitions(partitions).items():
            self._owners[partition] = link
            link.hold(HeldTasks(partition=partition, tasks=map(_held, leases)))
            for lease in leases:
                if lease.partition == partition:
                    self._hand_to(lease, link, partition)

    def _hand_to(self, lease: Lease, link: Link, partition: int) -> None:
        lease.partition = partition
        if lease.result is None:
            lease.link, lease.shared = link, False
        elif lease.link is not link or lease.token in self._waiting:
            if lease.link is not None:
                lease.link.withdraw(lease)
            self._send(lease, link)

    def _refused(self, link: Link, exceptions: Iterable[ResultException]) -> None:
        stale: list[Lease] = []
        for exception in exceptions:
            lease = self._leases.get(exception.token)
            if lease is None or lease.result is None or lease.link is not link:
                continue
            link.withdraw(lease)
            if exception.kind == RESULT_EXCEPTION_KIND_MOVED:
                lease.refused_by.add(link.id)
                self._route(lease)
            else:
                stale.append(lease)
        self._settle(stale, stale=True)

    def _settle(self, leases: Iterable[Lease], *, stale: bool) -> None:
        """Forgets results that are applied or not wanted, and tells who waits for that."""
        receipts: dict[str, list[Receipt]] = {}
        tokens: dict[str, list[str]] = {}
        self._news.set()
        for lease in leases:
            self._leases.remove(lease)
            for receipt in lease.receipts:
                receipt.open -= 1
                # Somebody else may have sent the same result.
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

    # worker sets

    def add_set(self, worker_set: WorkerSet, held: Sequence[str] = ()) -> None:
        """A worker is here, perhaps again, with tokens that it still runs."""
        self._sets[worker_set.set_id] = worker_set
        self._workers[worker_set.worker_id] = worker_set
        new: list[Lease] = []
        canceled: list[str] = []
        for token in held:
            lease = self._leases.get(token)
            if lease is None:
                lease = Lease(token, worker_set.worker_id, worker_set, None)
                self._leases.add(lease)
                new.append(lease)
            elif lease.result is not None:
                continue
            elif lease.worker_set is not None:
                lease.worker_set.credit.release()
            lease.worker_set = worker_set
            worker_set.credit.adopt()
            if lease.canceled:
                canceled.append(token)
        if new:
            for link in self._links.values():
                link.claim(self._hello(new))
        if canceled:
            worker_set.cancel(canceled)
        self._change([worker_set])

    def remove_set(self, worker_set: WorkerSet) -> None:
        """The worker's stream broke. Its tasks are lost unless it is back within the grace."""
        if self._sets.pop(worker_set.set_id, None) is None:
            return
        if self._workers.get(worker_set.worker_id) is worker_set:
            del self._workers[worker_set.worker_id]
        for link in self._links.values():
            if worker_set.credit.granted(link.id):
                link.recall(worker_set.set_id)
            link.gone(worker_set.set_id)
        running, now_ms = self._leases.running_at(worker_set), self._monotonic_ms()
        for lease in running:
            lease.worker_set, lease.away_since_ms = None, now_ms
        if running:
            loop = asyncio.get_running_loop()
            loop.call_later(limits.REATTACH_GRACE_MS / 1000, self._lose, running, now_ms)

    def resize_set(self, worker_set: WorkerSet, slots: int) -> None:
        """The set has so many slots from now on; credit beyond them is called back."""
        credit = worker_set.credit
        credit.slots = slots
        if credit.overdrawn:
            self._recall_all(worker_set)
        self._change([worker_set])

    def drain_set(self, worker_set: WorkerSet) -> None:
        """The set takes no more tasks; what runs goes on."""
        worker_set.draining = True
        self._recall_all(worker_set)

    def _recall_all(self, worker_set: WorkerSet) -> None:
        for link_id in worker_set.credit.recall_all(self._monotonic_ms()):
            if link := self._links.get(link_id):
                link.recall(worker_set.set_id)

    def give_back(self, tokens: Iterable[str]) -> None:
        """Tasks of a process that is about to end: others may have them, no delivery counted."""
        for token in tokens:
            lease = self._leases.get(token)
            if lease is None or lease.result is not None:
                continue
            self._leases.remove(lease)
            self._news.set()
            if lease.worker_set is not None:
                lease.worker_set.credit.release()
            for link in self._about(lease):
                link.give_back(token)

    def complete(
        self, worker_set: WorkerSet, results: Iterable[TaskResult], receipt: Receipt | None = None
    ) -> None:
        """Results of a set, to be sent on and kept until acknowledged."""
        for result in results:
            lease = self._leases.get(result.token)
            if lease is None:
                # Acknowledged before, or run through another worker service: ask who knows.
                lease = Lease(result.token, worker_set.worker_id, None, None)
                self._leases.add(lease)
            if receipt is not None:
                lease.receipts.append(receipt)
            if lease.result is not None:
                continue
            if lease.worker_set is not None:
                lease.worker_set.credit.release()
                self._change([lease.worker_set])
                if lease.worker_set.worker_id != worker_set.worker_id:
                    # A worker thought lost was first after all: the second one may stop.
                    lease.worker_set.cancel([lease.token])
            lease.worker_id = worker_set.worker_id
            if lease.partition == UNKNOWN_PARTITION:
                # Not sent to it from here: the orchestrator may not know either who ran it.
                result.worker_id = lease.worker_id
            lease.worker_set = None
            lease.result = result
            lease.result_bytes = result.ByteSize()
            self._route(lease)

    def heartbeats(self, heartbeats: Iterable[Heartbeat]) -> None:
        by_link: dict[Link, list[Heartbeat]] = {}
        for heartbeat in heartbeats:
            lease = self._leases.get(heartbeat.token)
            if lease is not None and lease.result is None:
                for link in self._about(lease):
                    by_link.setdefault(link, []).append(heartbeat)
        failpoint("worker.heartbeat")
        for link, beats in by_link.items():
            link.heartbeat(beats)

    def records(self, worker_set: WorkerSet, records: Iterable[TaskRecords]) -> None:
        """What handlers of a set ask for; sent again by them when nobody answers."""
        for each in records:
            lease = self._leases.get(each.token)
            if lease is None or (lease.result is None and lease.worker_set is not worker_set):
                worker_set.recorded(TaskRecorded(token=each.token, elsewhere=True))
            elif lease.result is None:
                for link in self._about(lease):
                    link.record(each)

    def runs(self, token: str) -> bool:
        lease = self._leases.get(token)
        return lease is not None and lease.result is None

    def counts(self) -> tuple[int, int, int]:
        """Orchestrators attached, worker sets, leases."""
        return len(self._links), len(self._sets), len(self._leases)

    async def until_settled(self) -> None:
        """Nothing runs and every result is acknowledged."""
        while len(self._leases):
            self._news.clear()
            await self._news.wait()

    async def until_quiet(self) -> None:
        """Nothing runs, and no orchestrator is left to take a result that waits."""
        while self._links and len(self._leases) > len(self._waiting):
            self._news.clear()
            await self._news.wait()

    # time

    def tick(self) -> None:
        """Pings, silent workers, unanswered recalls, results whose orchestrator stays away."""
        now_ms = self._monotonic_ms()
        for worker_set in list(self._sets.values()):
            worker_set.check_alive(now_ms)
            for link_id in worker_set.credit.unanswered(now_ms - limits.RECALL_ANSWER_MS):
                if link := self._links.get(link_id):
                    link.close()
        for link in self._links.values():
            link.ping_if_quiet(now_ms)
        for lease in list(self._waiting.values()):
            away = lease.link is not None and not lease.link.live
            patience = limits.ORCHESTRATOR_AWAY_MS if away else limits.MOVED_RETRY_MS
            if now_ms - lease.waits_since_ms >= patience:
                lease.link = None
                lease.refused_by.clear()
                self._route(lease)

    def _lose(self, leases: list[Lease], since_ms: float) -> None:
        """The grace of one break is over: what nobody runs any more is handed out again."""
        for lease in leases:
            known = self._leases.get(lease.token) is lease
            if not known or lease.worker_set is not None or lease.result is not None:
                continue
            if lease.away_since_ms != since_ms:
                # Back meanwhile, and away again: a later break has its own grace.
                continue
            self._leases.remove(lease)
            self._news.set()
            for link in self._about(lease):
                if lease.worker_id in self._workers:
                    # It came back without this one: the task never reached it.
                    link.give_back(lease.token)
                else:
                    link.lost(
                        LostTask(token=lease.token, worker_id=lease.worker_id, reason=WORKER_LOST)
                    )

    # routing

    def _about(self, lease: Lease) -> list[Link]:
        """The streams to tell about a running lease: its own, or all where that is unknown.

        A new owner may have learned of it from a hello, though its own is still there.
        """
        if lease.link is None or not lease.link.live or lease.shared:
            return list(self._links.values())
        return [lease.link]

    def _route(self, lease: Lease) -> None:
        """Sends a result to its orchestrator, or to the next one that has not refused it."""
        owner = self._owners.get(lease.partition)
        candidates = [lease.link, owner]
        if lease.link is None or lease.refused_by:
            candidates += self._links.values()
        for link in candidates:
            if link is not None and link.live and link.id not in lease.refused_by:
                self._send(lease, link)
                return
        if lease.refused_by:
            lease.link = None
        self._wait(lease)

    def _send(self, lease: Lease, link: Link) -> None:
        self._waiting.pop(lease.token, None)
        link.result(lease)

    def _wait(self, lease: Lease, *, anew: bool = True) -> None:
        """Keeps a result until a stream takes it; not `anew` where the last one was none."""
        if lease.token not in self._waiting:
            if anew or not lease.waits_since_ms:
                lease.waits_since_ms = self._monotonic_ms()
            self._news.set()
        self._waiting[lease.token] = lease

    def _hello(self, leases: Iterable[Lease]) -> AttachHello:
        return AttachHello(worker_service_id=self.worker_service_id, held=map(_held, leases))

    # credit

    def _change(self, worker_sets: Iterable[WorkerSet]) -> None:
        """Grants what became free, once per pass of the loop."""
        self._changed.update(dict.fromkeys(worker_sets))
        if self._changed and not self._pass_due:
            self._pass_due = True
            asyncio.get_running_loop().call_soon(self._grant)

    def _grant(self) -> None:
        self._pass_due = False
        changed, self._changed = self._changed, {}
        links = [link.id for link in self._links.values() if link.takes_credit]
        for worker_set in changed:
            if worker_set.draining or worker_set.set_id not in self._sets:
                continue
            for link_id, slots in worker_set.credit.grant(links).items():
                self._links[link_id].grant(worker_set.grant(slots))
            for link_id in worker_set.credit.recall(links, self._monotonic_ms()):
                self._links[link_id].recall(worker_set.set_id)


def _held(lease: Lease) -> HeldTask:
    """What an orchestrator is told of a task that is here."""
    away = lease.worker_set is None and lease.result is None
    return HeldTask(token=lease.token, worker_id=lease.worker_id, away=away)
