"""Requests to JetStream that the client library has no method for, and their errors."""

from dataclasses import dataclass
from typing import Any, Final

import nats.errors
import orjson

from flowmesh.bus import Bus
from flowmesh.errors import Unavailable

MESSAGE_ID: Final = "Nats-Msg-Id"
PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
PAGE_TIMEOUT_S: Final = 5.0
# Streams, consumers, and 10057: a message to delete that does not exist.
NOT_FOUND: Final = (404, 10014, 10057, 10059)
# The description of the error with the code 10077.
FULL: Final = "maximum"

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The position of a stored message; `duplicate` if it was stored before."""

    sequence: int
    duplicate: bool


class StreamMissing(Exception):
    """The stream or consumer does not exist: it was never made, deleted, or was in memory."""


class StreamFull(Exception):
    """The stream holds as many messages or bytes as it may."""


class JetStream:
    """Requests over the connection of the process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def api(self, path: str, body: Any) -> Reply:
        """Return the response of the API. Raises StreamMissing or Unavailable."""
        data = b"" if body is None else orjson.dumps(body)
        reply = _parsed(await self._bus.ask(f"$JS.API.{path}", data))
        error = reply.get("error")
        if error is None:
            return reply
        if error.get("code") in NOT_FOUND or error.get("err_code") in NOT_FOUND:
            raise StreamMissing(path)
        raise _unavailable(error)

    async def put(self, subject: str, data: bytes, headers: dict[str, str]) -> Stored:
        """Store a message. Raises StreamMissing, StreamFull or Unavailable."""
        reply = _parsed(await self._bus.ask(subject, data, headers=headers))
        error = reply.get("error")
        if error is None:
            return Stored(reply["seq"], reply.get("duplicate", False))
        if FULL in error.get("description", ""):
            raise StreamFull(subject)
        raise _unavailable(error)

    async def page(
        self, stream: str, subjects: str, sequence: int, count: int
    ) -> list[tuple[bytes, dict[str, str]]]:
        """Return stored messages from a sequence on, in order, without a consumer."""
        client = self._bus.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        request = {
            "seq": max(1, sequence),
            "batch": count,
            "max_bytes": PAGE_BYTES_MAX,
            "next_by_subj": subjects,
        }
        found: list[tuple[bytes, dict[str, str]]] = []
        try:
            path = f"$JS.API.DIRECT.GET.{stream}"
            await client.publish(path, orjson.dumps(request), reply=inbox)
            while len(found) < count:
                raw = await subscription.next_msg(PAGE_TIMEOUT_S)
                headers = raw.headers or {}
                if "Status" in headers:
                    break
                found.append((raw.data, headers))
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(
                "SERVICE_UNAVAILABLE", "no response from the message bus", retry_after_ms=500
            ) from error
        finally:
            if client.is_connected:
                await subscription.unsubscribe()
        return found


def _parsed(raw: Any) -> Reply:
    """Return the reply as JSON. Raise StreamMissing if nothing listens to the subject."""
    if raw.headers and raw.headers.get("Status") == "503":
        raise StreamMissing(raw.subject)
    found: Reply = orjson.loads(raw.data) if raw.data else {}
    return found


def _unavailable(error: Reply) -> Unavailable:
    text = f"the message bus refused: {error.get('description', 'unknown error')}"
    return Unavailable("SERVICE_UNAVAILABLE", text, retry_after_ms=500)
