"""The JSON hub protocol of SignalR, version 1, without I/O.

Records are JSON texts that end with the byte 0x1e. A WebSocket message holds any number of them,
and a record may span messages. Source: HubProtocol.md of ASP.NET Core.
"""

from typing import Any, Final

import msgspec

from flowmesh.errors import FlowmeshError

RECORD_END: Final = "\x1e"
RECORD_CHARACTERS_MAX: Final = 32 * 1024
# Records of a client: a burst, and the rate after it.
RECORDS_BURST: Final = 200
RECORDS_PER_S: Final = 50
PROTOCOL: Final = "json"
PROTOCOL_VERSION: Final = 1

INVOCATION: Final = 1
STREAM_INVOCATION: Final = 4
COMPLETION: Final = 3
PING: Final = 6
CLOSE: Final = 7


class HubClosed(Exception):
    """The end of a connection, with the error for the client."""

    def __init__(self, error: str, *, reconnect: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.reconnect = reconnect


class Record(msgspec.Struct, rename="camel"):
    """A record of a client; members of other types of records are ignored."""

    type: int = 0
    invocation_id: str | None = None
    target: str | None = None
    arguments: list[Any] = []


class _Handshake(msgspec.Struct):
    protocol: str
    version: int


class Records:
    """Assembles the records of a client, and bounds their size and rate."""

    def __init__(self, now_ms: float) -> None:
        self._rest = ""
        self._tokens = float(RECORDS_BURST)
        self._at_ms = now_ms

    def feed(self, text: str, now_ms: float) -> list[str]:
        """Return the records that a message completes. Raises HubClosed above a limit."""
        *whole, self._rest = (self._rest + text).split(RECORD_END)
        if any(len(each) > RECORD_CHARACTERS_MAX for each in (*whole, self._rest)):
            raise HubClosed(f"A record is limited to {RECORD_CHARACTERS_MAX // 1024} KiB.")
        gained = (now_ms - self._at_ms) * RECORDS_PER_S / 1_000
        self._tokens = min(RECORDS_BURST, self._tokens + gained) - len(whole)
        self._at_ms = now_ms
        if self._tokens < 0:
            raise HubClosed(f"A connection may send {RECORDS_PER_S} records a second.")
        return whole


def check_handshake(text: str) -> None:
    """Check the first record of a client. Raises HubClosed for another protocol."""
    try:
        asked = msgspec.json.decode(text, type=_Handshake)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HubClosed(f"The first record is no handshake: {error}") from None
    if asked.protocol != PROTOCOL or asked.version != PROTOCOL_VERSION:
        raise HubClosed(
            f"The hub speaks the protocol {PROTOCOL!r} in version {PROTOCOL_VERSION}, not"
            f" {asked.protocol[:40]!r} in version {asked.version}."
        )


def parse_record(text: str) -> Record:
    """Return a record. Raises HubClosed for malformed text."""
    try:
        return msgspec.json.decode(text, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HubClosed(f"A record is malformed: {error}") from None


def record_text(record: dict[str, Any]) -> str:
    return msgspec.json.encode(record).decode("utf-8") + RECORD_END


def invocation(target: str, *arguments: Any) -> dict[str, Any]:
    """Return a call of a client without an answer."""
    return {"type": INVOCATION, "target": target, "arguments": list(arguments)}


def completion(invocation_id: str, result: Any) -> dict[str, Any]:
    return {"type": COMPLETION, "invocationId": invocation_id, "result": result}


def failed_completion(invocation_id: str, error: FlowmeshError) -> dict[str, Any]:
    text = f"{error.reason}: {error.message}"
    return {"type": COMPLETION, "invocationId": invocation_id, "error": text}


def close_record(closed: HubClosed) -> dict[str, Any]:
    """Return the last record; clients with automatic reconnection may use it."""
    return {"type": CLOSE, "error": closed.error, "allowReconnect": closed.reconnect}
