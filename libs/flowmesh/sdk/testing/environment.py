"""The local environment of a test: runs definitions and handlers in this process."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
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
from flowmesh.sdk.testing.faults import Chance, Faults, no_faults
from flowmesh.sdk.testing.local import LocalRun
from flowmesh.sdk.testing.replaying import Replay
from flowmesh.sdk.testing.simulation import simulated
from flowmesh.sdk.values.histories import History
from flowmesh.sdk.worker.handlers import Handler, Mode, TaskHandler, durable_handler_of, handler_of
from flowmesh.sdk.worker.worker import Worker
from flowmesh.sdk.workflows.declarations import Duration, milliseconds
from flowmesh.sdk.workflows.flow import Workflow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that is sent at a time after the start, on the virtual clock."""

    name: str
    payload: Json = None
    after: Duration = 0


@dataclass(frozen=True, slots=True)
class LocalExecution:
    """The outcome of an execution. Times are virtual."""

    report: Report
    history: History
    # Names of journaled steps in the order of their commits, once each.
    steps: tuple[str, ...] = field(default=())

    @property
    def status(self) -> str:
        """`completed`, `failed`, or `running` if it waits for an event that never happens."""
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
    """Runs workflows without a server, in async and in plain tests (`run_sync`).

    `worker`, `tasks` and `durable` provide handlers. `definitions`, built in code or as documents,
    can be run by their names. `mocks` replace tasks by the name of their node, WorkflowTask or
    type, as in a dry run.
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
        """Run an execution to its end, or until no further event can happen.

        `workflow` is a definition, or the name of one in this environment. Sleeps, timeouts and
        retry delays take no time; handlers and the functions of steps run for real.
        """
        plan = self._plan(workflow)
        return await self._run(plan, given, mocks, signals, no_faults())

    def run_sync(self, workflow: Definition, given: Json = None, **options: Any) -> LocalExecution:
        """Call `run` from a test without an event loop."""
        return asyncio.run(self.run(workflow, given, **options))

    async def replay(self, history: History, workflow: Definition | None = None) -> None:
        """Check that an execution with this history can continue with the current code.

        `workflow` is the current definition, by default the one of the same name. Raises
        ReplayMismatch at the first difference of the definition or of a durable handler.
        """
        plan = self._plan(workflow if workflow is not None else history.workflow_id)
        await Replay(plan, history, self._durable()).run()

    def replay_sync(self, history: History, workflow: Definition | None = None) -> None:
        """Call `replay` from a test without an event loop."""
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
        """Run an execution several times under faults, with the seeds `seed`, `seed + 1` and so on.

        Unless `faults` include failures, each run must have the outcome of a run without faults.
        `check` is called with every run and raises an error if it is wrong. Raises
        SimulationFailed with the seed.
        """
        plan = self._plan(workflow)

        async def once(chance: Chance) -> LocalExecution:
            return await self._run(plan, given, mocks, signals, chance)

        await simulated(once, runs=runs, seed=seed, faults=faults or Faults(), check=check)

    def simulate_sync(self, workflow: Definition, given: Json = None, **options: Any) -> None:
        """Call `simulate` from a test without an event loop."""
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
        found = self._read_mocks(plan, {**self._mocks, **(mocks or {})})
        scheduled = [
            dryrun_mocks.Signal(each.name, each.payload, milliseconds(each.after) * 1000)
            for each in signals
        ]
        async with Sandbox() as sandbox:
            local = LocalRun(
                plan, found, scheduled, sandbox, START_US, handlers=self._handlers, chance=chance
            )
            try:
                report = await local.run(given)
            finally:
                await local.close()
        history = History(EXECUTION_ID, plan.workflow_id, tuple(local.events))
        return LocalExecution(report, history, _steps(history))

    def _read_mocks(self, plan: Plan, mocks: Mapping[str, Json]) -> Mocks:
        problems = Problems()
        found = read_mocks(Reader(dict(mocks), ("mocks",), problems))
        if not self._durable():
            # Names cannot be checked, as the calls of durable handlers are not in the plan.
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
