"""A delivery attempt of a callback: body, signature, and interpretation of the response."""

import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from standardwebhooks.webhooks import Webhook

from flowmesh.api.execution.v1 import (
    execution_pb2,
    execution_service_pb2,
    execution_service_pb2_grpc,
)
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.egress import Egress, EgressFailure, ResponseTooLarge
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable, WrongState
from flowmesh.event.callbacks import ALERT
from flowmesh.event.secrets import TRANSIENT, EventSecrets
from flowmesh.event.store import Due
from flowmesh.jsontext import dump_json
from flowmesh.runtime import Clock
from flowmesh.views import exact_value, execution_view, failure_view, instant
from flowmesh.views.masking import masked_message

TIMEOUT_MS: Final = 15_000
READ_TIMEOUT_S: Final = 3.0
# Longer than the longest attempt: after it, the process of the attempt must have died.
LEASE_MS: Final = 20_000
ATTEMPTS_MAX: Final = 8
DELAY_FIRST_MS: Final = 1_000
DELAY_FACTOR: Final = 2
DELAY_MAX_MS: Final = 300_000
# Delay when the execution cannot be read: no attempt was made.
NOT_NOW_MS: Final = 1_000
GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new `status` of a delivery; a pending one is retried after the delay."""

    status: str
    attempts: int
    last_error: str = ""
    delay_ms: int = 0
    label: str = "delivered"


class Deliverer:
    """Makes delivery attempts; stores nothing."""

    def __init__(
        self,
        *,
        egress: Egress,
        executions: "execution_service_pb2_grpc.ExecutionServiceAsyncStub",
        secrets: EventSecrets,
        clock: Clock,
    ) -> None:
        self._egress = egress
        self._secrets = secrets
        self._executions = executions
        self._clock = clock

    async def attempt(self, due: Due) -> Outcome:
        """Send one POST and interpret the response. A redirect counts as a failure."""
        try:
            body = await self._body(due)
        except FlowmeshError as error:
            return Outcome(
                "pending",
                due.attempts,
                f"the execution could not be read: {error.reason}",
                NOT_NOW_MS,
                "put_off",
            )
        try:
            secret = await self._secrets.text(due.namespace, due.secret)
            url = await self._secrets.text(due.namespace, due.url)
        except TRANSIENT as error:
            text = f"the secret could not be read: {error.reason}"
            return Outcome("pending", due.attempts, text, NOT_NOW_MS, "put_off")
        except WrongState as error:
            return _failed(due, error.message)
        try:
            headers = signed_headers(due.id, secret, body, self._clock.now_us() // 1_000_000)
        except (binascii.Error, ValueError, RuntimeError):
            return _dead(due, "the webhook secret is not base64 with the prefix whsec_")
        # Failures name the host, which may be part of the secret.
        problem = "" if url == due.url else f"the URL of {due.url} could not be called"
        try:
            response = await self._egress.send(
                "POST", url, headers=headers, body=body, timeout_ms=TIMEOUT_MS, redirects_max=0
            )
        except (EgressFailure, ResponseTooLarge) as error:
            return _failed(due, problem or str(error))
        except FlowmeshError as error:
            return _dead(due, problem or str(error))
        if 200 <= response.status < 300:
            return Outcome("delivered", due.attempts + 1)
        if response.status == GONE:
            return _dead(due, "the receiver answered 410")
        return _failed(due, f"the receiver answered {response.status}")

    async def _body(self, due: Due) -> bytes:
        if due.kind == ALERT:
            return due.event
        return dump_json(callback_body(due, await self._execution(due)))

    async def _execution(self, due: Due) -> execution_pb2.Execution | None:
        request = execution_service_pb2.GetExecutionRequest(
            namespace=due.namespace, execution_id=due.execution_id
        )
        try:
            return (await self._executions.GetExecution(request, timeout=READ_TIMEOUT_S)).execution
        except (Unavailable, Overloaded, Timeout):
            raise
        except FlowmeshError:
            # Deleted, or too large to be read: send the event without the execution.
            return None


def callback_body(due: Due, execution: execution_pb2.Execution | None) -> dict[str, Any]:
    """Return the JSON body. An unreadable execution is reduced to its ids."""
    event = masked_message(history_event_pb2.HistoryEvent.FromString(due.event))
    body: dict[str, Any] = {
        "event": due.kind,
        "executionId": due.execution_id,
        "workflowId": due.workflow_id,
        "status": "",
        "timestamp": instant(event.at_us),
    }
    match event.WhichOneof("event"):
        case "workflow_completed":
            body["status"] = "completed"
            body["result"] = exact_value(event.workflow_completed.output)
        case "workflow_failed":
            body["status"] = "failed"
            body["error"] = failure_view(event.workflow_failed.failure, node_key="stepId")
        case "task_completed":
            body["status"] = "success"
            body["stepId"] = event.task_completed.node
            body["result"] = exact_value(event.task_completed.output)
        case "task_failed":
            body["status"] = "failed"
            body["stepId"] = event.task_failed.node
            body["error"] = failure_view(event.task_failed.failure, node_key="stepId")
    ids = {"executionId": due.execution_id, "workflowId": due.workflow_id}
    if execution is None:
        body["execution"] = ids
    else:
        body["execution"] = execution_view(masked_message(execution), read=exact_value)
    return body


def signed_headers(delivery_id: str, secret: str, body: bytes, now_s: int) -> dict[str, str]:
    """Return the headers of Standard Webhooks: the id of the delivery, the time of the attempt."""
    headers = {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(now_s),
    }
    if secret:
        moment = datetime.fromtimestamp(now_s, UTC)
        headers["webhook-signature"] = Webhook(secret).sign(delivery_id, moment, body.decode())
    return headers


def _failed(due: Due, problem: str) -> Outcome:
    attempts = due.attempts + 1
    if attempts >= ATTEMPTS_MAX:
        return _dead(due, problem)
    delay_ms = min(DELAY_FIRST_MS * DELAY_FACTOR**due.attempts, DELAY_MAX_MS)
    return Outcome("pending", attempts, problem, delay_ms, "failed")


def _dead(due: Due, problem: str) -> Outcome:
    return Outcome("dead", due.attempts + 1, problem, 0, "dead")
