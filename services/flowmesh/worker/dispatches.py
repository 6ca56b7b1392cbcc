"""Tasks that orchestrators dispatch, and partitions that they claim."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from flowmesh.api.worker.v1.dispatch_service_pb2 import DispatchedTask, HeldTasks, RefusedTask
from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.worker.credit_grants import CreditGrants
from flowmesh.worker.leases import Lease, Leases, held_task
from flowmesh.worker.result_router import ResultRouter
from flowmesh.worker.sets import WorkerSet
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream


class Dispatches:
    """Delivers dispatched tasks to worker sets, each once; keeps the owner of each task.

    `drop` removes a lease and tells its worker that the result is stale.
    """

    def __init__(
        self,
        *,
        sets: Mapping[str, WorkerSet],
        leases: Leases,
        router: ResultRouter,
        grants: CreditGrants,
        drop: Callable[[Lease], None],
    ) -> None:
        self._sets = sets
        self._leases = leases
        self._router = router
        self._grants = grants
        self._drop = drop

    def dispatched(self, stream: OrchestratorStream, dispatched: Iterable[DispatchedTask]) -> None:
        """Deliver the tasks of a frame; return those for which there is no slot."""
        deliveries: dict[WorkerSet, list[Task]] = {}
        for item in dispatched:
            task = item.task
            worker_set = self._sets.get(item.set_id)
            if worker_set is None or not worker_set.credit.spend(stream.id):
                stream.frames.return_task(task.token)
            elif self._accepted(stream, task, worker_set):
                deliveries.setdefault(worker_set, []).append(task)
            else:
                worker_set.credit.release()
                self._grants.change([worker_set])
        for worker_set, tasks in deliveries.items():
            worker_set.deliver(tasks, stream.specs)

    def _accepted(self, stream: OrchestratorStream, task: Task, worker_set: WorkerSet) -> bool:
        newer = self._leases.newer_epoch(task.partition, task.epoch)
        if newer:
            stream.frames.refuse(
                RefusedTask(token=task.token, partition=task.partition, epoch_seen=newer)
            )
            return False
        self._router.set_owner(task.partition, stream)
        lease = self._leases.get(task.token)
        if lease is not None and lease.owner != worker_set.owner:
            self._displace(lease)
        elif lease is not None:
            # A task that is held already: keep it running, or send its result once more.
            self._move(lease, stream, task.partition)
            return False
        if worker_set.draining:
            stream.frames.return_task(task.token)
            return False
        if task.spec_digest and task.spec_digest not in stream.specs:
            # Both sides disagree on the specs that were sent: start a new stream.
            stream.close()
            return False
        self._leases.add(
            Lease(
                task.token,
                worker_set.worker_id,
                worker_set,
                stream,
                task.partition,
                owner=worker_set.owner,
            )
        )
        return True

    def claimed(
        self, stream: OrchestratorStream, partitions: Sequence[int], epochs: Sequence[int]
    ) -> None:
        """Report the held tasks of claimed partitions and move them to the new owner's stream."""
        stale = self._leases.stale(partitions, epochs)
        for partition, leases in self._leases.of_partitions(set(partitions) - stale).items():
            self._router.set_owner(partition, stream)
            stream.frames.report_held(HeldTasks(partition=partition, tasks=map(held_task, leases)))
            for lease in leases:
                if lease.partition == partition:
                    self._move(lease, stream, partition)
        for partition in stale:
            # Another owner took it while the claim was in transit: report that nothing is held.
            stream.frames.report_held(HeldTasks(partition=partition))

    def _displace(self, lease: Lease) -> None:
        """End the claim or the result of a worker whose task was given to another owner's."""
        if lease.worker_set is not None:
            lease.worker_set.credit.release()
            lease.worker_set.cancel([lease.token])
            self._grants.change([lease.worker_set])
        if lease.result is not None and lease.stream is not None:
            lease.stream.results.withdraw(lease)
        self._router.waiting.pop(lease.token, None)
        self._drop(lease)

    def _move(self, lease: Lease, stream: OrchestratorStream, partition: int) -> None:
        """Make a stream the one for a task and its result."""
        lease.partition = partition
        if lease.result is None:
            lease.stream, lease.shared = stream, False
        elif lease.stream is not stream or self._router.is_waiting(lease):
            if lease.stream is not None:
                lease.stream.results.withdraw(lease)
            self._router.send(lease, stream)
