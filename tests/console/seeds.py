"""A shop with executions in every state, for the browser tests and the pictures of the console.

`python -m tests.console.seeds HTTP GRPC` seeds a running suite and serves its tasks until stopped.
"""

import asyncio
import sys
from typing import Any

import aiohttp
import yaml

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, TaskFailure, Worker
from flowmesh.testing.polling import pause
from tests.console.calls import called
from tests.features.natives import http_task, resource, workflow

PREFIX = "shop"
WIDE = 80
# Items of a map that has more than ten thousand events.
LEDGER = 3_400
LOADED_ITEMS = 40


async def _charge(value: Json, _context: Any = None) -> Json:
    await pause(0.15)
    if value.get("card") == "declined":
        raise TaskFailure("CardDeclined", "the bank declined the card ending in 4242")
    return {"paid": value.get("amount", 0), "receipt": "rc_20931"}


async def _quick(value: Json, _context: Any = None) -> Json:
    await pause(0.05)
    return {"ok": True, "item": value}


async def _slow(_value: Json, _context: Any = None) -> Json:
    await pause(600)
    return {}


async def _flaky(_value: Json, _context: Any = None) -> Json:
    raise ConnectionError("the carrier did not answer within 2 s")


async def _greet(value: Json, _context: Any = None) -> Json:
    return [f"Hello {user['name']}" for user in value["users"]]


HANDLERS = {
    "greet": _greet,
    f"{PREFIX}.charge": _charge,
    f"{PREFIX}.quick": _quick,
    f"{PREFIX}.slow": _slow,
    f"{PREFIX}.flaky": _flaky,
}


def _task(id: str, kind: str, *after: Json, **spec: Json) -> Json:
    needs = {"dependsOn": list(after)} if after else {}
    return {"id": id, "taskRef": f"{PREFIX}-{kind}", "input": "{{input}}"} | needs | spec


def _tasks() -> list[Json]:
    tasks = [
        resource("WorkflowTask", f"{PREFIX}-{kind}", type=f"{PREFIX}.{kind}")
        for kind in ("quick", "slow", "unserved")
    ]
    once = {"maxAttempts": 1}
    tasks.append(resource("WorkflowTask", f"{PREFIX}-charge", type=f"{PREFIX}.charge", retry=once))
    retry = {"maxAttempts": 5, "initialDelay": "10m", "maxDelay": "1h", "retryOn": ["*"]}
    tasks.append(resource("WorkflowTask", f"{PREFIX}-flaky", type=f"{PREFIX}.flaky", retry=retry))
    return tasks


def definitions() -> list[Json]:
    """Return the tasks and the workflows."""
    order = workflow(
        "orders",
        _task("validate", "quick"),
        _task("charge", "charge", "validate"),
        _task("reserve-stock", "quick", "validate"),
        _task("fraud-check", "quick", "validate"),
        _task("pack", "quick", "charge", "reserve-stock", "fraud-check"),
        _task("label", "quick", "charge"),
        _task("ship", "quick", "pack", "label"),
        _task("invoice", "quick", "charge"),
        _task("notify-customer", "quick", "ship", "invoice"),
        output={"receipt": "{{tasks.charge.output.receipt}}"},
    )
    approval = {"assignees": ["ann", "bob"], "title": "Refund {{input.amount}}"}
    credit = {
        "assignees": ["ann"],
        "title": "Credit for {{input.customer}}",
        "data": {"turnover": "{{input.turnover}}", "since": 2019},
        "form": CREDIT_FORM,
    }
    return [
        *_tasks(),
        order,
        workflow("hello", _task("greet", "quick")),
        workflow(LONG, _task("fetch-statements", "quick"),
                 _task("send-the-monthly-statement-to-every-customer", "charge",
                       "fetch-statements"),
                 _task("archive", "quick", "send-the-monthly-statement-to-every-customer")),
        workflow("held-orders", _task("validate", "quick"),
                 _task("charge", "charge", "validate", onFailure="HOLD"),
                 _task("ship", "quick", "charge")),
        workflow("refunds", _task("check", "quick"),
                 {"id": "approve", "approval": approval, "dependsOn": ["check"]},
                 _task("pay-back", "quick", "approve")),
        workflow("credits", {"id": "grant", "approval": credit},
                 _task("set-limit", "quick", "grant")),
        http_task("shop-bank", "https://bank.example/payouts"),
        workflow("settlement", _task("collect", "quick"),
                 {"id": "pay-out", "taskRef": "shop-bank", "dependsOn": ["collect"]},
                 triggers=TRIGGERS),
        workflow("tracking", _task("poll-carrier", "flaky"),
                 _task("report", "quick", "poll-carrier")),
        workflow("imports", _task("convert", "unserved")),
        workflow("reports", _task("collect", "slow"), _task("render", "quick", "collect")),
        workflow("waits", {"id": "paid", "wait": {"event": "paid"}},
                 _task("thank", "quick", "paid")),
        workflow("parcels", {"id": "each", "map": {
            "items": "{{input.parcels}}", "concurrency": 8,
            "tasks": [{"id": "weigh", "taskRef": f"{PREFIX}-quick", "input": "{{item}}"}]}},
            _task("sum", "quick", "each")),
        workflow("ledger", {"id": "each", "map": {
            "items": "{{input.items}}", "results": "COUNT", "concurrency": 200,
            "tasks": [{"id": "book", "taskRef": "transform",
                       "input": {"source": "{{item}}", "pipeline": []}}]}}),
        workflow("campaign", _task("plan", "quick"),
                 {"id": "order", "dependsOn": ["plan"],
                  "subworkflow": {"workflow": "orders", "wait": True, "input": "{{input}}"}}),
        *_compound(),
        workflow("nightly-reconciliation", *(
            _task(f"step-{number:02}", "quick", *_before(number)) for number in range(WIDE))),
    ]  # fmt: skip


LONG = "reconcile-the-ledgers-of-all-subsidiaries-with-the-statements-of-their-banks"
LONG_INPUT = {
    "customer": "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff and Sons, Incorporated " * 3,
    "rows": list(range(200)),
    "nested": {"first": {"second": {"third": {"fourth": ["deep", None, True, 1.5e300]}}}},
}
CREDIT_FORM = {
    "type": "object",
    "required": ["limit", "address"],
    "properties": {
        "limit": {"type": "integer", "minimum": 100, "description": "In euros."},
        "kind": {"enum": ["monthly", "yearly"], "default": "monthly"},
        "insured": {"type": "boolean"},
        "address": {
            "type": "object", "required": ["city"],
            "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
        },
        "contacts": {"type": "array", "items": {"type": "string", "format": "email"}},
    },
}  # fmt: skip
TRIGGERS = [
    {"id": "nightly", "cron": {"expression": "0 2 * * *", "timezone": "Europe/Berlin"}},
    {"id": "paid", "event": {"type": "order.paid", "filter": "event.data.total > 100"}},
    {"id": "hook", "webhook": {"path": "settlement"}},
]


def _compound() -> list[Json]:
    """Return a saga, and a workflow with two levels of children."""
    return [
        workflow("trips", _task("book-hotel", "quick", undo={"taskRef": f"{PREFIX}-quick"}),
                 _task("book-flight", "quick", "book-hotel",
                       undo={"taskRef": f"{PREFIX}-quick"}),
                 _task("charge", "charge", "book-flight")),
        workflow("region", _task("open", "quick"),
                 {"id": "campaign", "dependsOn": ["open"],
                  "subworkflow": {"workflow": "campaign", "wait": True, "input": "{{input}}"}}),
    ]  # fmt: skip


def _before(number: int) -> list[str]:
    """Return what a step of the wide workflow depends on: eight lanes that meet now and then."""
    if number < 8:
        return []
    lanes = [number - 8] + ([number - 7] if number % 5 == 0 and number % 8 != 7 else [])
    return [f"step-{each:02}" for each in lanes]


class Seeded:
    """A seeded suite: calls of its REST API, and the ids of its executions by name."""

    def __init__(self, http_url: str, http: aiohttp.ClientSession) -> None:
        self.url = http_url
        self.ids: dict[str, str] = {}
        self._http = http

    async def post(self, path: str, body: Json, kind: str = "application/json") -> Json:
        data = body if isinstance(body, bytes) else None
        sent = {"data": data, "headers": {"content-type": kind}} if data else {"json": body}
        return await self._answer("POST", path, sent)

    async def send(self, method: str, path: str, body: Json) -> Json:
        return await self._answer(method, path, {"json": body})

    async def _answer(self, method: str, path: str, sent: Any) -> Json:
        async with self._http.request(method, self.url + path, **sent) as answer:
            found = await answer.json()
            assert answer.status < 300, found
            return found

    async def get(self, path: str) -> Json:
        async with self._http.get(self.url + path) as answer:
            return await answer.json()

    async def start(self, name: str, workflow_id: str, value: Json) -> str:
        body = {"input": value, "requestId": f"seed-{name}"}
        started = await self.post(f"/api/v1/workflows/{workflow_id}/start", body)
        self.ids[name] = started["executionId"]
        return self.ids[name]


async def seed(seeded: Seeded) -> None:
    """Register the shop and start its executions."""
    source = yaml.safe_dump_all(definitions(), sort_keys=False).encode()
    await seeded.post("/api/v1/workflows", source, "application/yaml")
    order = {"order": "o-4711", "amount": 129.5, "customer": {"name": "Ada", "vip": True}}
    await seeded.start("completed", "orders", order)
    for number in range(6):
        await seeded.start(f"order-{number}", "orders", order | {"order": f"o-48{number:02}"})
    await seeded.start("failed", "orders", order | {"card": "declined"})
    await seeded.start("failed-2", "orders", order | {"card": "declined"})
    await seeded.start("held", "held-orders", order | {"card": "declined"})
    await seeded.start("approval", "refunds", {"amount": 80})
    await seeded.start("credit", "credits", {"customer": "Ada & Sons", "turnover": 120_000})
    await seeded.start("retrying", "tracking", {"parcel": "p-77"})
    await seeded.start("stuck", "imports", {"file": "prices.csv"})
    await seeded.start("running", "reports", {"month": "2026-10"})
    await seeded.start("waiting", "waits", {})
    parcels = [{"id": f"p-{number}", "kg": number % 9} for number in range(LOADED_ITEMS)]
    await seeded.start("map", "parcels", {"parcels": parcels})
    await seeded.start("parent", "campaign", order)
    await seeded.start("saga", "trips", order | {"card": "declined"})
    await seeded.start("nested", "region", order)
    await seeded.start("wide", "nightly-reconciliation", {})
    await seeded.start("long", LONG, LONG_INPUT)
    items = [{"number": number} for number in range(LEDGER)]
    await seeded.start("ledger", "ledger", {"items": items})
    paused = await seeded.start("paused", "reports", {"month": "2026-09"})
    await seeded.post(f"/api/v1/executions/{paused}:pause", {"reason": "the ledger is closed"})
    canceled = await seeded.start("canceled", "reports", {"month": "2026-08"})
    await seeded.post(f"/api/v1/executions/{canceled}:cancel", {"reason": "asked for twice"})


async def _serve(http_url: str, grpc_address: str) -> None:
    async with (
        aiohttp.ClientSession() as http,
        Client(grpc_address) as client,
        Worker(client, HANDLERS),
        called(client),
    ):
        seeded = Seeded(http_url, http)
        await seed(seeded)
        print(seeded.ids)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
