"""A stub of model services: the Messages API and Chat Completions, with scripted answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from flowmesh.contract.json_value import Json


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


@dataclass(frozen=True)
class Fail:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass(frozen=True)
class Break:
    """The connection ends in the middle of the body."""


@dataclass(frozen=True)
class Hang:
    """The answer comes when the test says so."""

    until: asyncio.Event
    then: Say


Answer = Say | Use | Fail | Break | Hang


class Models:
    """Answers in order; the last one again once all are given. Records the requests.

    A repeated idempotency key gets the first answer again, and is paid once.
    """

    def __init__(self) -> None:
        self.url = ""
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
        if isinstance(answer, Break):
            response = web.StreamResponse(headers={"content-length": "1000"})
            await response.prepare(request)
            await response.write(b'{"id": "msg_1", "content": [{"type"')
            assert request.transport is not None
            request.transport.close()
            return answer
        if not isinstance(answer, Fail):
            self.paid[key] = answer
        return answer

    async def messages(self, request: web.Request) -> web.Response:
        answer = await self._next(request)
        if isinstance(answer, Fail):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        assert isinstance(answer, Say | Use)
        if isinstance(answer, Say):
            content: Json = {"type": "text", "text": answer.text}
            stop = "refusal" if answer.refusal else "max_tokens" if answer.cut else "end_turn"
        else:
            content = {
                "type": "tool_use",
                "id": "toolu_1",
                "name": answer.name,
                "input": answer.arguments,
            }
            stop = "tool_use"
        return web.json_response(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": self.requests[-1]["model"],
                "content": [content],
                "stop_reason": stop,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": answer.input_tokens if isinstance(answer, Say) else 100,
                    "output_tokens": 10,
                },
            }
        )

    async def completions(self, request: web.Request) -> web.Response:
        answer = await self._next(request)
        if isinstance(answer, Fail):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        assert isinstance(answer, Say | Use)
        message: dict[str, Json] = {"role": "assistant", "content": None, "refusal": None}
        if isinstance(answer, Say):
            message["refusal" if answer.refusal else "content"] = answer.text
        else:
            function = {"name": answer.name, "arguments": json.dumps(answer.arguments)}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        stop = "tool_calls"
        if isinstance(answer, Say):
            stop = "length" if answer.cut else "stop"
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": self.requests[-1]["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": stop}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            }
        )


@asynccontextmanager
async def serving_models() -> AsyncIterator[Models]:
    """Serve the stub on a free port."""
    models = Models()
    app = web.Application()
    app.router.add_post("/v1/messages", models.messages)
    app.router.add_post("/v1/chat/completions", models.completions)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    models.url = f"http://{host}:{port}"
    try:
        yield models
    finally:
        await runner.cleanup()
