"""One execution in memory with the engine, a virtual clock and mocks."""

import asyncio
import heapq
from collections.abc import Callable, Sequence
from itertools import count

from flowmesh.api.common.v1 import link_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2, execution_service_pb2
from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent
from flowmesh.contract.json_value import Json
from flowmesh.dryrun.attempts import Attempts
from flowmesh.dryrun.limits import ATTEMPTS_MAX, COMMANDS_MAX, YIELD_COMMANDS
from flowmesh.dryrun.mocks import Mocks, Signal
from flowmesh.dryrun.report import Report
from flowmesh.dryrun.timeline import NodeTimeline
from flowmesh.engine import (
    Begin,
    ChildBegan,
    ChildDone,
    Collect,
    Command,
    Expand,
    Finish,
    NodeState,
    Rendered,
    Start,
    State,
    Steer,
    TaskEnded,
    TaskRuns,
    TimersDue,
    Transition,
    decide,
    encode_output,
    map_output,
    signal_with_key,
)
from flowmesh.engine import Signal as SignalCommand
from flowmesh.engine.decisions.starting import TURN
from flowmesh.engine.state.state import EXECUTION_COMPLETED, EXECUTION_FAILED, FAR_US
from flowmesh.errors import Invalid, Violation
from flowmesh.executors.failures import TaskFailure
from flowmesh.expressions import RenderError
from flowmesh.jsontext import dump_json
from flowmesh.plan import (
    Plan,
    compile_plan,
    decode,
    inline,
    next_page,
    payload_reader,
    render_input,
    render_items,
    render_names,
    values_of,
)
from flowmesh.sandbox import Sandbox

# The start of the virtual clock: 1 January 2026, 00:00 UTC.
START_US = 1_767_225_600_000_000
EXECUTION_ID = "dry-run"
_COMPLETE = execution_pb2.NODE_ACTION_COMPLETE
_APPROVED = payload_pb2.Payload(data=b'{"outcome":"approved","decisions":[]}')
_Due = tuple[int, int, Command]
Workflows = Callable[[str], plan_pb2.Plan | None]


def no_workflows(_workflow_id: str) -> plan_pb2.Plan | None:
    """Resolve no child workflow; only mocks answer their starts."""
    return None


async def dry_run(
    message: plan_pb2.Plan,
    given: Json,
    *,
    sandbox: Sandbox,
    mocks: Mocks | None = None,
    signals: Sequence[Signal] = (),
    start_us: int = START_US,
    workflows: Workflows = no_workflows,
) -> Report:
    """Run a plan and return the report; `workflows` resolves the plans of child workflows.

    Raises Invalid INPUT_INVALID for an input that does not fit the workflow's schema.
    """
    plan = await asyncio.to_thread(compile_plan, message)
    check_input(plan, given)
    run = DryRun(plan, mocks or Mocks(), signals, sandbox, start_us, workflows)
    return await run.run(given)


def check_input(plan: Plan, given: Json) -> None:
    """Raise Invalid INPUT_INVALID for an input that does not fit the workflow's schema."""
    violations = tuple(
        Violation(f"input{problem.path}", problem.message, "INPUT_INVALID")
        for problem in plan.input_schema.problems(plan.whole_input(given))
    )
    if violations:
        first = violations[0]
        message = f"input of {plan.workflow_id}: {first.field}: {first.description}"
        raise Invalid("INPUT_INVALID", message, violations=violations)


class DryRun:
    """One execution. Subclasses override `dispatch` to run tasks differently."""

    def __init__(
        self,
        plan: Plan,
        mocks: Mocks,
        signals: Sequence[Signal],
        sandbox: Sandbox,
        start_us: int,
        workflows: Workflows = no_workflows,
    ) -> None:
        self._plan = plan
        self._sandbox, self._workflows = sandbox, workflows
        self._mocks = mocks
        self._start_us = self._now = start_us
        self._state = State(EXECUTION_ID, plan)
        self._timeline = NodeTimeline(plan, start_us)
        self._attempts = Attempts(plan, mocks, sandbox, lambda: self._now)
        self._order = count()
        self._due: list[_Due] = []
        self._begun = 0
        self.events: list[HistoryEvent] = []
        for signal in signals:
            payload = payload_pb2.Payload(data=dump_json(signal.payload))
            name = signal_with_key(signal.name, signal.key) if signal.key else signal.name
            self._later(signal.after_us, SignalCommand(name, payload))

    def _later(self, after_us: int, command: Command) -> None:
        heapq.heappush(self._due, (self._now + after_us, next(self._order), command))

    async def run(self, given: Json, link: link_pb2.Link | None = None) -> Report:
        whole = self._plan.whole_input(given)
        await self._do(Start(payload_pb2.Payload(data=dump_json(whole)), link=link))
        commands = 0
        while not self._state.ended and (command := self._next()) is not None:
            if isinstance(command, SignalCommand) and self._refused(command):
                continue
            await self._do(command)
            commands += 1
            if commands % YIELD_COMMANDS == 0:
                await asyncio.sleep(0)
            if commands > COMMANDS_MAX or self._begun > ATTEMPTS_MAX:
                message = f"the dry run exceeds {ATTEMPTS_MAX:,} attempts of tasks"
                raise Invalid("MOCKS_INVALID", f"{message}; mock the output that ends its loop")
        return self._timeline.report(self._state, self._mocks)

    def _refused(self, signal: SignalCommand) -> bool:
        """Return whether a keyed signal has no waiting node; the sender would get an error."""
        return " " in signal.name and signal.name not in self._state.awaiting

    def _next(self) -> Command | None:
        """Advance the clock and return the next command; None if nothing follows."""
        wake_us, hold = self._state.wake_at_us, self._state.hold
        if hold is not None and hold.reason == TURN:
            # No other execution is queued before a dry run.
            return Begin()
        if self._due and (not wake_us or self._due[0][0] <= wake_us):
            at_us, _, command = heapq.heappop(self._due)
            self._now = max(self._now, at_us)
            return command
        if not wake_us or wake_us >= FAR_US:
            return None
        self._now = max(self._now, wake_us)
        return TimersDue()

    def decide(self, command: Command) -> Transition:
        """Decide a command; `_settle` handles its effects."""
        done = Transition(self._state)
        decide(self._state, command, self._now, done)
        for event in done.history.events:
            self._timeline.add(event)
            self._act_for_people(event)
        self.events.extend(done.history.events)
        return done

    def _act_for_people(self, event: HistoryEvent) -> None:
        """Approve requested approvals and fail held nodes."""
        if event.HasField("approval_requested"):
            node, action, output = event.approval_requested.node, _COMPLETE, _APPROVED
            self._later(0, Steer(node, action, output=output))
        elif event.HasField("task_held"):
            self._later(0, Steer(event.task_held.node, execution_pb2.NODE_ACTION_FAIL))

    async def _do(self, command: Command) -> None:
        await self._settle([self.decide(command)])

    async def _settle(self, waiting: list[Transition]) -> None:
        """Handle the effects of decisions, and of the decisions that follow."""
        while waiting:
            done = waiting.pop(0)
            for node in done.dispatch:
                waiting += await self.dispatch(node)
            for message in done.messages:
                if message.start.node:
                    await self._child(message.start)
            waiting += [self.decide(self._served(node)) for node in done.asks]
            if done.needs_payload:
                waiting.append(self.decide(self._finished()))

    async def dispatch(self, node: NodeState) -> list[Transition]:
        """Answer the attempt of a node. Return the transitions already decided."""
        self._begun += 1
        at_ms = (self._now - self._start_us) / 1000
        answer = await self._attempts.answer(self._state, node, at_ms)
        self._timeline.attempt_started(node.id, answer)
        command = TaskEnded(
            node.id,
            node.attempt,
            output=answer.output,
            failure=answer.failure,
            started_at_us=self._now,
        )
        self._later(answer.after_us, command)
        if not node.planned.start_timeout_us:
            return []
        return [self.decide(TaskRuns(node.id, node.attempt, "", self._now))]

    async def _child(self, asked: execution_service_pb2.StartRequested) -> None:
        """Start a child workflow: answer from a mock, or run it here if its plan is known."""
        node = self._state.node(asked.node)
        assert node is not None
        self._begun += 1
        known = None
        is_own = asked.request.namespace == self._state.plan.namespace
        if is_own and not self._mocks.answers_for(node):
            known = self._workflows(asked.request.workflow_id)
        done = ChildDone(node.id, node.attempt, f"{EXECUTION_ID}/{node.id}", EXECUTION_COMPLETED)
        if known is None:
            answer = await self._attempts.child(self._state, node, asked.request.input.data)
            done.output, done.failure, after_us = answer.output, answer.failure, answer.after_us
            done.status = EXECUTION_FAILED if answer.failure is not None else EXECUTION_COMPLETED
        else:
            below = DryRun(
                compile_plan(known), self._mocks, (), self._sandbox, self._now, self._workflows
            )
            await below.run(decode(asked.request.input), asked.request.link)
            ended = below._state
            done.output, done.failure, after_us = ended.output, ended.failure, below.lasted_us
            done.status = ended.status
            self._begun += below._begun
        began = ChildBegan(node.id, node.attempt, done.execution_id, asked.request.version)
        self._later(0, began)
        if known is None or below._state.ended:
            self._later(after_us, done)

    @property
    def lasted_us(self) -> int:
        return self._now - self._start_us

    def _served(self, node: NodeState) -> Expand | Collect | Rendered:
        """Return the items or value that a body needs, or the outputs of all its items."""
        if node.planned.waits:
            return self._rendered(node)
        of = node.map
        if of is not None and of.begun == of.total:
            parts = [each if isinstance(each, bytes) else each.data for each in of.outputs]
            return Collect(node.id, payload_pb2.Payload(data=map_output(node.planned, parts)))
        if node.machine is not None or node.is_group or node.planned.pages_max:
            return Expand(node.id)
        what = "input" if node.planned.kind == plan_pb2.NODE_KIND_STATES else "items"
        try:
            if what == "input":
                return Expand(node.id, value=render_input(self._state, node))
            items = render_items(self._state, node, inline)
            return Expand(node.id, items, next_page(node, inline))
        except RenderError as error:
            failed = TaskFailure("ValidationError", f"{what} of {node.id}: {error}")
            return Expand(node.id, failure=failed.result("", "").failure)

    def _rendered(self, node: NodeState) -> Rendered:
        try:
            value = render_input(self._state, node)
            names = render_names(self._state, node)
            return Rendered(node.id, node.attempt, value, names=names)
        except RenderError as error:
            failed = TaskFailure("ValidationError", f"input of {node.id}: {error}")
            failure = failed.result("", "").failure
            return Rendered(node.id, node.attempt, failure=failure)

    def _finished(self) -> Finish:
        """Render the output; any size is kept in memory."""
        output = self._plan.output
        assert output is not None
        value = output.render(values_of(self._state, payload_reader({})))
        return Finish(stored=payload_pb2.Payload(data=encode_output(value)))
