"""The HTTP services of the demo, a separate process with one loopback port per service.

It injects seeded failures before any effect, at most two per Idempotency-Key. It repeats the first
response for a known key, and records every call in a file.
"""

import argparse
import asyncio
import random
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
from aiohttp import web

from examples.demo.effects import APPLIED, FAULT, REFUSED, REPEATED, Effect, EffectsFile
from examples.demo.services import SERVICES, Call, Reply, Service

# The faults per key; steps that retry have at least three attempts.
FAULT_COUNTS = (0, 1, 2)
HANG_S = 2.5


class Desk:
    """A service with its previous responses."""

    def __init__(
        self, name: str, service: Service, *, effects: EffectsFile, seed: int, failure_rate: float
    ) -> None:
        self._name = name
        self._service = service
        self._effects = effects
        self._seed = seed
        self._failure_rate = failure_rate
        self._latency = random.Random(f"{seed}/{name}")
        self._replies: dict[str, Reply] = {}
        self._faults: dict[str, list[str]] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle a call after a delay: fail, repeat the first response, or apply the effect."""
        begun_us = time.time_ns() // 1_000
        data = await request.read()
        callback_id = request.headers.get("webhook-id", "")
        key = callback_id or request.headers.get("idempotency-key", "")
        call = Call(request.path, key, orjson.loads(data) if data else None, bool(callback_id))
        low, high = self._service.latency_ms
        await asyncio.sleep(self._latency.randint(low, high) / 1_000)
        if faults := self._faults_of(key):
            self._note(call, begun_us, FAULT, Reply(0, faults[0]))
            return await self._fail(request, faults.pop(0))
        known = self._replies.get(key)
        reply = known or self._service.answer(call)
        if known:
            self._note(call, begun_us, REPEATED, reply)
        else:
            self._replies[key] = reply
            self._note(call, begun_us, APPLIED if reply.status < 400 else REFUSED, reply)
        return web.json_response(reply.body, status=reply.status)

    def _faults_of(self, key: str) -> list[str]:
        """Return the remaining faults of a key."""
        if key not in self._faults:
            chance = random.Random(f"{self._seed}/{self._name}/{key}")
            one = self._failure_rate
            weights = (1 - one - one / 3, one, one / 3)
            count = chance.choices(FAULT_COUNTS, weights)[0] if self._service.faults else 0
            self._faults[key] = [chance.choice(self._service.faults) for _ in range(count)]
        return self._faults[key]

    async def _fail(self, request: web.Request, fault: str) -> web.StreamResponse:
        match fault:
            case "reset":
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=500)
            case "hang":
                await asyncio.sleep(HANG_S)
                return web.json_response({"error": "too late"}, status=504)
            case "429":
                slower = {"Retry-After": "1"}
                return web.json_response({"error": "slower"}, status=429, headers=slower)
            case _:
                return web.json_response({"error": "try again"}, status=int(fault))

    def _note(self, call: Call, begun_us: int, outcome: str, reply: Reply) -> None:
        self._effects.append(
            Effect(
                begun_us=begun_us,
                at_us=time.time_ns() // 1_000,
                service=self._name,
                path=call.path,
                key=call.key,
                subject=reply.subject,
                outcome=outcome,
                status=reply.status,
                result=reply.body,
                callback=call.callback,
            )
        )


async def open_desk(stack: AsyncExitStack, desk: Desk) -> str:
    """Start a service on a free port and return `host:port`."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", desk.serve)
    # A service continues after its caller disconnects or is killed.
    runner = web.AppRunner(
        application, handler_cancellation=False, access_log=None, shutdown_timeout=0.5
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"127.0.0.1:{runner.addresses[0][1]}"


async def serve(effects_path: Path, *, seed: int, failure_rate: float) -> None:
    """Start all services, print their addresses as one line of JSON, and serve."""
    async with AsyncExitStack() as stack:
        effects = EffectsFile(effects_path)
        stack.callback(effects.close)
        hosts = {}
        for name, service in SERVICES.items():
            desk = Desk(name, service, effects=effects, seed=seed, failure_rate=failure_rate)
            hosts[name] = await open_desk(stack, desk)
        sys.stdout.write(orjson.dumps(hosts).decode() + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Parse the options and serve until killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--effects", type=Path, required=True, help="file to append to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failure-rate", type=float, default=0.1, help="keys that fail once")
    flags = parser.parse_args()
    asyncio.run(serve(flags.effects, seed=flags.seed, failure_rate=flags.failure_rate))


if __name__ == "__main__":
    main()
