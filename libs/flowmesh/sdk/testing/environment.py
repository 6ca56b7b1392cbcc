"""What a test holds: handlers and definitions, run here as the suite would run them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions.planning.compile import compile_source
from flowmesh.definitions.problems import Problems, placed, refuse
from flowmesh.definitions.reading.reader import Reader
from flowmesh.dryrun import mocks as dryrun_mocks
from flowmesh.dryrun.mocks import Mocks, check_names, known_names, read_mocks
from flowmesh.dryrun.report import Node, Report
from flowmesh.dryrun.run import EXECUTION_ID, START_US, check_input
from flowmesh.engine.state.journal import STEP, is_open
from flowmesh.errors import Invalid, NotFound
from flowmesh.plan import Plan, compile_plan
from flowmesh.sandbox import Sandbox
from flowmesh.sdk.client.parts.workflows import Definition, content_type_of, source_of
from flowmesh.sdk.durable.flows import durable_workflow
from flowmesh.sdk.histories import History
from flowmesh.sdk.payloads import Json
from flowmesh.sdk.testing.faults import Chance, Faults, no_faults
from flowmesh.sdk.testing.local import LocalRun
from flowmesh.sdk.testing.replaying import Replay
from flowmesh.sdk.testing.simulation import simulated
from flowmesh.sdk.worker.handlers import Handler, Mode, TaskHandler, durable_handler_of, handler_of
from flowmesh.sdk.worker.worker import Worker
from flowmesh.sdk.workflows.declarations import Duration, milliseconds
from flowmesh.sdk.workflows.flow import Workflow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that comes so long after the start, on the virtual clock."""

    name: str
    payload: Json = None
    after: Duration = 0


@dataclass(frozen=True, slots=True)
class LocalExecution:
    """How an execution went. Times are virtual."""

    report: Report
    history: History
    # Names of journaled steps in the order of their commits, once each.
    steps: tuple[str, ...] = field(default=())

    @property
    def status(self) -> str:
        """`completed`, `failed`, or `running` where it waits for what never comes."""
        return self.report.status

    @property
    def output(self) -> Json:
        return self.report.output

    @property
    def duration_s(self) -> float:
        return self.report.duration_ms / 1000

    def node(self, node_id: str) -> Node | None:
        return self.report.node(node_id)


class LocalEnvironment:
    """Runs workflows without a server; as good in plain tests (`run_sync`) as in async ones.

    `worker` brings its handlers, `tasks` and `durable` bring more; `definitions` are workflows that
    are run by their names, built in code or as documents. `mocks` stand in for tasks by the name of
    their node, their WorkflowTask or their type, as those of a dry run do.
    """

    def __init__(
        self,
        worker: Worker | None = None,
        *,
        tasks: Mapping[str, TaskHandler] | None = None,
        durable: Mapping[str, Callable[..., Any]] | None = None,
        definitions: Sequence[Definition] = (),
        mocks: Mapping[str, Json] | None = None,
    ) -> None:
        self._handlers: dict[str, Handler] = dict(worker.handlers) if worker is not None else {}
        self._definitions: dict[str, Definition] = {}
        self._mocks = dict(mocks or {})
        for flow in worker.workflows if worker is not None else ():
            self._add(flow)
        for name, function in (tasks or {}).items():
            self._handlers[name] = handler_of(name, function)
        for name, function in (durable or {}).items():
            self._handlers[name] = durable_handler_of(name, function)
            self._add(durable_workflow(name))
        for definition in definitions:
            self._add(definition)

    def _add(self, definition: Definition) -> str:
        plan = _plan_of(definition)
        self._definitions[plan.workflow_id] = definition
        if isinstance(definition, Workflow):
            for name, function in definition.handlers.items():
                self._handlers.setdefault(name, handler_of(name, function))
        return plan.workflow_id

    async def run(
        self,
        workflow: Definition,
        given: Json = None,
        *,
        mocks: Mapping[str, Json] | None = None,
        signals: Sequence[Signal] = (),
    ) -> LocalExecution:
        """Runs an execution to its end, or until nothing more can happen.

        `workflow` is the name of one that the environment has, or a definition. Sleeps, timeouts
        and retries take no time; handlers, and the functions of steps, run as they are.
        """
        plan = self._plan(workflow)
        return await self._run(plan, given, mocks, signals, no_faults())

    def run_sync(self, workflow: Definition, given: Json = None, **options: Any) -> LocalExecution:
        """The same, for tests without an event loop."""
        return asyncio.run(self.run(workflow, given, **options))

    async def replay(self, history: History, workflow: Definition | None = None) -> None:
        """Whether an execution that runs by this history would go on with what is there now.

        `workflow` is the definition as it is now, that of the history's name unless said. Raises
        ReplayMismatch with the place where the definition or a durable handler differs by now.
        """
        plan = self._plan(workflow if workflow is not None else history.workflow_id)
        await Replay(plan, history, self._durable()).run()

    def replay_sync(self, history: History, workflow: Definition | None = None) -> None:
        """The same, for tests without an event loop."""
        asyncio.run(self.replay(history, workflow))

    async def simulate(
        self,
        workflow: Definition,
        given: Json = None,
        *,
        runs: int = 50,
        seed: int = 0,
        faults: Faults | None = None,
        mocks: Mapping[str, Json] | None = None,
        signals: Sequence[Signal] = (),
        check: Callable[[LocalExecution], None] | None = None,
    ) -> None:
        """Runs it again and again under faults, each run by a seed of its own, from `seed` on.

        Without faults that are failures each run must end as an undisturbed one does. `check` is
        called with every run and raises what is wrong with it. SimulationFailed names the seed.
        """
        plan = self._plan(workflow)

        async def once(chance: Chance) -> LocalExecution:
            return await self._run(plan, given, mocks, signals, chance)

        await simulated(once, runs=runs, seed=seed, faults=faults or Faults(), check=check)

    def simulate_sync(self, workflow: Definition, given: Json = None, **options: Any) -> None:
        """The same, for tests without an event loop."""
        asyncio.run(self.simulate(workflow, given, **options))

    def _durable(self) -> dict[str, Callable[..., Coroutine[Any, Any, Json]]]:
        return {
            name: handler.function
            for name, handler in self._handlers.items()
            if handler.mode is Mode.DURABLE
        }

    def _plan(self, workflow: Definition) -> Plan:
        if isinstance(workflow, str) and workflow in self._definitions:
            workflow = self._definitions[workflow]
        elif isinstance(workflow, str) and "\n" not in workflow and ":" not in workflow:
            known = ", ".join(self._definitions) or "none"
            message = f"the environment has no workflow {workflow!r}; there are: {known}"
            raise NotFound("WORKFLOW_NOT_FOUND", message)
        else:
            self._add(workflow)
        return compile_plan(_plan_of(workflow))

    async def _run(
        self,
        plan: Plan,
        given: Json,
        mocks: Mapping[str, Json] | None,
        signals: Sequence[Signal],
        chance: Chance,
    ) -> LocalExecution:
        check_input(plan, given)
        found = self._stand_ins(plan, {**self._mocks, **(mocks or {})})
        coming = [
            dryrun_mocks.Signal(each.name, each.payload, milliseconds(each.after) * 1000)
            for each in signals
        ]
        async with Sandbox() as sandbox:
            local = LocalRun(
                plan, found, coming, sandbox, START_US, handlers=self._handlers, chance=chance
            )
            try:
                report = await local.run(given)
            finally:
                await local.close()
        history = History(EXECUTION_ID, plan.workflow_id, tuple(local.events))
        return LocalExecution(report, history, _steps(history))

    def _stand_ins(self, plan: Plan, mocks: Mapping[str, Json]) -> Mocks:
        problems = Problems()
        found = read_mocks(Reader(dict(mocks), ("mocks",), problems))
        if not self._durable():
            # What a handler calls is in no plan, so its names cannot be checked.
            check_names(found, known_names(plan), ("mocks",), problems)
        refuse([placed(problem, documents=1) for problem in problems.found])
        return Mocks(found)


def _plan_of(definition: Definition) -> plan_pb2.Plan:
    try:
        return compile_source(source_of(definition), content_type_of(definition))
    except UnicodeDecodeError as error:
        raise Invalid("DEFINITION_INVALID", f"the definition is not text: {error}") from error


def _steps(history: History) -> tuple[str, ...]:
    return tuple(
        record.name
        for event in history.events
        if event.HasField("journal_appended")
        for record in event.journal_appended.records
        if record.kind == STEP and not is_open(record)
    )
