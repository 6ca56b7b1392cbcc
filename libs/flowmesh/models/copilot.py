"""GitHub Copilot by sessions of its command line in server mode: JSON-RPC 2.0 over TCP.

Each turn is a session of its own: created with the tools, sent the conversation as one prompt, and
deleted after the answer or the first calls of tools. So a repeated turn needs no session of before.
The tools of the command line itself are left out: only those of the conversation are available.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.egress import EgressBlocked, EgressFailure
from flowmesh.models import services
from flowmesh.models.port import (
    Block,
    Conversation,
    Message,
    ProviderFailed,
    Text,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
)
from flowmesh.models.services import MALFORMED, Sender, Service

HEAD_LINES_MAX: Final = 8
UNSERVED: Final = -32601
_ROLES: Final = {"user": "User", "assistant": "Assistant"}


class CopilotProvider:
    name = "copilot"
    remote = True

    def __init__(self, egress: Sender, service: Service) -> None:
        self._egress = egress
        self._service = service
        self.model = service.model

    async def turn(self, conversation: Conversation) -> Turn:
        """Return the next turn. Raises ProviderFailed."""
        try:
            async with asyncio.timeout(conversation.timeout_ms / 1000), self._connected() as peer:
                token = {"token": self._service.key} if self._service.key else {}
                await peer.request("connect", token)
                return await self._answered(peer, conversation)
        except TimeoutError:
            text = f"no complete answer within {conversation.timeout_ms} ms"
            raise ProviderFailed(services.TIMEOUT, text) from None
        except EgressBlocked as error:
            raise ProviderFailed(services.BLOCKED, error.message) from None
        except (OSError, EOFError, EgressFailure) as error:
            text = str(error) or "the connection ended"
            raise ProviderFailed(services.NETWORK, text) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ProviderFailed(MALFORMED, "the answer is no message") from None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator["_Peer"]:
        url = urlsplit(self._service.url)
        host, tls = url.hostname or "", url.scheme == "https"
        port = url.port or (443 if tls else 80)
        address, *_ = await self._egress.addresses(host, port)
        limit = services.ANSWER_BYTES_MAX
        name = host if tls else None
        reader, writer = await asyncio.open_connection(
            address, port, limit=limit, ssl=tls or None, server_hostname=name
        )
        try:
            yield _Peer(reader, writer)
        finally:
            writer.close()

    async def _answered(self, peer: "_Peer", conversation: Conversation) -> Turn:
        session = {"sessionId": str(uuid.uuid4())}
        await peer.request("session.create", session | self._settings(conversation))
        heard = _Heard()
        sent = {"prompt": prompt_of(conversation.messages)}
        await peer.request("session.send", session | sent, heard)
        while not heard.ended:
            heard.take(await peer.message())
        # An answer that is paid is not lost where its session cannot be closed.
        with suppress(ProviderFailed):
            if heard.calls:
                await peer.request("session.abort", session)
            await peer.request("session.delete", session)
        text = [Text("\n".join(heard.texts))] if any(heard.texts) else []
        return Turn([*text, *heard.calls], heard.usage, refused=heard.refused, cut=heard.cut)

    def _settings(self, conversation: Conversation) -> dict[str, Json]:
        """Return the settings of a session: its texts, and no tools but those offered."""
        return {
            "clientName": "flowmesh",
            "model": self.model,
            "systemMessage": {"mode": "replace", "content": conversation.system},
            "tools": [
                {
                    "name": each.name,
                    "description": each.description,
                    "parameters": each.schema,
                    "skipPermission": True,
                }
                for each in conversation.tools
            ],
            "availableTools": [f"custom:{each.name}" for each in conversation.tools],
            "requestPermission": False,
        }


@dataclass(slots=True)
class _Heard:
    """The events of a session so far."""

    texts: list[str] = field(default_factory=list)
    calls: list[ToolUse] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    refused: bool = False
    cut: bool = False
    idle: bool = False

    @property
    def ended(self) -> bool:
        return self.idle or bool(self.calls)

    def take(self, message: dict[str, Json]) -> None:
        """Read a message; those that are no events of a session are left out."""
        if message.get("method") != "session.event":
            return
        event = message["params"]["event"]
        data = event["data"]
        match event["type"]:
            case "assistant.message":
                self.texts.append(str(data["content"]))
            case "external_tool.requested":
                use = ToolUse(data["toolCallId"], data["toolName"], dict(data["arguments"] or {}))
                self.calls.append(use)
            case "assistant.usage":
                self._count(data)
            case "session.error":
                raise services.told(str(data["errorType"]), str(data["message"]))
            case "session.idle":
                self.idle = True

    def _count(self, data: dict[str, Json]) -> None:
        counts = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens")
        self.usage += Usage(*(int(data.get(name) or 0) for name in counts))
        self.refused |= bool(data.get("contentFilterTriggered"))
        self.cut |= data.get("finishReason") == "length"


class _Peer:
    """One connection: messages with a `Content-Length` before each."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._next_id = 0

    async def request(
        self, method: str, params: dict[str, Json], heard: _Heard | None = None
    ) -> Json:
        """Return the result of a request; events before it are heard. Raises ProviderFailed."""
        self._next_id += 1
        await self._send({"id": self._next_id, "method": method, "params": params})
        while True:
            message = await self.message()
            if message.get("id") == self._next_id and "method" not in message:
                if error := message.get("error"):
                    raise ProviderFailed(services.REJECTED, f"{method}: {error['message']}")
                return message.get("result")
            if heard is not None:
                heard.take(message)

    async def message(self) -> dict[str, Json]:
        """Return the next message; requests of the other side are refused."""
        while True:
            message = services.parsed(await self._reader.readexactly(await self._length()))
            if "method" not in message or "id" not in message:
                return message
            error = {"code": UNSERVED, "message": "not served"}
            await self._send({"id": message["id"], "error": error})

    async def _length(self) -> int:
        length = 0
        for _ in range(HEAD_LINES_MAX):
            line = (await self._reader.readuntil(b"\r\n")).decode("ascii").strip()
            if not line:
                break
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        if not 0 < length <= services.ANSWER_BYTES_MAX:
            raise ProviderFailed(MALFORMED, "the answer is larger than 1 MiB, or has no length")
        return length

    async def _send(self, message: dict[str, Json]) -> None:
        body = orjson.dumps({"jsonrpc": "2.0", **message})
        self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        await self._writer.drain()


def prompt_of(messages: Sequence[Message]) -> str:
    """Return a conversation as one prompt; a single message is sent as it is."""
    if len(messages) == 1:
        return "\n".join(map(_written, messages[0].blocks))
    parts = (f"{_ROLES[each.role]}:\n" + "\n".join(map(_written, each.blocks)) for each in messages)
    return "\n\n".join(parts)


def _written(block: Block) -> str:
    match block:
        case Text():
            return block.text
        case ToolUse():
            return f"Call of {block.name}: {orjson.dumps(block.arguments).decode()}"
        case ToolResult():
            return f"{'Error' if block.is_error else 'Result'}: {block.text}"
