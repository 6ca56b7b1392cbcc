"""Attempts of tasks in a dry run: the executors of workers, without calls to other systems.

The input is rendered and checked, and the call is recorded. Then a mock answers, or the executor
itself if it has no side effects, or a value of the output schema. Tasks of the open standards run
completely; only their calls are answered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import orjson
from msgspec import UNSET

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.contract.json_value import Json
from flowmesh.definitions.secrets import MASK, masked, masked_url
from flowmesh.dryrun.examples import example_of
from flowmesh.dryrun.mocks import Mock, Mocks
from flowmesh.dryrun.report import Call, Source
from flowmesh.dryrun.uses import uses_of
from flowmesh.egress import Response
from flowmesh.engine import NodeState, State
from flowmesh.executors.base import Attempt, InlineStep, Output
from flowmesh.executors.builtin import builtin_executors
from flowmesh.executors.collaborators import Collaborators
from flowmesh.executors.completion.messages import json_of
from flowmesh.executors.databases import DatabaseCall, Rows
from flowmesh.executors.failures import TIMEOUT, TaskFailure
from flowmesh.executors.rpc import Rpc, RpcAnswer
from flowmesh.executors.schemas import SchemaCheck
from flowmesh.executors.secrets import AttemptSecrets
from flowmesh.executors.serverless.openapi import Operation
from flowmesh.executors.specs import ReadySpecs
from flowmesh.executors.tools.calls import ToolCall
from flowmesh.expressions import MOMENT, Moment, RenderError
from flowmesh.jsontext import dump_json
from flowmesh.models.port import Conversation
from flowmesh.models.prices import Prices
from flowmesh.models.selection import Chosen
from flowmesh.plan import Plan, moment_of, render_input
from flowmesh.sandbox import Sandbox
from flowmesh.tasktypes import TASK_TYPES

_RUN = frozenset(name for name, each in TASK_TYPES.items() if each.is_run_by_worker)
# Types that a dry run executes, because they call no other system.
_INSIDE = frozenset(name for name in _RUN if TASK_TYPES[name].stays_inside)
# Types that a dry run executes although they make calls; each call gets the mocked answer.
_COMPOSITE = frozenset(name for name in _RUN if TASK_TYPES[name].composite)
# Types whose executors make the call that is recorded and not sent.
_CALLING = _RUN - _INSIDE - _COMPOSITE
# A token request to an authorization server; it is answered with a token.
_TOKEN_ASKED = b"grant_type=client_credentials"
_TOKEN = b'{"access_token": "token"}'
# The discovery path of an authorization server.
_DISCOVERY = "/.well-known/openid-configuration"
_JSON = {"content-type": "application/json"}


@dataclass(slots=True)
class Answer:
    """The result of an attempt, its duration, and the source of its output."""

    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    after_us: int = 0
    source: Source = "none"
    input: Json = None
    calls: list[Call] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt that is being answered."""

    state: State
    node: NodeState
    spec: TaskSpec
    data: bytes
    moment: Moment
    at_ms: float
    answer: Answer

    def call(self) -> Call:
        return Call(
            node=self.node.id,
            attempt=self.node.attempt,
            at_ms=self.at_ms,
            type=self.spec.task_type,
            input=masked(self.answer.input),
        )


class _NotSent(Exception):
    """The call is recorded and not sent."""


class _RecordingClient:
    """A client that records calls instead of sending them; `reply` provides the answers."""

    def __init__(self) -> None:
        self.attempt: _Attempt | None = None
        self.reply: Callable[[], bytes] | None = None
        self.prices = Prices()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        response_bytes_max: int,
    ) -> Response:
        assert self.attempt is not None
        if body is not None and body.startswith(_TOKEN_ASKED):
            self._record(method, masked_url(url), UNSET)
            return Response(200, _JSON, _TOKEN, url)
        if url.endswith(_DISCOVERY):
            endpoint = url.removesuffix(_DISCOVERY) + "/token"
            return Response(200, _JSON, orjson.dumps({"token_endpoint": endpoint}), url)
        call = self.attempt.call()
        call.method, call.url, call.headers = method, masked_url(url), masked(dict(headers))
        if body is not None:
            call.body = _shown(body)
        self.attempt.answer.calls.append(call)
        if self.reply is None:
            raise _NotSent
        return Response(200, _JSON, self.reply(), url)

    async def run(self, call: DatabaseCall) -> Rows:
        body = {"statement": call.statement, "parameters": masked(dict(call.values))}
        self._record("EXEC" if call.writes else "QUERY", f"db:{call.connection}", body)
        raise _NotSent

    async def call(self, rpc: Rpc) -> RpcAnswer:
        url = f"grpc://{rpc.service or rpc.target.address}/{rpc.method}"
        self._record("CALL", url, masked(rpc.request), masked(dict(rpc.metadata)))
        raise _NotSent

    async def call_tool(self, call: ToolCall) -> Json:
        url = f"mcp:{call.server or call.capability}/{call.tool}"
        self._record("CALL", url, masked(dict(call.arguments)), masked(dict(call.headers)))
        raise _NotSent

    def model_of(self, wanted: str) -> str:
        return wanted

    async def turn(self, conversation: Conversation, wanted: str) -> Chosen:
        sent = {"system": conversation.system, "messages": json_of(conversation.messages)}
        self._record("CALL", f"model:{wanted or 'default'}", masked(sent))
        raise _NotSent

    async def publish(
        self, namespace: str, subject: str, event: dict[str, Json], headers: Mapping[str, str]
    ) -> None:
        self._record("PUBLISH", f"nats:{subject}", masked(event))
        if self.reply is None:
            raise _NotSent
        self.reply()

    async def send_message(self, namespace: str, message: dict[str, Json]) -> int:
        parts = (message["project"], message["exchange"], message["key"])
        place = "/".join(str(part) for part in parts if part)
        self._record("PUBLISH", f"message:{place}", masked(message["body"]))
        raise _NotSent

    def _record(self, method: str, url: str, body: Json, headers: Json = UNSET) -> None:
        assert self.attempt is not None
        call = self.attempt.call()
        call.method, call.url, call.body, call.headers = method, url, body, headers
        self.attempt.answer.calls.append(call)


class _Unfetched:
    """Operations of OpenAPI documents that are not fetched; parameters form the body."""

    async def find(self, url: str, operation_id: str, _attempt: Attempt) -> Operation:
        return _UnknownOperation(operation_id, "POST", f"{url}#{operation_id}", {})


class _UnknownOperation(Operation):
    def request(self, given: dict[str, Json]) -> dict[str, Json]:
        return {"uri": self.url, "headers": {}, "body": given}


class Attempts:
    """The answers to the attempts of one dry run."""

    def __init__(
        self, plan: Plan, mocks: Mocks, sandbox: Sandbox, now_us: Callable[[], int]
    ) -> None:
        self._mocks = mocks
        self._uses = uses_of(plan)
        self._out = _RecordingClient()
        numbers = count(1)
        self._specs = ReadySpecs(
            builtin_executors(
                Collaborators(
                    egress=self._out,
                    sandbox=sandbox,
                    now_us=now_us,
                    databases=self._out,
                    caller=self._out,
                    tools=self._out,
                    models=self._out,
                    publisher=self._out,
                    messages=self._out,
                    draw=lambda: 0.0,
                    new_id=lambda: str(UUID(int=next(numbers), version=4)),
                    operations=_Unfetched(),
                )
            ),
            now_us,
        )

    async def answer(self, state: State, node: NodeState, at_ms: float) -> Answer:
        answer = Answer()
        try:
            await self._answer(state, node, at_ms, answer)
        except TaskFailure as error:
            answer.failure = _failure_of(error)
        except RenderError as error:
            message = f"input of {node.id}: {error}"
            answer.failure = _failure_of(TaskFailure("ValidationError", message))
        if answer.failure is not None:
            answer.output = None
        limit_us = node.planned.timeout_ms * 1000
        if limit_us and answer.after_us > limit_us:
            message = f"the attempt did not end within {node.planned.timeout_ms} ms"
            late = _failure_of(TaskFailure(TIMEOUT, message))
            answer.output, answer.failure, answer.after_us = None, late, limit_us
        return answer

    async def child(self, state: State, node: NodeState, data: bytes) -> Answer:
        """Answer the start of a child workflow from its mock; null without one."""
        answer = Answer(input=orjson.loads(data) if data else None)
        mock = self._mocks.of(node)
        if mock is None:
            return answer
        attempt = _Attempt(state, node, TaskSpec(), data, moment_of(state, node), 0, answer)
        try:
            answer.output = payload_pb2.Payload(data=dump_json(self._mocked(mock, attempt)))
        except TaskFailure as error:
            answer.failure = _failure_of(error)
        return answer

    async def _answer(self, state: State, node: NodeState, at_ms: float, answer: Answer) -> None:
        spec = node.planned.spec
        assert spec is not None
        moment = moment_of(state, node)
        payload = render_input(state, node)
        answer.input = orjson.loads(payload.data) if payload.data else None
        if spec.input_schema:
            SchemaCheck(spec.input_schema, "input").check(answer.input)
        attempt = _Attempt(state, node, spec, payload.data, moment, at_ms, answer)
        output = await self._output(attempt)
        if spec.output_schema:
            SchemaCheck(spec.output_schema, "output").check(output.parsed())
        answer.output = payload_pb2.Payload(data=output.data)

    async def _output(self, attempt: _Attempt) -> Output:
        """Return the output. Raises TaskFailure."""
        kind, answer = attempt.spec.task_type, attempt.answer
        if kind in _COMPOSITE:
            answer.source = "run"
            return await self._run(attempt, lambda: dump_json(self._replied(attempt)))
        mock = self._mocks.of(attempt.node)
        if kind not in _INSIDE:
            await self._record_call(attempt)
        elif mock is None:
            answer.source = "run"
            return await self._run(attempt)
        if mock is not None:
            return Output.of(self._mocked(mock, attempt))
        if attempt.spec.output_schema:
            answer.source = "schema"
            return Output.of(example_of(orjson.loads(attempt.spec.output_schema)))
        found = self._uses.get(attempt.node.planned)
        if found is not None:
            answer.source = "use"
        return Output.of(found)

    def _mocked(self, mock: Mock, attempt: _Attempt) -> Json:
        answer = attempt.answer
        answer.after_us, answer.source = mock.after_us, "mock"
        if mock.failure is not None:
            failure = mock.failure
            raise TaskFailure(
                getattr(failure, "class"),
                failure.message,
                retry_after_ms=failure.retry_after_ms,
            )
        assert mock.output is not None
        return mock.output.render(
            {
                "input": answer.input,
                "attempt": attempt.node.attempt,
                "fixtures": dict(self._mocks.fixtures),
                MOMENT: attempt.moment,
            }
        )

    def _replied(self, attempt: _Attempt) -> Json:
        """Return the mocked answer to a call of a composite task; null without a mock."""
        mock = self._mocks.of(attempt.node)
        return None if mock is None else self._mocked(mock, attempt)

    async def _run(self, attempt: _Attempt, reply: Callable[[], bytes] | None = None) -> Output:
        spec = attempt.spec
        self._out.attempt, self._out.reply = attempt, reply
        ready = self._specs.ready(spec.digest, {spec.digest: spec})
        task = _task(attempt)
        placeholders = AttemptSecrets(dict.fromkeys(ready.secrets, MASK), "")
        data = attempt.data
        if ready.input_secrets is not None:
            data = ready.input_secrets.filled(data, placeholders)
        one = Attempt(task, data, attempt.node.planned.timeout_ms, placeholders)
        if isinstance(ready.step, InlineStep):
            return await ready.step.run_off_loop(one)
        return await ready.step.run(one)

    async def _record_call(self, attempt: _Attempt) -> None:
        if attempt.spec.task_type not in _CALLING:
            attempt.answer.calls.append(attempt.call())
            return
        try:
            await self._run(attempt)
        except _NotSent:
            return


def _failure_of(error: TaskFailure) -> failure_pb2.Failure:
    return error.result("", "").failure


def _shown(body: bytes) -> Json:
    """Return a body for display: JSON as a value, other content as text."""
    try:
        return masked(orjson.loads(body))
    except orjson.JSONDecodeError:
        return masked(body.decode("utf-8", "replace"))


def _task(attempt: _Attempt) -> Task:
    state, node = attempt.state, attempt.node
    return Task(
        execution_id=state.execution_id,
        node=node.id,
        attempt=node.attempt,
        task_type=attempt.spec.task_type,
        idempotency_key=f"{state.execution_id}/{node.id}",
        timeout_ms=node.planned.timeout_ms,
    )
