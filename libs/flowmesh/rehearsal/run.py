"""One execution in memory: the engine decides, a virtual clock runs, mocks answer."""

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count
from typing import Any

import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import (
    Collect,
    Command,
    Expand,
    Finish,
    NodeState,
    Start,
    State,
    TaskEnded,
    TimersDue,
    Transition,
    decide,
    encode_output,
)
from flowmesh.engine import Signal as SignalCommand
from flowmesh.errors import Invalid, Violation
from flowmesh.executors.failures import TaskFailure
from flowmesh.expressions import RenderError
from flowmesh.plan import (
    Plan,
    compile_plan,
    inline,
    payload_reader,
    render_input,
    render_items,
    values_of,
)
from flowmesh.rehearsal.attempts import Attempts
from flowmesh.rehearsal.limits import ATTEMPTS_MAX, COMMANDS_MAX, YIELD_COMMANDS
from flowmesh.rehearsal.mocks import Mocks, Signal
from flowmesh.rehearsal.report import Report
from flowmesh.rehearsal.story import Story
from flowmesh.sandbox import Sandbox

Json = Any
# Where the virtual clock begins: 1 January 2026, 00:00 UTC.
START_US = 1_767_225_600_000_000
EXECUTION_ID = "rehearsal"
_Due = tuple[int, int, Command]


async def rehearse(
    message: plan_pb2.Plan,
    given: Json,
    *,
    sandbox: Sandbox,
    mocks: Mocks | None = None,
    signals: Sequence[Signal] = (),
    start_us: int = START_US,
) -> Report:
    """What an execution of the plan would do.

    Raises Invalid INPUT_INVALID where the input does not fit the workflow's schema.
    """
    plan = compile_plan(message)
    _check_input(plan, given)
    rehearsal = _Rehearsal(plan, mocks or Mocks(), signals, sandbox, start_us)
    return await rehearsal.run(given)


def _check_input(plan: Plan, given: Json) -> None:
    violations = tuple(
        Violation(f"input{problem.path}", problem.message, "INPUT_INVALID")
        for problem in plan.input_schema.problems(given)
    )
    if violations:
        first = violations[0]
        message = f"input of {plan.workflow_id}: {first.field}: {first.description}"
        raise Invalid("INPUT_INVALID", message, violations=violations)


class _Rehearsal:
    def __init__(
        self,
        plan: Plan,
        mocks: Mocks,
        signals: Sequence[Signal],
        sandbox: Sandbox,
        start_us: int,
    ) -> None:
        self._plan = plan
        self._mocks = mocks
        self._start_us = self._now = start_us
        self._state = State(EXECUTION_ID, plan)
        self._story = Story(plan, start_us)
        self._attempts = Attempts(plan, mocks, sandbox, lambda: self._now)
        self._order = count()
        self._due: list[_Due] = []
        self._begun = 0
        for signal in signals:
            payload = payload_pb2.Payload(data=orjson.dumps(signal.payload))
            self._later(signal.after_us, SignalCommand(signal.name, payload))

    def _later(self, after_us: int, command: Command) -> None:
        heapq.heappush(self._due, (self._now + after_us, next(self._order), command))

    async def run(self, given: Json) -> Report:
        await self._do(Start(payload_pb2.Payload(data=orjson.dumps(given))))
        commands = 0
        while not self._state.ended and (command := self._next()) is not None:
            await self._do(command)
            commands += 1
            if commands % YIELD_COMMANDS == 0:
                await asyncio.sleep(0)
            if commands > COMMANDS_MAX or self._begun > ATTEMPTS_MAX:
                message = f"a rehearsal is over after {ATTEMPTS_MAX:,} attempts of tasks"
                raise Invalid("MOCKS_INVALID", f"{message}; this one would go on")
        return self._story.report(self._state, self._mocks)

    def _next(self) -> Command | None:
        """What happens next, the clock moved on to it; None where nothing ever will."""
        wake_us = self._state.wake_at_us
        if self._due and (not wake_us or self._due[0][0] <= wake_us):
            at_us, _, command = heapq.heappop(self._due)
            self._now = max(self._now, at_us)
            return command
        if not wake_us:
            return None
        self._now = max(self._now, wake_us)
        return TimersDue()

    async def _do(self, command: Command) -> None:
        waiting: list[Command] = [command]
        while waiting:
            done = Transition(self._state)
            decide(self._state, waiting.pop(0), self._now, done)
            for event in done.history.events:
                self._story.tell(event)
            for node in done.dispatch:
                await self._dispatch(node)
            waiting += [self._served(node) for node in done.asks]
            if done.needs_payload:
                waiting.append(self._finished())

    async def _dispatch(self, node: NodeState) -> None:
        self._begun += 1
        at_ms = (self._now - self._start_us) / 1000
        answer = await self._attempts.answer(self._state, node, at_ms)
        self._story.begun(node.id, answer)
        command = TaskEnded(
            node.id,
            node.attempt,
            output=answer.output,
            failure=answer.failure,
            started_at_us=self._now,
        )
        self._later(answer.after_us, command)

    def _served(self, node: NodeState) -> Expand | Collect:
        """What a body begins with, that it goes on, or the outputs of all items as one."""
        of = node.map
        if of is not None and of.begun == of.total:
            parts = [each if isinstance(each, bytes) else each.data for each in of.outputs]
            return Collect(node.id, payload_pb2.Payload(data=b"[" + b",".join(parts) + b"]"))
        if node.machine is not None or node.is_group:
            return Expand(node.id)
        what = "input" if node.planned.kind == plan_pb2.NODE_KIND_STATES else "items"
        try:
            if what == "input":
                return Expand(node.id, value=render_input(self._state, node))
            return Expand(node.id, render_items(self._state, node, inline))
        except RenderError as error:
            failed = TaskFailure("ValidationError", f"{what} of {node.id}: {error}")
            return Expand(node.id, failure=failed.result("", "").failure)

    def _finished(self) -> Finish:
        """The output is at hand here however large it is."""
        output = self._plan.output
        assert output is not None
        value = output.render(values_of(self._state, payload_reader({})))
        return Finish(stored=payload_pb2.Payload(data=encode_output(value)))
