"""Meter events of Stripe: one call for a meter and an hour, with an idempotency key."""

from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from flowmesh.egress import Egress, EgressFailure
from flowmesh.errors import FlowmeshError

CALL_MS = 10_000
ANSWER_BYTES_MAX = 64 << 10
PROBLEM_CHARS_MAX = 200
_DUPLICATE = "duplicate_meter_event"


class BillingRefused(Exception):
    """Stripe refused an event, or was not reached; the message says why."""


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """The use of a customer; Stripe adds the values of one name. Equal identifiers count once."""

    name: str
    customer: str
    value: int
    at_s: int
    identifier: str


class Stripe:
    """Sends meter events; `key` is the secret key of the installation."""

    def __init__(self, egress: Egress, url: str, key: str) -> None:
        self._egress = egress
        self._url, self._key = url.rstrip("/"), key

    async def send(self, event: MeterEvent) -> None:
        """Send an event; one that Stripe has already is no error. Raises BillingRefused."""
        form = {
            "event_name": event.name,
            "identifier": event.identifier,
            "timestamp": str(event.at_s),
            "payload[stripe_customer_id]": event.customer,
            "payload[value]": str(event.value),
        }
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/x-www-form-urlencoded",
            "idempotency-key": event.identifier,
        }
        try:
            answer = await self._egress.send(
                "POST",
                f"{self._url}/v1/billing/meter_events",
                headers=headers,
                body=urlencode(form).encode(),
                timeout_ms=CALL_MS,
                response_bytes_max=ANSWER_BYTES_MAX,
            )
        except (EgressFailure, FlowmeshError) as error:
            raise BillingRefused(str(error)[:PROBLEM_CHARS_MAX]) from None
        if answer.status >= 300:
            code, message = _error(answer.body)
            if code != _DUPLICATE:
                text = f"status {answer.status}: {message}"
                raise BillingRefused(text[:PROBLEM_CHARS_MAX])


def _error(body: bytes) -> tuple[str, str]:
    """Return code and message of an answer."""
    try:
        error = orjson.loads(body)["error"]
        return str(error.get("code", "")), str(error.get("message", ""))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "", "the answer is not an error of Stripe"
