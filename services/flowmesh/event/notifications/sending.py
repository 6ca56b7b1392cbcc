"""An attempt of a notification: a signed CloudEvent to a webhook, or a message to the broker."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson
from standardwebhooks.webhooks import Webhook

from flowmesh.api.broker.v1 import message_pb2, message_service_pb2
from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.contract.retries import backoff
from flowmesh.egress import Egress, EgressFailure, ResponseTooLarge
from flowmesh.errors import FlowmeshError, WrongState
from flowmesh.event.notifications.compiled import CompiledSubscription, SubscriptionCache
from flowmesh.event.notifications.sealing import SigningSecrets
from flowmesh.event.notifications.store import Due
from flowmesh.event.queues import Queues
from flowmesh.event.secrets import TRANSIENT, EventSecrets
from flowmesh.expressions import RenderError
from flowmesh.jsontext import dump_json
from flowmesh.runtime import Clock

TIMEOUT_MS: Final = 15_000
# Longer than the longest attempt: after it, the process of the attempt must have died.
LEASE_MS: Final = 20_000
# Delay when the attempt could not be made; it does not count.
NOT_NOW_MS: Final = 1_000
GONE: Final = 410
JSON: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json; charset=utf-8"
SECRET_BYTES: Final = 32
# Characters that a header of CloudEvents carries as they are; others are percent-encoded.
_UNENCODED: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_NOT_HEADERS: Final = ("data", "datacontenttype")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an attempt; one that was `put_off` does not count.

    The breaker counts only failures of the sink.
    """

    status: str
    http_status: int = 0
    error: str = ""
    delay_ms: int = 0
    gone: bool = False
    put_off: bool = False
    of_sink: bool = True


class NotificationSender:
    """Makes attempts; stores nothing."""

    def __init__(
        self,
        *,
        egress: Egress,
        queues: Queues,
        event_secrets: EventSecrets,
        signing: SigningSecrets,
        subscriptions: SubscriptionCache,
        clock: Clock,
    ) -> None:
        self._egress = egress
        self._queues = queues
        self._secrets = event_secrets
        self._signing = signing
        self._subscriptions = subscriptions
        self._clock = clock

    async def attempt(self, due: Due) -> Outcome:
        """Send a notification once. A redirect counts as a failure."""
        row = {"id": due.subscription, "namespace": due.namespace, "body": due.body}
        compiled = self._subscriptions.compiled(row)
        try:
            body = compiled.body(due.event)
        except RenderError as error:
            # A retry would fail too.
            text = f"the template does not fit the event: {error}"
            return Outcome("dead", error=text, of_sink=False)
        if compiled.config.WhichOneof("sink") == "queue":
            return await self._publish(compiled, due, body)
        return await self._post(compiled, due, body)

    async def _post(
        self, compiled: CompiledSubscription, due: Due, rendered: bytes | None
    ) -> Outcome:
        sink = compiled.config.webhook
        headers, body = _content(sink.mode, due.event, rendered)
        try:
            url = await self._secrets.text(due.namespace, sink.url)
            for name, value in sink.headers.items():
                headers[name] = await self._secrets.text(due.namespace, value)
            stored = (due.secret, due.previous_secret)
            keys = [self._signing.opened(due.namespace, due.name, each) for each in stored]
            if sink.secret_ref:
                keys = [await self._secrets.text(due.namespace, sink.secret_ref)]
            headers |= signatures(due.id, keys, body, self._clock.now_us() // 1_000_000)
        except TRANSIENT as error:
            text = f"a secret could not be read: {error.reason}"
            return Outcome("pending", error=text, delay_ms=NOT_NOW_MS, put_off=True)
        except WrongState as error:
            return _failed(compiled.config.policy, due, error.message)
        except (binascii.Error, ValueError):
            text = "the secret is not one of Standard Webhooks: whsec_ and base64"
            return _failed(compiled.config.policy, due, text)
        try:
            response = await self._egress.send(
                "POST", url, headers=headers, body=body, timeout_ms=TIMEOUT_MS, redirects_max=0
            )
        except (EgressFailure, ResponseTooLarge) as error:
            return _failed(compiled.config.policy, due, str(error))
        except FlowmeshError as error:
            return Outcome("dead", error=str(error))
        if 200 <= response.status < 300:
            return Outcome("delivered", response.status)
        text = f"the receiver answered {response.status}"
        if response.status == GONE:
            return Outcome("dead", response.status, text, gone=True)
        return _failed(compiled.config.policy, due, text, response.status)

    async def _publish(
        self, compiled: CompiledSubscription, due: Due, rendered: bytes | None
    ) -> Outcome:
        sink = compiled.config.queue
        message = message_pb2.Message(
            message_id=due.id,
            body=due.event if rendered is None else rendered,
            content_type=JSON if rendered is not None else "application/cloudevents+json",
            routing_key=sink.routing_key or due.type,
        )
        message.headers["ce-type"].text = due.type
        request = message_service_pb2.PublishRequest(
            exchange=sink.exchange, messages=[message], mandatory=True
        )
        try:
            (outcome,) = await self._queues.publish(due.namespace, request)
        except FlowmeshError as error:
            return _failed(compiled.config.policy, due, f"{error.reason}: {error.message}")
        if outcome.reason:
            return _failed(compiled.config.policy, due, f"{outcome.reason}: {outcome.error}")
        return Outcome("delivered")


def _content(
    mode: pb.CloudEventMode.ValueType, event: bytes, rendered: bytes | None
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of an event in one of the content modes."""
    if rendered is not None and mode != pb.CLOUD_EVENT_MODE_BINARY:
        return {"Content-Type": JSON}, rendered
    if mode != pb.CLOUD_EVENT_MODE_BINARY:
        return {"Content-Type": STRUCTURED}, event
    value = orjson.loads(event)
    body = dump_json(value.get("data")) if rendered is None else rendered
    return {"Content-Type": JSON, **binary_headers(value)}, body


def binary_headers(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of an event as headers (HTTP protocol binding 1.0, 3.1.3)."""
    return {
        f"ce-{name}": quote(_text(value), safe=_UNENCODED)
        for name, value in event.items()
        if name not in _NOT_HEADERS
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def signatures(notification_id: str, keys: list[str], body: bytes, now_s: int) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature by each key."""
    moment = datetime.fromtimestamp(now_s, UTC)
    signed = [Webhook(key).sign(notification_id, moment, body.decode()) for key in keys if key]
    headers = {"webhook-id": notification_id, "webhook-timestamp": str(now_s)}
    return headers | ({"webhook-signature": " ".join(signed)} if signed else {})


def new_secret() -> str:
    """Return a secret in the form of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def _failed(policy: pb.DeliveryPolicy, due: Due, problem: str, http_status: int = 0) -> Outcome:
    if due.attempts + 1 >= policy.max_attempts:
        return Outcome("dead", http_status, problem)
    delay_ms = backoff(policy.initial_delay_ms, due.attempts + 1, most=policy.max_delay_ms)
    return Outcome("pending", http_status, problem, int(delay_ms))
