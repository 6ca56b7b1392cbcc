"""The worker of an application: runs its pipelines as durable handlers of the suite.

Each form of a pipeline has a task type of its own, so a run stays with the processes that have its
form. When none is left, the present form continues it by the rule of durable handlers.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from flowmesh.apps.data.database import Database
from flowmesh.apps.data.effects import prepare_effects
from flowmesh.apps.durable.journal import RunJournal
from flowmesh.apps.durable.messages import ended_by, output_of, run_of
from flowmesh.apps.durable.names import queue_of, task_type_of, workflow_of
from flowmesh.apps.durable.suite import Suite
from flowmesh.apps.http.problems import problem_of
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.pipeline.program import RunObserver
from flowmesh.apps.pipeline.run import Run
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.sdk.durable.context import DurableContext
from flowmesh.sdk.worker.worker import Worker
from flowmesh.sdk.workflows.declarations import Retry
from flowmesh.sdk.workflows.flow import Workflow

Handler = Callable[[DurableContext, Json], Coroutine[Any, Any, Json]]

SLOTS = 64
ATTEMPT = "24h"
DIGEST = "pipeline-digest"
ADOPT_S = 2.0
# Looks in a row that find no worker with a form, before its runs are taken over.
LOOKS = 2
_OPEN = "status IN (running, paused, pending)"


class Work(Protocol):
    """A compiled pipeline or integration."""

    async def execute(self, run: Run) -> None: ...

    def result(self, run: Run) -> Json: ...


@dataclass(frozen=True, slots=True)
class DurableWork:
    """Work with the digest of its form."""

    app: str
    name: str
    digest: str
    work: Work

    @property
    def workflow(self) -> str:
        return workflow_of(self.app, self.name)

    @property
    def task_type(self) -> str:
        return task_type_of(self.workflow, self.digest)


class RunWorker:
    """Attaches to the suite while the application runs."""

    def __init__(
        self,
        *,
        app: str,
        suite: Suite,
        databases: Callable[[], Sequence[Database]],
        log: LogHub,
        observer: RunObserver,
    ) -> None:
        self._app = app
        self.suite = suite
        self._works: list[DurableWork] = []
        self._databases = databases
        self._log = log
        self._observer = observer
        self._versions: dict[str, int] = {}
        self._workers: list[Worker] = []
        self._looks: dict[str, int] = {}
        self._adopting: asyncio.Task[None] | None = None

    def add(self, work: DurableWork) -> None:
        """Add work, before `open`."""
        self._works.append(work)

    def version(self, work: DurableWork) -> int:
        """Return the version of the workflow that this process works on."""
        return self._versions[work.workflow]

    async def open(self) -> None:
        """Register the workflows and take their tasks. Raises Unavailable."""
        await self.suite.start()
        if not self._works:
            return
        try:
            for each in self._databases():
                await prepare_effects(each)
            for work in self._works:
                registered = await self.suite.client.register(self._workflow(work))
                self._versions[work.workflow] = registered.version
            await self._serve({work.task_type: work for work in self._works})
        except BaseException as error:
            await self.close(0.0)
            if not isinstance(error, FlowmeshError):
                raise
            text = f"durable pipelines cannot start: {error.message}"
            raise Unavailable("SUITE_UNAVAILABLE", text) from None
        self._adopting = asyncio.create_task(self._adopt())

    async def close(self, within_s: float) -> None:
        """Take no more tasks; running ones end within this time, or continue elsewhere."""
        if self._adopting is not None:
            self._adopting.cancel()
            await asyncio.gather(self._adopting, return_exceptions=True)
        workers, self._workers = self._workers, []
        await asyncio.gather(*(each.stop(drain_s=within_s) for each in workers))

    async def stop(self) -> None:
        """Disconnect; no run is started any more."""
        await self.suite.stop()

    def _workflow(self, work: DurableWork) -> Workflow:
        flow = Workflow(work.workflow, labels={"app": self._app[:256], DIGEST: work.digest})
        flow.task(
            "run",
            work.task_type,
            queue=queue_of(self._app),
            timeout=ATTEMPT,
            retry=Retry(attempts=3, on=("NetworkError",)),
        )
        return flow

    async def _serve(self, works: dict[str, DurableWork]) -> None:
        worker = Worker(self.suite.client, queues=(queue_of(self._app),), slots=SLOTS)
        for task_type, work in works.items():
            worker.durable(task_type, workflow=False)(self._handler(work))
        await worker.start()
        self._workers.append(worker)

    def _handler(self, work: DurableWork) -> Handler:
        async def handle(ctx: DurableContext, given: Json) -> Json:
            begun = ctx.now()
            journal = RunJournal(ctx, pipeline=work.name, log=self._log)
            run = run_of(given, work.name, ctx.execution_id, journal)
            try:
                await work.work.execute(run)
                output = await output_of(run, work.work.result(run))
            except Exception as error:  # noqa: BLE001 - every error is the failure of the run
                problem = problem_of(error)
                if problem is not error:
                    text = f"{work.name} failed: {type(error).__name__}: {error}"
                    self._log.write("error", "durable", text, executionId=ctx.execution_id)
                self._observe(work, ctx.now() - begun, problem.step, problem.code)
                raise ended_by(work.name, problem) from None
            self._observe(work, ctx.now() - begun)
            return output

        return handle

    def _observe(self, work: DurableWork, time: timedelta, step: str = "", code: str = "") -> None:
        self._observer.run(work.name, time.total_seconds(), step, code)

    async def _adopt(self) -> None:
        """Continue runs of forms that no process has any more."""
        while True:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                text = (
                    f"runs of earlier releases were not looked for: {type(error).__name__}: {error}"
                )
                self._log.write("warn", "durable", text)
            await asyncio.sleep(ADOPT_S)

    async def _look(self) -> None:
        left: dict[str, DurableWork] = {}
        for work in self._works:
            left |= await self._other_forms(work)
        served: set[str] = set()
        if left:
            workers = await self.suite.client.workers()
            served = {task_type for each in workers for task_type in each.task_types}
        looks, self._looks = self._looks, {}
        for task_type in left.keys() - served:
            self._looks[task_type] = looks.get(task_type, 0) + 1
        taken = {each: left[each] for each, count in self._looks.items() if count >= LOOKS}
        if taken:
            await self._serve(taken)
            for each, work in taken.items():
                text = f"runs of an earlier form of {work.name} continue in this one"
                self._log.write("info", "durable", text, taskType=each)

    async def _other_forms(self, work: DurableWork) -> dict[str, DurableWork]:
        """Return the task types of other forms that have open runs."""
        client = self.suite.client
        where = f'workflow = "{work.workflow}" AND {_OPEN}'
        found = await client.count_executions(where, group_by=("version",))
        types: dict[str, DurableWork] = {}
        for group in found.groups:
            version = int(group.values[0])
            if version == self.version(work):
                continue
            stored = await client.get_workflow(work.workflow, version=version)
            digest = str(stored.labels.get(DIGEST, ""))
            if digest != work.digest:
                types[task_type_of(work.workflow, digest)] = work
        return types
