"""A stub of model services: the Messages API and Chat Completions, with scripted answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from flowmesh.contract.json_value import Json
from tests.features.assistant.streams import claude_events, completion_chunks, error_event


@dataclass(frozen=True)
class Say:
    text: str
    refusal: bool = False
    cut: bool = False
    input_tokens: int = 100


@dataclass(frozen=True)
class Use:
    name: str
    arguments: dict[str, Json]
    # The stream has half of the arguments; `cut` says that they reached the limit of tokens.
    half: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Fail:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass(frozen=True)
class Break:
    """The connection ends in the middle of the answer; `clean` ends the response as if whole."""

    clean: bool = False


@dataclass(frozen=True)
class Raise:
    """An error within the stream."""

    type: str


@dataclass(frozen=True)
class Flow:
    """A stream without end; `slow` sends nothing after its first half."""

    slow: bool = False


@dataclass(frozen=True)
class Hang:
    """The answer comes when the test says so."""

    until: asyncio.Event
    then: Say


Faulty = Break | Raise | Flow
Answer = Say | Use | Fail | Faulty | Hang


class Models:
    """Answers in order; the last one again once all are given. Records the requests.

    A repeated idempotency key gets the first answer again, and is paid once.
    """

    def __init__(self) -> None:
        self.url = ""
        # Whether answers are streamed to who asks for it; some services do not.
        self.streams = True
        self.answers: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        # The answers that were paid, by idempotency key.
        self.paid: dict[str, Answer] = {}

    def script(self, *answers: Answer) -> None:
        self.answers, self.requests, self.headers, self.paid = [*answers], [], [], {}

    async def _next(self, request: web.Request) -> Answer:
        self.requests.append(await request.json())
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        key = request.headers.get("idempotency-key", f"request {len(self.requests)}")
        if key in self.paid:
            return self.paid[key]
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Hang):
            self.paid[key] = answer.then
            await answer.until.wait()
            return answer.then
        if not isinstance(answer, Fail | Faulty):
            self.paid[key] = answer
        return answer

    async def messages(self, request: web.Request) -> web.StreamResponse:
        answer = await self._next(request)
        if isinstance(answer, Fail):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        said = Say("This is cut.") if isinstance(answer, Faulty) else answer
        assert isinstance(said, Say | Use)
        if isinstance(said, Say):
            content: Json = {"type": "text", "text": said.text}
            stop = "refusal" if said.refusal else "max_tokens" if said.cut else "end_turn"
        else:
            content = {
                "type": "tool_use",
                "id": "toolu_1",
                "name": said.name,
                "input": said.arguments,
            }
            stop = "max_tokens" if said.cut else "tool_use"
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self.requests[-1]["model"],
            "content": [content],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {
                "input_tokens": said.input_tokens if isinstance(said, Say) else 100,
                "output_tokens": 10,
            },
        }
        half = isinstance(said, Use) and said.half
        return await self._answered(request, answer, message, claude_events(message, half=half))

    async def completions(self, request: web.Request) -> web.StreamResponse:
        answer = await self._next(request)
        if isinstance(answer, Fail):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        said = Say("This is cut.") if isinstance(answer, Faulty) else answer
        assert isinstance(said, Say | Use)
        message: dict[str, Json] = {"role": "assistant", "content": None, "refusal": None}
        if isinstance(said, Say):
            message["refusal" if said.refusal else "content"] = said.text
        else:
            function = {"name": said.name, "arguments": json.dumps(said.arguments)}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        stop = "length" if said.cut else "stop" if isinstance(said, Say) else "tool_calls"
        completion = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": self.requests[-1]["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": stop}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        half = isinstance(said, Use) and said.half
        chunks = completion_chunks(completion, half=half)
        return await self._answered(request, answer, completion, chunks)

    async def _answered(
        self, request: web.Request, answer: Answer, whole: Json, events: list[str]
    ) -> web.StreamResponse:
        """Send an answer whole, or as a stream if that is asked for, with its fault."""
        if not (self.streams and self.requests[-1].get("stream")):
            return web.json_response(whole)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        faulty = isinstance(answer, Faulty)
        half = len(events) // 2
        await response.write("".join(events[:half] if faulty else events).encode())
        match answer:
            case Break(clean=False):
                await response.write(events[half][:9].encode())
                assert request.transport is not None
                request.transport.close()
            case Raise():
                await response.write(error_event(answer.type).encode())
            case Flow(slow=True):
                await asyncio.Event().wait()
            case Flow():
                while True:
                    await response.write(events[half - 1].encode() * 100)
        return response


@asynccontextmanager
async def serving_models() -> AsyncIterator[Models]:
    """Serve the stub on a free port."""
    models = Models()
    app = web.Application()
    app.router.add_post("/v1/messages", models.messages)
    app.router.add_post("/v1/chat/completions", models.completions)
    # A stream without end does not end by itself.
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    models.url = f"http://{host}:{port}"
    try:
        yield models
    finally:
        await runner.cleanup()
