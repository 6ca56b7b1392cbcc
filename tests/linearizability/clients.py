"""Clients that call a running suite and note the calls in a history."""

import asyncio
import itertools
import random
from contextlib import suppress

from flowmesh.errors import NotFound, Timeout
from flowmesh.sdk import Client, ExecutionFailed, Handle, NewEvent
from flowmesh.testing.polling import pause
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow
from tests.linearizability.history import History, Operation

# Some calls are given up early, others outlive a takeover.
PATIENCE_S = (0.01, 0.05, 1.0, 20.0)
SURELY_S = 60.0
RESULT_S = 1.0
ENDED = {"EXECUTION_ENDED": "ended"}
EXECUTION, LOCK = "linear-execution", "linear-lock"
CAPACITIES = (1, 2)


async def define(suite: Suite) -> None:
    """Register the workflows: each waits for a signal and returns its payload."""
    wait = {"id": "go", "wait": {"event": "go"}}
    output = "{{tasks.go.output}}"
    locks = [
        workflow(
            f"{LOCK}-{capacity}",
            wait,
            output=output,
            start={"key": "{{input.name}}", "concurrency": capacity, "onConflict": "REJECT"},
        )
        for capacity in CAPACITIES
    ]
    await applied(suite, workflow(EXECUTION, wait, output=output), *locks)


class Driver:
    """Clients of one run; `stop` ends them after their current round."""

    def __init__(self, client: Client, history: History, seed: int) -> None:
        self._client = client
        self._history = history
        self._seed = seed
        self._numbers = itertools.count()
        self.stopped = asyncio.Event()

    async def executions(self, group: int, clients: int) -> None:
        """Start one execution after the other, and call each from all clients at once."""
        for number in itertools.count():
            if self.stopped.is_set():
                return
            key = f"{self._seed}-{group}-{number}"
            draws = [random.Random(f"{key}-{client}") for client in range(clients)]
            calls = (
                self._execution(key, group * clients + n, each) for n, each in enumerate(draws)
            )
            await asyncio.gather(*calls)

    async def _execution(self, key: str, client: int, draw: random.Random) -> None:
        """Start with a request id that all clients of the execution share, and then call it."""
        handles: list[Handle] = []

        async def start(operation: Operation) -> str:
            handles.append(await self._client.start(EXECUTION, request_id=key))
            operation.value = handles[0].id
            return "ok"

        operation = Operation("execution", key, client, "start")
        if await self._history.call(operation, start, within_s=SURELY_S) != "ok":
            return
        for _ in range(draw.randint(3, 6)):
            op = draw.choices(("signal", "cancel", "get", "result"), (3, 1, 6, 2))[0]
            # Without the result that a handle keeps.
            await self._call(self._client.handle(handles[0].id), key, client, op, draw)

    async def _call(
        self, handle: Handle, key: str, client: int, op: str, draw: random.Random
    ) -> None:
        async def signal(operation: Operation) -> str:
            await handle.signal("go", operation.value)
            return "ok"

        async def cancel(_: Operation) -> str:
            await handle.cancel()
            return "ok"

        async def get(_: Operation) -> str:
            return str(await handle.status())

        async def result(operation: Operation) -> str:
            try:
                operation.value = str(await handle.result(RESULT_S))
            except ExecutionFailed as failed:
                return str(failed.status)
            except Timeout:
                return "unknown"
            return "completed"

        made = {"signal": signal, "cancel": cancel, "get": get, "result": result}[op]
        value = f"v{next(self._numbers)}" if op == "signal" else ""
        operation = Operation("execution", key, client, op, value)
        within_s = draw.choice(PATIENCE_S)
        await self._history.call(operation, made, refusals=ENDED, within_s=within_s)

    async def lock(self, client: int, capacity: int, holding_s: float = 0.01) -> None:
        """Acquire a permit by a start that is refused beside others; release it by its end."""
        key, draw = f"lock-{self._seed}-{capacity}", random.Random(f"{self._seed}-{client}")
        while not self.stopped.is_set():
            handles: list[Handle] = []
            holder = f"h{next(self._numbers)}"

            async def acquire(operation: Operation, into: list[Handle] = handles) -> str:
                kind, value = f"{LOCK}-{capacity}", {"name": key}
                request_id = f"{key}-{operation.value}"
                into.append(await self._client.start(kind, value, request_id=request_id))
                return "ok"

            async def release(_: Operation, of: list[Handle] = handles) -> str:
                await of[0].signal("go", "released")
                await of[0].result(SURELY_S)
                return "ok"

            def operation(op: str, holder: str = holder) -> Operation:
                return Operation("permits", key, client, op, holder, capacity=capacity)

            call, refused = self._history.call, {"START_REJECTED": "refused"}
            outcome = await call(operation("acquire"), acquire, refusals=refused, within_s=SURELY_S)
            if outcome == "ok":
                await pause(holding_s * draw.random())
                await call(operation("release"), release, within_s=SURELY_S)
            elif outcome == "unknown":
                return
            await pause(holding_s * draw.random())

    async def append(self, client: int, streams: int, events_max: int = 60) -> None:
        """Append at the version that was read, which others have often passed meanwhile."""
        draw = random.Random(f"{self._seed}-append-{client}")
        for number in itertools.count():
            if self.stopped.is_set():
                return
            # The next streams in time, so that none becomes longer than a page.
            turn = number * streams // events_max
            key = f"linear-{self._seed}-{turn}-{draw.randrange(streams)}"
            seen = await self._read(key, client)
            if seen is None:
                continue

            async def made(operation: Operation) -> str:
                event = NewEvent("Noted", operation.value)
                store = self._client.event_store
                await store.append(operation.key, event, expected=operation.expected)
                return "ok"

            operation = Operation("stream", key, client, "append", f"e{next(self._numbers)}")
            operation.expected = seen
            conflicts = {"VERSION_CONFLICT": "conflict"}
            within_s = draw.choice(PATIENCE_S)
            await self._history.call(operation, made, refusals=conflicts, within_s=within_s)

    async def _read(self, key: str, client: int) -> int | None:
        """Return the number of events that a read has seen; None if it failed."""

        async def made(operation: Operation) -> str:
            with suppress(NotFound):
                operation.seen = [str(e.data) async for e in self._client.event_store.read(key)]
            return "ok"

        operation = Operation("stream", key, client, "read")
        outcome = await self._history.call(operation, made, within_s=SURELY_S)
        return len(operation.seen) if outcome == "ok" else None
