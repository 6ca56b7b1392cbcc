"""A stub of the Copilot command line in server mode: sessions over JSON-RPC, scripted answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from flowmesh.contract.json_value import Json
from tests.features.assistant.models import Say, Use


@dataclass(frozen=True)
class Raise:
    """An error of the session."""

    type: str


@dataclass(frozen=True)
class Drop:
    """The connection ends within the answer."""


Scripted = Say | Use | Raise | Drop


@dataclass
class Copilot:
    """Answers in order; the last one again once all are given. Records sessions and their ends."""

    url: str = ""
    answers: list[Scripted] = field(default_factory=list)
    connects: list[dict[str, Any]] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    refusals: list[Json] = field(default_factory=list)

    def script(self, *answers: Scripted) -> None:
        self.answers = [*answers]
        for each in (self.connects, self.sessions, self.prompts, self.closed, self.refusals):
            each.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b":")[1])
                await self._take(json.loads(await reader.readexactly(length)), writer)
        writer.close()

    async def _take(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if "method" not in message:
            self.refusals.append(message.get("error"))
            return
        params, result = message["params"], {}
        match message["method"]:
            case "connect":
                self.connects.append(params)
                result = {"ok": True, "protocolVersion": 3, "version": "1.0.0"}
            case "session.create":
                self.sessions.append(params)
                result = {"sessionId": params["sessionId"]}
            case "session.send":
                self.prompts.append(params["prompt"])
                result = {"messageId": "message-1"}
            case "session.delete":
                self.closed.append(params["sessionId"])
                result = {"success": True}
        _write(writer, {"id": message["id"], "result": result})
        if message["method"] == "session.send":
            self._answer(params["sessionId"], writer)
        await writer.drain()

    def _answer(self, session: str, writer: asyncio.StreamWriter) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Drop):
            writer.write(b'Content-Length: 100\r\n\r\n{"method"')
            writer.close()
            return
        # The command line asks for more than an assistant serves.
        _write(writer, {"id": 900, "method": "userInput.request", "params": {}})
        usage = {"model": "gpt-5", "inputTokens": 100, "outputTokens": 10}
        if isinstance(answer, Raise):
            _tell(writer, session, "session.error", errorType=answer.type, message="no")
            return
        if isinstance(answer, Say):
            _tell(writer, session, "assistant.message", messageId="m", content=answer.text)
            reason = "length" if answer.cut else "stop"
            flags = {"finishReason": reason, "contentFilterTriggered": answer.refusal}
            _tell(writer, session, "assistant.usage", **usage, **flags)
            _tell(writer, session, "session.idle")
            return
        _tell(writer, session, "assistant.usage", **usage)
        asked = {"requestId": "r-1", "sessionId": session, "toolCallId": "call-1"}
        called = {"toolName": answer.name, "arguments": answer.arguments}
        _tell(writer, session, "external_tool.requested", **asked, **called)


def _tell(writer: asyncio.StreamWriter, session: str, kind: str, **data: Json) -> None:
    event = {
        "id": "7f1fa9c4-6c1c-4d6b-9a57-0f4c8d1c2f10",
        "timestamp": "2026-11-29T00:00:00Z",
        "parentId": None,
        "type": kind,
        "data": data,
    }
    _write(writer, {"method": "session.event", "params": {"sessionId": session, "event": event}})


def _write(writer: asyncio.StreamWriter, message: dict[str, Json]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


@asynccontextmanager
async def serving_copilot() -> AsyncIterator[Copilot]:
    """Serve the stub on a free port."""
    copilot = Copilot()
    server = await asyncio.start_server(copilot.serve, "127.0.0.1", 0)
    copilot.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield copilot
    finally:
        server.close()
