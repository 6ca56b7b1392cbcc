"""Webhook calls: verified, then an execution starts or a waiting node continues.

A repeated call (same name) returns its first outcome and has no other effect.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2, receiver_service_pb2
from flowmesh.errors import Invalid, NotFound, TooLarge, Violation, WrongState
from flowmesh.event.secrets import EventSecrets
from flowmesh.event.triggers.firing import LEASE_MS, FiringLoop
from flowmesh.event.triggers.store import Firing, Row, TriggerStore
from flowmesh.expressions import RenderError
from flowmesh.failpoints import failpoint
from flowmesh.plan.schemas import Schema
from flowmesh.rpc import valid_id
from flowmesh.runtime import Clock
from flowmesh.triggers import Call, Inputs, NotJson, verified

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub
    from flowmesh.api.execution.v1.receiver_service_pb2_grpc import ReceiverServiceAsyncStub

BODY_BYTES_MAX: Final = 256 * 1024
TOKEN_CHARACTERS_MAX: Final = 8 * 1024
SCHEMAS_KEPT: Final = 256
# Errors that guarantee that the signal was not applied.
NOT_APPLIED: Final = (Invalid, NotFound, TooLarge, WrongState)
_MAC_BYTES: Final = 16
_TOKENS: Final = "token:"

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Node:
    namespace: str
    execution_id: str
    node: str


class Hooks:
    """Receives webhook calls."""

    def __init__(
        self,
        *,
        store: TriggerStore,
        firing: FiringLoop,
        settled: Callable[[], Awaitable[None]],
        executions: "ExecutionServiceAsyncStub",
        receivers: "ReceiverServiceAsyncStub",
        secrets: EventSecrets,
        clock: Clock,
        new_id: Callable[[], str],
        key: bytes,
    ) -> None:
        self._store = store
        self._firing = firing
        self._settled = settled
        self._executions = executions
        self._receivers = receivers
        self._secrets = secrets
        self._clock = clock
        self._new_id = new_id
        self._key = key

    async def start(
        self, namespace: str, hook: str, headers: Headers, body: bytes
    ) -> pb.ReceiveWebhookResponse:
        """Handle a call of the URL of a trigger: start an execution."""
        await self._settled()
        row = await self._store.trigger_of_hook(namespace, valid_id(hook, "hook"))
        if row is None:
            raise _not_found()
        trigger = trigger_pb2.Trigger.FromString(row["body"])
        receiver = trigger.webhook.receiver
        call = await self._verified(namespace, receiver, headers, body)
        if challenge := _challenge(receiver, call):
            return pb.ReceiveWebhookResponse(challenge=challenge)
        if earlier := await self._call(namespace, hook, call):
            return _outcome(earlier)
        if row["paused"]:
            raise WrongState("TRIGGER_PAUSED", f"trigger {trigger.id} is paused; resume it first")
        check_payload(receiver, call.payload)
        scope = {
            "payload": call.payload,
            "trigger": {"id": trigger.id, "workflow": row["workflow"]},
        }
        try:
            given = Inputs(trigger).of(scope)
        except RenderError as error:
            raise _invalid("payload", f"no valid input can be made from it: {error}") from error
        name = call.name or self._new_id()
        firing = Firing(
            namespace,
            row["workflow"],
            trigger.id,
            name,
            self._clock.now_us(),
            given,
            signal=trigger.webhook.signal,
            payload=body if trigger.webhook.signal else b"",
        )
        await self._store.add([firing], lease_ms=LEASE_MS)
        failpoint("event.called")
        response = await self._firing.start(firing)
        if call.name:
            execution_id = response.execution_id
            await self._store.record_call(namespace, hook, name, execution_id=execution_id)
        return pb.ReceiveWebhookResponse(
            execution_id=response.execution_id, created=response.created
        )

    async def resume(self, token: str, headers: Headers, body: bytes) -> pb.ReceiveWebhookResponse:
        """Handle a call of the URL of a node: signal the payload to the waiting node."""
        place = self._place(token)
        waiting = await self._receiver(place)
        receiver = waiting.receiver
        call = await self._verified(place.namespace, receiver, headers, body)
        if challenge := _challenge(receiver, call):
            return pb.ReceiveWebhookResponse(challenge=challenge)
        hook = _TOKENS + hashlib.sha256(token.encode()).hexdigest()
        earlier = await self._call(place.namespace, hook, call)
        if earlier is not None and earlier["execution_id"]:
            return _outcome(earlier)
        if not waiting.waits and earlier is None:
            raise WrongState("HOOK_CLOSED", f"node {place.node} is not waiting for a call now")
        check_payload(receiver, call.payload)
        if call.name:
            # Record it before the outcome is known: without a response it may have been applied.
            await self._store.record_call(place.namespace, hook, call.name)
        try:
            await self._signal(place, waiting.signal, hook, call, body)
        except NOT_APPLIED:
            await self._store.delete_call(place.namespace, hook, call.name)
            raise
        if call.name:
            await self._store.record_call(
                place.namespace,
                hook,
                call.name,
                execution_id=place.execution_id,
                node=place.node,
            )
        return pb.ReceiveWebhookResponse(
            execution_id=place.execution_id, node=place.node, created=True
        )

    async def _signal(self, place: _Node, name: str, hook: str, call: Call, body: bytes) -> None:
        """Signal with a request id derived from the call, so that a repeat has no effect."""
        request_id = hashlib.sha256(f"{hook}\n{call.name or self._new_id()}".encode()).hexdigest()
        await self._executions.SignalExecution(
            execution_service_pb2.SignalExecutionRequest(
                namespace=place.namespace,
                execution_id=place.execution_id,
                name=name,
                payload=payload_pb2.Payload(data=body),
                request_id=f"hook_{request_id[:40]}",
                actor="webhook",
            )
        )

    async def of_execution(self, namespace: str, execution_id: str) -> list[pb.Hook]:
        """Return the waiting nodes with the tokens of their URLs."""
        request = receiver_service_pb2.ListReceiversRequest(
            namespace=namespace, execution_id=execution_id
        )
        found = await self._receivers.ListReceivers(request)
        return [
            pb.Hook(node=each.node, token=self.token(namespace, execution_id, each.node))
            for each in found.receivers
            if each.waits
        ]

    def token(self, namespace: str, execution_id: str, node: str) -> str:
        """Return an opaque token, authenticated by the key of the service."""
        text = orjson.dumps([namespace, execution_id, node])
        return base64.urlsafe_b64encode(self._mac(text) + text).decode().rstrip("=")

    def _mac(self, text: bytes) -> bytes:
        return hmac.new(self._key, text, hashlib.sha256).digest()[:_MAC_BYTES]

    def _place(self, token: str) -> _Node:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise _not_found()
        try:
            data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            raise _not_found() from None
        mac, text = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(text)):
            raise _not_found()
        return _Node(*orjson.loads(text))

    async def _receiver(self, place: _Node) -> receiver_service_pb2.WaitingReceiver:
        request = receiver_service_pb2.ListReceiversRequest(
            namespace=place.namespace, execution_id=place.execution_id
        )
        try:
            found = await self._receivers.ListReceivers(request)
        except NotFound:
            raise _not_found() from None
        for each in found.receivers:
            if each.node == place.node:
                return each
        raise _not_found()

    async def _verified(
        self, namespace: str, receiver: trigger_pb2.Receiver, headers: Headers, body: bytes
    ) -> Call:
        if len(body) > BODY_BYTES_MAX:
            message = f"the body of a webhook is limited to {BODY_BYTES_MAX // 1024} KiB"
            raise TooLarge("PAYLOAD_TOO_LARGE", message)
        secret = await self._secrets.text(namespace, receiver.secret)
        if secret != receiver.secret:
            known = trigger_pb2.Receiver()
            known.CopyFrom(receiver)
            known.secret, receiver = secret, known
        return verified(receiver, headers, body, self._clock.now_us() // 1_000_000)

    async def _call(self, namespace: str, hook: str, call: Call) -> Row | None:
        """Return an earlier call of this name; without an execution its outcome is unknown."""
        if not call.name:
            return None
        return await self._store.earlier_call(namespace, hook, call.name)


def _outcome(earlier: Row) -> pb.ReceiveWebhookResponse:
    return pb.ReceiveWebhookResponse(
        execution_id=earlier["execution_id"], node=earlier["node"], created=False
    )


@lru_cache(maxsize=SCHEMAS_KEPT)
def _schema(source: bytes) -> Schema:
    """Return a schema, compiled once: its patterns may take 0.1 s."""
    return Schema(source)


def check_payload(receiver: trigger_pb2.Receiver, payload: Any) -> None:
    """Check a payload against the schema. Raise PAYLOAD_INVALID with a violation per problem."""
    if isinstance(payload, NotJson):
        raise _invalid("payload", payload.problem)
    violations = tuple(
        Violation(
            f"payload{problem.path}",
            problem.message,
            "PAYLOAD_INVALID",
            schema_path=problem.schema_path,
        )
        for problem in _schema(receiver.payload_schema).problems(payload)
    )
    if violations:
        first = violations[0]
        text = f"{first.field}: {first.description} ({first.schema_path})"
        raise Invalid("PAYLOAD_INVALID", text, violations=violations)


def _challenge(receiver: trigger_pb2.Receiver, call: Call) -> str:
    """Return the response to the URL verification of Slack, or an empty text."""
    payload = call.payload
    slack = receiver.provider == trigger_pb2.WEBHOOK_PROVIDER_TYPE_SLACK
    if slack and isinstance(payload, dict) and payload.get("type") == "url_verification":
        return str(payload.get("challenge", ""))[:1_024]
    return ""


def _not_found() -> NotFound:
    return NotFound("HOOK_NOT_FOUND", "no trigger and no waiting node has this URL")


def _invalid(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "PAYLOAD_INVALID")
    return Invalid("PAYLOAD_INVALID", f"{field}: {what}", violations=(violation,))
