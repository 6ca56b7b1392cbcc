"""The journal of a built-in attempt: each step is committed before the next one begins."""

import asyncio
from collections.abc import Callable, Iterable

import orjson

from flowmesh.api.common.v1.journal_pb2 import JOURNAL_KIND_STEP, JournalRecord
from flowmesh.api.worker.v1.task_pb2 import Task, TaskRecorded, TaskRecords
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Journaled
from flowmesh.executors.failures import CANCELLED, TaskFailure
from flowmesh.failpoints import failpoint
from flowmesh.worker.attempts.payloads import Payloads

REPEAT_S = 1.0
"""Pause before records that were not confirmed are sent again."""


class AttemptJournal:
    """Steps of one attempt, with those of earlier runs of its node."""

    def __init__(self, task: Task, payloads: Payloads, send: Callable[[TaskRecords], None]) -> None:
        self._task = task
        self._payloads = payloads
        self._send = send
        self._records: dict[int, JournalRecord] = {}
        self._known = 0
        self._changed = asyncio.Event()
        self._stale = False
        self._add(task.journal.records)

    async def step(self, index: int, name: str, run: Journaled) -> Json:
        """Return the committed result of a step, or run it and commit its result and usage."""
        if index not in self._records:
            failpoint("worker.before_step")
            value, usage = await run()
            failpoint("worker.step_done")
            payload = await self._payloads.write(self._task.namespace, orjson.dumps(value))
            await self._commit(
                JournalRecord(
                    index=index, kind=JOURNAL_KIND_STEP, name=name, output=payload, usage=usage
                )
            )
            failpoint("worker.step_committed")
        data = await self._payloads.read(self._task.namespace, self._records[index].output)
        return orjson.loads(data)

    def recorded(self, recorded: TaskRecorded) -> None:
        """Take records that were committed, or that another worker has the task."""
        self._stale = self._stale or recorded.stale or recorded.elsewhere
        if recorded.start <= self._known:
            self._add(recorded.records[self._known - recorded.start :])
        self._changed.set()

    def _add(self, records: Iterable[JournalRecord]) -> None:
        for each in records:
            self._records[each.index] = each
            self._known += 1

    async def _commit(self, record: JournalRecord) -> None:
        """Return when the record is committed. Raises TaskFailure if it cannot be any more."""
        while record.index not in self._records:
            self._changed.clear()
            self._send(TaskRecords(token=self._task.token, known=self._known, records=[record]))
            try:
                async with asyncio.timeout(REPEAT_S):
                    await self._changed.wait()
            except TimeoutError:
                continue
            if self._stale:
                raise TaskFailure(CANCELLED, "another worker runs the task")
