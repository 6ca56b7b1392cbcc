"""The load of these tests: a few hundred orders, all in flight when something breaks.

An order reserves (HTTP), rests (a timer), is priced (JavaScript), is judged (a condition), is
packed in three boxes side by side (HTTP), and ships when all are packed (HTTP). The receiver
fails now and then, so some steps are retried. One of the boxes is held until the test lets go.
"""

import asyncio
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import aiohttp

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.contract.json_value import Json
from flowmesh.testing import checker
from flowmesh.testing.checker import SinkCall, Stored
from flowmesh.testing.polling import pause
from flowmesh.testing.world import Call, World

BOXES = ("pack-1", "pack-2", "pack-3")
HELD = "pack-2"
CALLED = ("reserve", *BOXES, "ship")
RETRY = {"maxAttempts": 9, "initialDelay": 20, "maxDelay": 200}
AT_ONCE = 50
SENT_WITHIN_S = 40.0
SEND_AGAIN = (408, 429, 503, 504)
RETRY_PAUSE_S = 0.05
CALL_TIMEOUT_S = 10.0
COMPLETE_HOOK = "onComplete"
UNDER_WAY_WITHIN_S = 30.0
YAML = {"content-type": "application/yaml"}


def _packed(call: Call) -> Json:
    return {"boxes": call.json["order"] + int(call.route[-1])}


def _shipped(call: Call) -> Json:
    context = call.json
    boxes = sum(context[box]["boxes"] for box in BOXES)
    return {"order": context["order"], "total": context["price"]["total"], "boxes": boxes}


def shipped(order: int) -> Json:
    """What the last step of an order has to put out."""
    return {"order": order, "total": 3 * order, "boxes": 3 * order + 6}


def definition(
    world: World, workflow_id: str, *, rest_ms: int = 200, remote: str = "", hooks: bool = True
) -> Json:
    """The workflow; `remote` is the action of a worker that packs instead of HTTP."""

    def http(route: str, *dependencies: str) -> Json:
        params = {"url": world.url(route), "method": "POST"}
        return _step(route, "http.request", params, dependencies)

    def pack(route: str) -> Json:
        if not remote:
            return http(route, "rest", "large")
        params = {"url": world.url(route), "order": "{{context.order}}"}
        return _step(route, remote, params, ("rest", "large"))

    price = {"code": "return {total: context.order * 3};"}
    steps = [
        http("reserve"),
        _step("rest", "delay", {"duration": rest_ms}, ("reserve",)),
        _step("price", "transform", price, ("reserve",)),
        _step("large", "condition", {"expression": "context.price.total >= 0"}, ("price",)),
        *map(pack, BOXES),
        http("ship", *BOXES),
    ]
    definition: dict[str, Json] = {"id": workflow_id, "name": workflow_id, "steps": steps}
    if hooks:
        definition["webhooks"] = {"onComplete": world.url(COMPLETE_HOOK)}
    return definition


def _step(name: str, action: str, params: Json, dependencies: tuple[str, ...] = ()) -> Json:
    return {
        "id": name,
        "name": name,
        "action": action,
        "params": params,
        "dependencies": list(dependencies),
        "retryPolicy": RETRY,
    }


class Orders:
    """Starts orders by REST as a careful client does: what has no answer is sent again."""

    def __init__(self, http_url: Callable[[], str], world: World) -> None:
        self._http_url = http_url
        self._world = world
        self.workflow_id = f"orders-{uuid.uuid4().hex[:8]}"
        self.answers: dict[str, list[str]] = defaultdict(list)
        # Under which request id an execution was signaled.
        self.signals: dict[str, str] = {}
        self.unknown = 0
        self._begun_at_ms = time.monotonic() * 1_000
        self._gate = asyncio.Semaphore(AT_ONCE)

    def script(self) -> None:
        """Teaches the receiver what the calls answer."""
        for box in BOXES:
            self._world.answers(box, make=_packed)
        self._world.answers("ship", make=_shipped)

    @property
    def workflow_ids(self) -> tuple[str, ...]:
        """The workflows of which each start makes one execution."""
        return (self.workflow_id,)

    @property
    def called(self) -> Sequence[str]:
        """The steps whose calls come to the receiver, on routes of the same names."""
        return CALLED

    @property
    def ids(self) -> list[str]:
        return [ids[0] for ids in self.answers.values()]

    @property
    def order_of(self) -> Mapping[str, int]:
        """The order of each execution."""
        return {
            execution_id: int(key.rpartition("-")[2])
            for key, ids in self.answers.items()
            for execution_id in ids
        }

    async def define(self, **options: Any) -> None:
        """Registers the workflow, again until it is known to be there."""
        workflow = definition(self._world, self.workflow_id, **options)
        async with self._session() as session:
            await self._sent(session, "/workflows", workflow)

    async def start(self, first: int, count: int) -> None:
        """Starts orders by number; one that is started already must stay as it is."""
        async with self._session() as session:
            numbers = range(first, first + count)
            await asyncio.gather(*(self._start(session, number) for number in numbers))

    async def _start(self, session: aiohttp.ClientSession, number: int) -> None:
        key = f"{self.workflow_id}-{number}"
        body = {"workflowId": self.workflow_id, "context": {"order": number}, "requestId": key}
        async with self._gate:
            started = await self._sent(session, "/executions/start", body)
        self.answers[key].append(started["executionId"])

    async def _sent(self, session: aiohttp.ClientSession, path: str, body: Json) -> Json:
        """The answer to a request, sent again while it is not known whether it was served."""
        until = time.monotonic() + SENT_WITHIN_S
        while (answer := await self._try(session, path, body)) is None:
            assert time.monotonic() < until, f"{path} was not served"
            self.unknown += 1
            await pause(RETRY_PAUSE_S)
        return answer

    async def _try(self, session: aiohttp.ClientSession, path: str, body: Json) -> Json | None:
        sent = {"data": body, "headers": YAML} if isinstance(body, bytes) else {"json": body}
        try:
            async with session.post(f"{self._http_url()}{path}", **sent) as answer:
                if answer.status in (200, 201, 202):
                    return await answer.json()
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return None
        assert answer.status in SEND_AGAIN, f"{answer.status} {text}"
        return None

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S))

    # --- what the receiver saw ---

    def sink_calls(self, mine: Container[str]) -> list[SinkCall]:
        """Calls of the steps of these executions, with times on the machine's clock."""
        offset_us = time.time_ns() // 1_000 - int(time.monotonic() * 1_000_000)
        return [
            SinkCall(call.route, call.key, int(call.at_ms * 1_000) + offset_us)
            for call in self._world.calls()
            if call.at_ms >= self._begun_at_ms and call.key.partition("/")[0] in mine
        ]

    def hooks(self) -> dict[str, set[str]]:
        """Ids of the callbacks that each execution's end brought."""
        found: dict[str, set[str]] = defaultdict(set)
        for call in self._world.calls(COMPLETE_HOOK):
            found[call.json["executionId"]].add(call.headers["webhook-id"])
        return found

    async def under_way(self, count: int, within_s: float = UNDER_WAY_WITHIN_S) -> None:
        """Returns when so many boxes are held at the receiver."""
        try:
            await self._world.called(HELD, count, within_s)
        except TimeoutError:
            calls = Counter(call.route for call in self._world.calls())
            raise AssertionError(f"not {count} boxes held; calls so far: {calls}") from None

    def wrong(self, one: Stored) -> str:
        """What is wrong with what an execution came to; nothing as a rule."""
        right = shipped(self.order_of.get(one.id, -1))
        output = output_of(one, "ship")
        return "" if output == right else f"result {output}, right is {right}"


def output_of(one: Stored, step: str) -> Json:
    """The output of a step once its execution is completed."""
    state = one.replayed()
    node = state.node(step)
    if state.status != execution_pb2.EXECUTION_STATUS_COMPLETED or node is None:
        return None
    return checker.value_of(node.output)
