"""Ways to ask the running suite for something of any size, and what it answered in one word."""

import asyncio
import itertools
import json
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import grpc.aio
from aiohttp import web
from google.protobuf.message import Message

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as executions
from flowmesh.api.execution.v1.execution_pb2 import EXECUTION_STATUS_COMPLETED, Execution
from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from tests.features.hostile import Outcome, send

INLINE_BYTES = 256 * 1024
SIGNALS_AT_ONCE = 200
PIECE = b"x" * 65_536
WAIT_MS = 30_000
EXECUTIONS = "/flowmesh.api.execution.v1.ExecutionService"
VALIDATE = "/flowmesh.api.definition.v1.DefinitionService/ValidateWorkflow"
_numbers = itertools.count(1)


def word(outcome: Outcome) -> str:
    """Nothing for what was accepted; the reason, or the code where there is none."""
    return "" if outcome.code in ("OK", "OPEN") else outcome.reason or outcome.code


class Bench:
    """The suite, a raw channel to it, and a service whose answers have the size asked for."""

    def __init__(self, suite: Suite, channel: grpc.aio.Channel) -> None:
        self.suite, self.channel = suite, channel
        self._start = channel.unary_unary(
            f"{EXECUTIONS}/StartExecution",
            executions.StartExecutionRequest.SerializeToString,
            executions.StartExecutionResponse.FromString,
        )
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.nothing = ""

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/bytes/{count}", _bytes)
        application.router.add_route("*", "/deep/{levels}", _deep)
        application.router.add_route("*", "/hops/{count}", _hops)
        application.router.add_route("*", "/xml/{levels}/{count}", _xml)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def call(self, path: str, request: Message) -> str:
        return word(await send(self.channel, path, request.SerializeToString()))

    async def validated(self, source: Json) -> str:
        """The worst problem of a definition, as a value or as its source."""
        if isinstance(source, list | dict):
            source = json.dumps(source, separators=(",", ":")).encode()
        kind = "application/json" if source[:1] in b"{[" else "application/yaml"
        answer = await self.suite.post(
            "/api/v1/workflows:validate", data=source, headers={"content-type": kind}
        )
        if answer.status != 200:
            return str(answer.json["error"]["reason"])
        errors = [each for each in answer.json["problems"] if each["severity"].lower() == "error"]
        return str(errors[0]["code"]) if errors else ""

    async def raw(self, method: str, path: str, length: int) -> str:
        """A request that declares a body of this length, of which only what is asked for comes."""
        host, port = self.suite.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        try:
            writer.write(f"{head}Content-Length: {length}\r\n\r\n".encode() + b" " * 65_536)
            status = (await asyncio.wait_for(reader.readline(), 10)).split()[1]
            while (await reader.readline()).strip():
                pass
            body = json.loads(await reader.read(65_536) or b"{}")
            return "" if int(status) < 400 else str(body["error"]["reason"])
        finally:
            writer.close()

    async def payload(self, data: bytes) -> payload_pb2.Payload:
        """Data as a start takes it: inside the message, or stored before."""
        if len(data) <= INLINE_BYTES:
            return payload_pb2.Payload(data=data)
        answer = await self.suite.put("/api/v1/payloads", data=data)
        assert answer.status < 300, answer.text
        digest = answer.json["$payload"]["digest"]
        reference = payload_pb2.PayloadReference(digest=digest, size_bytes=len(data))
        return payload_pb2.Payload(reference=reference)

    async def registered(self, definition: Json) -> str:
        """The name under which a definition of either dialect was registered."""
        name = f"limit-{next(_numbers)}"
        named = {"metadata": {"name": name}} if "spec" in definition else {"id": name}
        answer = await self.suite.post("/api/v1/workflows", {**definition, **named})
        assert answer.status == 201, answer.text
        return name

    async def idle(self) -> str:
        """A workflow that has nothing to do."""
        if not self.nothing:
            self.nothing = await self.registered({"steps": [{"id": "a"}]})
        return self.nothing

    async def started(self, **given: Json) -> str:
        """What a start of it over gRPC is answered."""
        request = executions.StartExecutionRequest(workflow_id=await self.idle(), **given)
        return await self.call(f"{EXECUTIONS}/StartExecution", request)

    async def signaled(self, definition: Json, payloads: Iterable[bytes]) -> str:
        """What the first signal that is refused is answered, of those sent to one execution."""
        about = executions.StartExecutionRequest(workflow_id=await self.registered(definition))
        started = await self._start(about, timeout=10)
        name = {"execution_id": started.execution_id, "name": "s"}
        found, left = "", iter(payloads)
        while not found and (some := list(itertools.islice(left, SIGNALS_AT_ONCE))):
            requests = [
                executions.SignalExecutionRequest(**name, payload=payload_pb2.Payload(data=data))
                for data in some
            ]
            calls = (self.call(f"{EXECUTIONS}/SignalExecution", each) for each in requests)
            found = next(filter(None, await asyncio.gather(*calls)), "")
        asked = executions.TerminateExecutionRequest(execution_id=started.execution_id)
        assert await self.call(f"{EXECUTIONS}/TerminateExecution", asked) == ""
        return found

    async def ended(
        self, definition: Json, data: bytes = b"{}", wait_ms: int = WAIT_MS
    ) -> Execution | None:
        """The execution of a new workflow once it has ended; None when it goes on."""
        name = await self.registered(definition)
        request = executions.StartExecutionRequest(
            workflow_id=name, input=await self.payload(data), wait_ms=wait_ms
        )
        response = await self._start(request, timeout=wait_ms / 1_000 + 10)
        if response.HasField("execution"):
            return response.execution
        about = executions.TerminateExecutionRequest(execution_id=response.execution_id)
        assert await self.call(f"{EXECUTIONS}/TerminateExecution", about) == ""
        return None

    async def ran(self, definition: Json, data: bytes = b"{}", wait_ms: int = WAIT_MS) -> str:
        """Nothing when it completed or still goes on, else the class of the failure."""
        execution = await self.ended(definition, data, wait_ms)
        if execution is None or execution.status == EXECUTION_STATUS_COMPLETED:
            return ""
        return next(
            (
                str(getattr(each.failure, "class"))
                for each in execution.nodes
                if each.HasField("failure")
            ),
            getattr(execution.failure, "class"),
        )


async def _bytes(request: web.Request) -> web.StreamResponse:
    """As many bytes of text as the path says."""
    return await _sent(request, "text/plain", b"", int(request.match_info["count"]), b"")


async def _hops(request: web.Request) -> web.StreamResponse:
    """As many redirects as the path says."""
    left = int(request.match_info["count"])
    if not left:
        return web.Response(text="there")
    return web.Response(status=302, headers={"Location": f"/hops/{left - 1}"})


async def _deep(request: web.Request) -> web.StreamResponse:
    """JSON of so many levels."""
    levels = int(request.match_info["levels"])
    text = "[" * levels + "]" * levels
    return web.Response(text=text, content_type="application/json")


async def _xml(request: web.Request) -> web.StreamResponse:
    """A document of so many levels and bytes."""
    levels, count = (int(request.match_info[name]) for name in ("levels", "count"))
    before, after = b"<a>" * levels, b"</a>" * levels
    count -= len(before) + len(after)
    return await _sent(request, "application/xml", before, max(count, 0), after)


async def _sent(
    request: web.Request, kind: str, before: bytes, count: int, after: bytes
) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": kind})
    await answer.prepare(request)
    await answer.write(before)
    while count:
        piece = PIECE[:count]
        await answer.write(piece)
        count -= len(piece)
    await answer.write(after)
    return answer
