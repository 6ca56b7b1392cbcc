"""Grants and recalls of the slots of worker sets, once per pass of the event loop."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from flowmesh.worker import limits
from flowmesh.worker.sets import WorkerSet
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream


class CreditGrants:
    """Grants free slots of the connected worker sets to the connected orchestrators."""

    def __init__(
        self,
        *,
        sets: Mapping[str, WorkerSet],
        streams: Mapping[str, OrchestratorStream],
        monotonic_ms: Callable[[], float],
    ) -> None:
        self._sets = sets
        self._streams = streams
        self._monotonic_ms = monotonic_ms
        # In the order of their changes: a run must not depend on addresses of objects.
        self._changed: dict[WorkerSet, None] = {}
        self._pass_due = False

    def change(self, worker_sets: Iterable[WorkerSet]) -> None:
        """Grant what is free in these sets at the end of this pass of the loop."""
        self._changed.update(dict.fromkeys(worker_sets))
        if self._changed and not self._pass_due:
            self._pass_due = True
            asyncio.get_running_loop().call_soon(self._grant)

    def change_all(self) -> None:
        """Grant what is free in all sets: the streams have changed."""
        self.change(self._sets.values())

    def _grant(self) -> None:
        self._pass_due = False
        changed, self._changed = self._changed, {}
        streams = [stream.id for stream in self._streams.values() if stream.takes_credit]
        for worker_set in changed:
            if worker_set.draining or worker_set.set_id not in self._sets:
                continue
            for stream_id, slots in worker_set.credit.grant(streams).items():
                self._streams[stream_id].frames.grant(worker_set.grant(slots))
            for stream_id in worker_set.credit.recall(streams, self._monotonic_ms()):
                self._streams[stream_id].frames.recall(worker_set.set_id)

    def recall_all(self, worker_set: WorkerSet) -> None:
        """Recall every unused slot of a set."""
        for stream_id in worker_set.credit.recall_all(self._monotonic_ms()):
            if stream := self._streams.get(stream_id):
                stream.frames.recall(worker_set.set_id)

    def recall_removed(self, worker_set: WorkerSet) -> None:
        """Recall the slots of a set that is disconnected, and report it as gone."""
        for stream in self._streams.values():
            if worker_set.credit.granted(stream.id):
                stream.frames.recall(worker_set.set_id)
            stream.frames.report_gone(worker_set.set_id)

    def recalled(self, stream_id: str, set_id: str, slots: int) -> None:
        """Take back slots that an orchestrator returns."""
        if worker_set := self._sets.get(set_id):
            worker_set.credit.answer(stream_id, slots)
            self.change([worker_set])

    def backlog(self, stream_id: str, set_id: str, tasks: int) -> None:
        """Store the number of tasks that an orchestrator has for a set."""
        if worker_set := self._sets.get(set_id):
            worker_set.credit.set_backlog(stream_id, tasks)
            self.change([worker_set])

    def disconnected(self, stream_id: str) -> None:
        """Take back everything that was granted on a broken stream."""
        for worker_set in self._sets.values():
            worker_set.credit.forget(stream_id)
        self.change_all()

    def close_silent(self, worker_set: WorkerSet, now_ms: float) -> None:
        """Break the streams on which a recall was not answered in time."""
        for stream_id in worker_set.credit.unanswered(now_ms - limits.RECALL_ANSWER_MS):
            if stream := self._streams.get(stream_id):
                stream.close()
