"""Subscribers that must miss nothing: they open again behind the last event they got."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import grpc.aio

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.event.v1.event_service_pb2_grpc import EventServiceStub
from flowmesh.errors import FlowmeshError, Gone
from flowmesh.testing.checker import TERMINAL, kind_of
from flowmesh.testing.polling import pause

REOPEN_S = 0.05
OPEN_WITHIN_S = 30.0

ChannelNow = Callable[[], grpc.aio.Channel]


class Subscribers:
    """One stream of each whole workflow, resumed by cursor, and one of each named execution.

    `of_workflow` and `of_execution` hold the sequences per execution in the order they came.
    """

    def __init__(self, channel: ChannelNow, workflow_ids: Sequence[str]) -> None:
        self._channel = channel
        # Where to go on in the stream of each; None until it is open.
        self._cursors: dict[str, str | None] = dict.fromkeys(workflow_ids)
        self._tasks: list[asyncio.Task[None]] = []
        self._followers: list[asyncio.Task[None]] = []
        self.of_workflow: dict[str, list[int]] = defaultdict(list)
        self.of_execution: dict[str, list[int]] = defaultdict(list)
        self.ended: set[str] = set()
        self.opened = asyncio.Event()
        self.reopened = 0
        self.expired = False

    async def __aenter__(self) -> Self:
        self._tasks += [asyncio.create_task(self._follow_workflow(i)) for i in self._cursors]
        async with asyncio.timeout(OPEN_WITHIN_S):
            await self.opened.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = (*self._tasks, *self._followers)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self, execution_ids: Sequence[str]) -> None:
        """Opens a stream for each of these."""
        for execution_id in execution_ids:
            self._followers.append(asyncio.create_task(self._follow_execution(execution_id)))

    @property
    def following(self) -> str:
        """How many of those who follow an execution are at its end."""
        return f"{sum(task.done() for task in self._followers)} of {len(self._followers)}"

    def have_all(self, execution_ids: set[str]) -> bool:
        """Whether every subscriber has come to the end of what it subscribed to."""
        followed = all(task.done() for task in self._followers)
        return followed and (self.expired or execution_ids <= self.ended)

    def raise_if_broken(self) -> None:
        """Fails with what ended a subscriber."""
        for task in (*self._tasks, *self._followers):
            assert not task.cancelled(), "a subscriber was cancelled"
            if task.done():
                task.result()

    async def _follow_workflow(self, workflow_id: str) -> None:
        while True:
            try:
                await self._read_workflow(workflow_id)
            except Gone:
                # The stream was lost with its store: only histories can tell what came between.
                self.expired, self._cursors[workflow_id] = True, ""
            except FlowmeshError:
                self.reopened += 1
            await pause(REOPEN_S)

    async def _read_workflow(self, workflow_id: str) -> None:
        cursors = self._cursors
        request = pb.WatchEventsRequest(workflow_id=workflow_id, cursor=cursors[workflow_id] or "")
        async for response in EventServiceStub(self._channel()).WatchEvents(request):
            cursors[workflow_id] = response.cursor or cursors[workflow_id] or ""
            if response.subscribed:
                if None not in cursors.values():
                    self.opened.set()
                continue
            event = response.event
            self.of_workflow[event.execution_id].append(event.event.sequence)
            if kind_of(event.event) in TERMINAL:
                self.ended.add(event.execution_id)

    async def _follow_execution(self, execution_id: str) -> None:
        got = self.of_execution[execution_id]
        while True:
            try:
                request = pb.WatchExecutionRequest(
                    execution_id=execution_id, after=got[-1] if got else 0
                )
                async for response in EventServiceStub(self._channel()).WatchExecution(request):
                    got.append(response.event.event.sequence)
                    if kind_of(response.event.event) in TERMINAL:
                        return
            except FlowmeshError:
                self.reopened += 1
            await pause(REOPEN_S)
