"""One attempt of a task in a rehearsal: the code that workers run, with nobody at the other end.

Its input is rendered and checked as it would be, and so is the call it makes; then a mock answers,
or the code itself where it has no effect, or a value that fits the output's schema.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Never

import orjson

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.definitions.secrets import masked, masked_url
from flowmesh.engine import NodeState, State
from flowmesh.executors.base import Attempt, InlineStep, Output
from flowmesh.executors.builtin import builtin_executors
from flowmesh.executors.failures import TIMEOUT, TaskFailure
from flowmesh.executors.schemas import SchemaCheck
from flowmesh.executors.specs import ReadySpecs
from flowmesh.expressions import MOMENT, Moment, RenderError
from flowmesh.plan import Plan, PlanNode, moment_of, render_input
from flowmesh.rehearsal.examples import example_of
from flowmesh.rehearsal.mocks import Mock, Mocks
from flowmesh.rehearsal.report import Call, Source
from flowmesh.rehearsal.uses import uses_of
from flowmesh.sandbox import Sandbox

Json = Any
# What these do stays in the process; the rest would make a call.
PURE = frozenset({"transform", "function", "condition", "decision", "builtin.noop"})
_HTTP = frozenset({"http.request", "webhook"})


@dataclass(slots=True)
class Answer:
    """How an attempt ends, so long after it began, and where its output is from."""

    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    after_us: int = 0
    source: Source = "none"
    input: Json = None
    call: Call | None = None
    moment: Moment | None = None


class _NotSent(Exception):
    """The call that would have been made; it goes no further."""

    def __init__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        super().__init__(url)
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body


class _NoWayOut:
    """Takes the place of the client that makes calls."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        response_bytes_max: int,
    ) -> Never:
        raise _NotSent(method, url, headers, body)


class Attempts:
    """Answers the attempts of one rehearsal."""

    def __init__(
        self, plan: Plan, mocks: Mocks, sandbox: Sandbox, now_us: Callable[[], int]
    ) -> None:
        self._mocks = mocks
        self._uses = uses_of(plan)
        executors = builtin_executors(egress=_NoWayOut(), sandbox=sandbox, now_us=now_us)
        self._specs = ReadySpecs(executors)

    async def answer(self, state: State, node: NodeState, at_ms: float) -> Answer:
        answer = Answer()
        try:
            await self._answer(state, node, at_ms, answer)
        except TaskFailure as error:
            answer.failure = error.result("", "").failure
        except RenderError as error:
            message = f"input of {node.id}: {error}"
            answer.failure = TaskFailure("ValidationError", message).result("", "").failure
        if answer.failure is not None:
            answer.output = None
        limit_us = node.planned.timeout_ms * 1000
        if limit_us and answer.after_us > limit_us:
            message = f"the attempt did not end within {node.planned.timeout_ms} ms"
            late = TaskFailure(TIMEOUT, message).result("", "").failure
            answer.output, answer.failure, answer.after_us = None, late, limit_us
        return answer

    async def _answer(self, state: State, node: NodeState, at_ms: float, answer: Answer) -> None:
        planned = node.planned
        spec = planned.spec
        assert spec is not None
        answer.moment = moment_of(state, node)
        payload = render_input(state, node)
        answer.input = orjson.loads(payload.data) if payload.data else None
        if spec.input_schema:
            SchemaCheck(spec.input_schema, "input").check(answer.input)
        mock = self._mocks.of(node)
        ran = None
        if spec.task_type in PURE:
            if mock is None:
                ran = await self._run(state, node, payload.data)
        else:
            answer.call = await self._call(state, node, payload.data, at_ms, answer.input)
        if mock is not None:
            answer.after_us, answer.source = mock.after_us, "mock"
            if mock.failure is not None:
                answer.failure = mock.failure
                return
        output = self._output(planned, mock, ran, answer, node.attempt)
        if spec.output_schema:
            SchemaCheck(spec.output_schema, "output").check(output.parsed())
        answer.output = payload_pb2.Payload(data=output.data)

    def _output(
        self, planned: PlanNode, mock: Mock | None, ran: Output | None, answer: Answer, number: int
    ) -> Output:
        if mock is not None and mock.output is not None:
            scope = {
                "input": answer.input,
                "attempt": number,
                "fixtures": dict(self._mocks.fixtures),
                MOMENT: answer.moment,
            }
            return Output.of(mock.output.render(scope))
        if ran is not None:
            answer.source = "run"
            return ran
        assert planned.spec is not None
        if planned.spec.output_schema:
            answer.source = "schema"
            return Output.of(example_of(orjson.loads(planned.spec.output_schema)))
        if (found := self._uses.get(planned)) is not None:
            answer.source = "use"
            return Output.of(found)
        return Output.of(None)

    async def _run(self, state: State, node: NodeState, data: bytes) -> Output:
        spec = node.planned.spec
        assert spec is not None
        ready = self._specs.ready(spec.digest, {spec.digest: spec})
        attempt = Attempt(_task(state, node), data, node.planned.timeout_ms)
        if isinstance(ready.step, InlineStep):
            return ready.step.run(attempt)
        return await ready.step.run(attempt)

    async def _call(
        self, state: State, node: NodeState, data: bytes, at_ms: float, given: Json
    ) -> Call:
        spec = node.planned.spec
        assert spec is not None
        call = Call(
            node=node.id,
            attempt=node.attempt,
            at_ms=at_ms,
            type=spec.task_type,
            input=masked(given),
        )
        if spec.task_type not in _HTTP:
            return call
        try:
            await self._run(state, node, data)
        except _NotSent as sent:
            call.method, call.url = sent.method, masked_url(sent.url)
            call.headers = masked(dict(sent.headers))
            if sent.body is not None:
                call.body = _shown(sent.body)
        return call


def _shown(body: bytes) -> Json:
    """A body as a person reads it: JSON as such, everything else as text."""
    try:
        return masked(orjson.loads(body))
    except orjson.JSONDecodeError:
        return masked(body.decode("utf-8", "replace"))


def _task(state: State, node: NodeState) -> Task:
    spec = node.planned.spec
    assert spec is not None
    return Task(
        execution_id=state.execution_id,
        node=node.id,
        attempt=node.attempt,
        task_type=spec.task_type,
        idempotency_key=f"{state.execution_id}/{node.id}",
        timeout_ms=node.planned.timeout_ms,
    )
