"""A real HTTP server on loopback with the services that workflows call, scripted and recorded.

In a test it is a fixture: `world.answers("charge", status=402)`, `world.calls("ship")`. As a
separate process (`python -m flowmesh.testing.world`) it also keeps a file of effects with one
synced line per call. After a crash the file proves how often each effect was applied, by
Idempotency-Key.
"""

import argparse
import asyncio
import logging
import os
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiohttp import web

from flowmesh.contract.json_value import Json

_UNSET = object()
BODY_BYTES_MAX = 16 * 1024 * 1024
CALLS_MAX = 100_000
# Time, request, status, bytes, seconds.
ACCESS_LOG = '%t "%r" %s %b %Tf'


@dataclass(frozen=True, slots=True)
class Call:
    """A received request. Header names are lower case; `at_ms` is monotonic."""

    route: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at_ms: float

    @property
    def json(self) -> Json:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def key(self) -> str:
        """The Idempotency-Key."""
        return self.headers.get("idempotency-key", "")


@dataclass(slots=True)
class Answer:
    """A scripted response; `times` 0 means for all further calls."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_ms: int = 0
    times: int = 0
    # Creates the JSON from the call; takes precedence over `body`.
    make: Callable[[Call], Json] | None = None


class World:
    """A server on a free port of loopback; an async context manager."""

    def __init__(
        self,
        *,
        port: int = 0,
        failure_rate: float = 0.0,
        failure_status: int = 503,
        latency_ms: tuple[int, int] = (0, 0),
        seed: int = 0,
        effects: Path | None = None,
        access_log: logging.Logger | None = None,
    ) -> None:
        self._port = port
        self._access_log = access_log
        self._failure_rate = failure_rate
        self._failure_status = failure_status
        self._latency_ms = latency_ms
        self._random = random.Random(seed)
        self._answers: dict[str, deque[Answer]] = {}
        self._calls: deque[Call] = deque(maxlen=CALLS_MAX)
        self._called = asyncio.Condition()
        self._gates: dict[str, asyncio.Event] = {}
        self.effects_file = effects
        self._effects = Effects(effects) if effects is not None else None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "World":
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_route("*", "/{route:.*}", self._serve)
        # As in most services, a handler continues after its caller disconnects.
        self._runner = web.AppRunner(
            application,
            handler_cancellation=False,
            access_log=self._access_log,
            access_log_format=ACCESS_LOG,
            shutdown_timeout=0.5,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for gate in self._gates.values():
            gate.set()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._effects is not None:
            self._effects.close()

    @property
    def address(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._port}"

    def url(self, route: str) -> str:
        return f"{self.address}/{route}"

    def answers(
        self,
        route: str,
        *,
        status: int = 200,
        json: Json = _UNSET,
        xml: str | None = None,
        text: str | None = None,
        body: bytes = b"",
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
        delay_ms: int = 0,
        times: int = 0,
        make: Callable[[Call], Json] | None = None,
    ) -> None:
        """Script a route. Scripts with `times` are consumed in order; one without stays.

        Without a script, a route responds `{"ok": true, "route": name}`.
        """
        kind = "application/json"
        if xml is not None:
            body, kind = xml.encode(), "application/xml"
        elif text is not None:
            body, kind = text.encode(), "text/plain"
        elif json is not _UNSET:
            body = orjson.dumps(json)
        elif not body and make is None:
            body = orjson.dumps({"ok": status < 400, "route": route})
        answer = Answer(
            status=status,
            body=body,
            content_type=content_type or kind,
            headers=headers or {},
            delay_ms=delay_ms,
            times=times,
            make=make,
        )
        scripts = self._answers.setdefault(route, deque())
        if scripts and scripts[-1].times == 0:
            scripts.pop()
        scripts.append(answer)

    def hold(self, route: str) -> None:
        """Block the calls of a route until `release`."""
        self._gates[route] = asyncio.Event()

    def release(self, route: str) -> None:
        """Respond to the blocked calls of a route."""
        if gate := self._gates.pop(route, None):
            gate.set()

    def calls(self, route: str = "") -> list[Call]:
        """Return the received calls in order, of one route or of all."""
        return [call for call in self._calls if not route or call.route == route]

    async def called(self, route: str, times: int = 1, timeout_s: float = 40.0) -> list[Call]:
        """Wait until a route has been called this many times."""
        async with asyncio.timeout(timeout_s), self._called:
            await self._called.wait_for(lambda: len(self.calls(route)) >= times)
        return self.calls(route)

    async def _serve(self, request: web.Request) -> web.Response:
        route = self._route_of(request.match_info["route"])
        call = Call(
            route=route,
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            at_ms=time.monotonic() * 1_000,
        )
        async with self._called:
            self._calls.append(call)
            self._called.notify_all()
        if gate := self._gates.get(route):
            await gate.wait()
        answer = self._next(route)
        await self._wait(answer)
        if answer.status < 400 and self._random.random() < self._failure_rate:
            # Half of the failures occur before the effect, half after it.
            if self._random.random() < 0.5:
                await self._apply(call, answer)
            return web.json_response({"error": "try again"}, status=self._failure_status)
        if answer.status < 400:
            await self._apply(call, answer)
        body = answer.body if answer.make is None else orjson.dumps(answer.make(call))
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return web.Response(status=answer.status, body=body, headers=headers)

    def _route_of(self, path: str) -> str:
        """Return the scripted route of a path: the whole path or its first segment."""
        first = path.partition("/")[0]
        return first if path not in self._answers and first in self._answers else path

    def _next(self, route: str) -> Answer:
        scripts = self._answers.get(route)
        if not scripts:
            return Answer(body=orjson.dumps({"ok": True, "route": route}))
        answer = scripts[0]
        if answer.times:
            answer.times -= 1
            if answer.times == 0:
                scripts.popleft()
        return answer

    async def _wait(self, answer: Answer) -> None:
        low, high = self._latency_ms
        delay_ms = answer.delay_ms + (self._random.randint(low, high) if high else 0)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1_000)

    async def _apply(self, call: Call, answer: Answer) -> None:
        if self._effects is not None:
            await self._effects.apply(call, answer.status)


class Effects:
    """The append-only file of effects: one line per call, synced before the response."""

    def __init__(self, path: Path) -> None:
        self._keys = {(effect["route"], effect["key"]) for effect in read_effects(path)}
        self._file = path.open("ab")
        self._lock = asyncio.Lock()

    async def apply(self, call: Call, status: int) -> None:
        """Apply an effect once per route and key; a repeat is recorded as such."""
        async with self._lock:
            identity = (call.route, call.key)
            line = {
                "at_us": time.time_ns() // 1_000,
                "route": call.route,
                "key": call.key,
                "status": status,
                "applied": not call.key or identity not in self._keys,
            }
            await asyncio.to_thread(self._append, orjson.dumps(line) + b"\n")
            self._keys.add(identity)

    def close(self) -> None:
        self._file.close()

    def _append(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())


def read_effects(path: Path) -> list[dict[str, Json]]:
    """Read all complete lines of an effects file."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [orjson.loads(line) for line in lines[:-1]]


async def serve(arguments: argparse.Namespace) -> None:
    """Run the server as a process: print its address and serve until it is killed."""
    low, _, high = arguments.latency_ms.partition("-")
    world = World(
        port=arguments.port,
        failure_rate=arguments.failure_rate,
        latency_ms=(int(low), int(high or low)),
        seed=arguments.seed,
        effects=arguments.effects,
    )
    if arguments.answers is not None:
        for route, value in orjson.loads(arguments.answers.read_bytes()).items():
            world.answers(route, json=value)
    async with world:
        sys.stdout.write(f"{world.address}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Parse the options and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--failure-rate", type=float, default=0.0)
    parser.add_argument("--latency-ms", default="0", help="5 or 5-20")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effects", type=Path, default=None, help="append-only file")
    parser.add_argument(
        "--answers", type=Path, default=None, help="file with a JSON object from route to response"
    )
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
