"""What the adapters of model services share: one request within the egress rules, its failures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.egress import (
    EVENT_STREAM,
    EgressBlocked,
    EgressFailure,
    Response,
    ResponseTooLarge,
    TimedOut,
    data_of_events,
)
from flowmesh.errors import FlowmeshError
from flowmesh.models.port import Conversation, ProviderFailed, Text, ToolUse, Turn

ANSWER_BYTES_MAX = 1024 * 1024
# A stream has some 300 bytes for each token.
STREAM_BYTES_MAX = 8 * 1024 * 1024
MESSAGE_CHARACTERS_MAX = 200
RETRY_AFTER_S_MAX = 300
RATE_LIMIT, OVERLOADED, TIMEOUT = "RateLimitError", "ServerError", "Timeout"
NETWORK, AUTHENTICATION, MALFORMED = "NetworkError", "AuthenticationError", "MalformedAnswer"
REJECTED, BLOCKED = "ClientError", "EgressBlocked"
# Words in the names that services give to errors; others are of the service itself.
_CLASSES = {
    "rate_limit": RATE_LIMIT,
    "quota": RATE_LIMIT,
    "auth": AUTHENTICATION,
    "permission": AUTHENTICATION,
    "invalid_request": REJECTED,
    "not_found": REJECTED,
}


class Sender(Protocol):
    """The HTTP client, `flowmesh.egress.Egress`."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        response_bytes_max: int,
    ) -> Response: ...

    async def addresses(self, host: str, port: int) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Service:
    """A model service: its URL, its model, and the key of the installation."""

    url: str
    model: str
    key: str = field(default="", repr=False)


async def post(
    egress: Sender,
    url: str,
    headers: Mapping[str, str],
    body: Json,
    conversation: Conversation,
) -> dict[str, Json] | list[str]:
    """Return the JSON of a successful response, or the data of the events of a stream.

    Raises ProviderFailed.
    """
    sent = {**headers, "content-type": "application/json"}
    if conversation.idempotency_key:
        sent["idempotency-key"] = conversation.idempotency_key
    try:
        response = await egress.send(
            "POST",
            url,
            headers=sent,
            body=orjson.dumps(body),
            timeout_ms=conversation.timeout_ms,
            response_bytes_max=STREAM_BYTES_MAX,
        )
    except TimedOut as error:
        raise ProviderFailed(TIMEOUT, str(error)) from None
    except ResponseTooLarge:
        raise ProviderFailed(MALFORMED, "the answer is larger than 8 MiB") from None
    except EgressFailure as error:
        raise ProviderFailed(NETWORK, str(error)) from None
    except EgressBlocked as error:
        raise ProviderFailed(BLOCKED, error.message) from None
    except FlowmeshError as error:
        raise ProviderFailed(REJECTED, error.message) from None
    if response.status >= 300:
        raise _failure(response)
    if EVENT_STREAM not in response.headers.get("content-type", ""):
        return parsed(response.body)
    try:
        return data_of_events(response.body)
    except UnicodeDecodeError:
        raise ProviderFailed(MALFORMED, "the answer is no text") from None


def bounded(turn: Turn) -> Turn:
    """Return a turn whose texts and arguments are not too large. Raises ProviderFailed."""
    size = sum(len(each.text) for each in turn.blocks if isinstance(each, Text))
    calls = (each.arguments for each in turn.blocks if isinstance(each, ToolUse))
    if size + sum(len(orjson.dumps(each)) for each in calls) > ANSWER_BYTES_MAX:
        raise ProviderFailed(MALFORMED, "the answer is larger than 1 MiB")
    return turn


def cut() -> ProviderFailed:
    """Return the failure of a stream that ended before its last event."""
    return ProviderFailed(NETWORK, "the stream ended within the answer")


def told(kind: str, message: str) -> ProviderFailed:
    """Return the failure that a service tells within an answer."""
    class_ = next((class_ for word, class_ in _CLASSES.items() if word in kind), OVERLOADED)
    return ProviderFailed(class_, message[:MESSAGE_CHARACTERS_MAX])


def parsed(text: bytes | str) -> dict[str, Json]:
    """Return a JSON object. Raises ProviderFailed."""
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ProviderFailed(MALFORMED, "the answer is not a JSON object")
    return value


def _failure(response: Response) -> ProviderFailed:
    status = response.status
    message = f"status {status}"
    if status in (401, 403):
        return ProviderFailed(AUTHENTICATION, message)
    if status == 429:
        after = response.headers.get("retry-after", "")
        seconds = min(int(after), RETRY_AFTER_S_MAX) if after.isdecimal() else 0
        return ProviderFailed(RATE_LIMIT, message, retry_after_ms=seconds * 1000)
    return ProviderFailed(OVERLOADED if status >= 500 else REJECTED, message)
