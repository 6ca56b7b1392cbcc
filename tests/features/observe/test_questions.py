"""Questions about a running suite, each answered in one sentence with the figures behind it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.sdk import Client, TaskContext, TaskFailure, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import natives
from tests.features.applications.test_app_parts import app_of
from tests.features.commands import command

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
WITHIN_S = 130.0
"""A minute of metrics is sent after its end, and this machine may be busy."""

OBSERVE = "/api/v1/observe"
PAY = natives.resource("WorkflowTask", "pay", type="desk.pay", retry={"maxAttempts": 1})
TELL = natives.resource(
    "WorkflowTask",
    "tell",
    type="message.publish",
    message={"exchange": "sales", "key": "sold.book", "body": {"id": 1}},
)
LISTENER = natives.workflow(
    "packing",
    {"id": "pack", "taskRef": "noop"},
    triggers=[{"id": "sold", "queue": {"queue": "sold"}}],
)
SELLER = natives.workflow("selling", {"id": "tell", "taskRef": "tell"})
PAYMENTS = 30
SOLD = 3
ATTEMPTS = PAYMENTS + SOLD


async def _paid(_value: Any, _context: TaskContext) -> Any:
    return {"paid": True}


async def _broken(_value: Any, _context: TaskContext) -> Any:
    raise TaskFailure("DiskFull", "no space left on the disk of this worker")


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with three workers of one task type, one of which fails, and a queue in use."""
    folder = tmp_path_factory.mktemp("desk") / "data"
    async with (
        Suite(folder) as suite,
        Client(suite.grpc_address) as client,
        Worker(client, {"desk.pay": _paid}, worker_id="desk-1"),
        Worker(client, {"desk.pay": _paid}, worker_id="desk-2"),
        Worker(client, {"desk.pay": _broken}, worker_id="desk-3"),
    ):
        for path, body in (
            ("message-queues/sold", {}),
            ("message-queues/unused", {}),
            ("exchanges/sales", {"type": "topic"}),
        ):
            made = await suite.request("PUT", f"/api/v1/{path}", body)
            assert made.status == 201, made.text
        binding = {"queue": "sold", "key": "sold.*"}
        bound = await suite.post("/api/v1/exchanges/sales:bind", binding)
        assert bound.status == 201, bound.text
        paying = natives.workflow("paying", {"id": "pay", "taskRef": "pay"})
        await natives.applied(suite, PAY, TELL, paying, SELLER, LISTENER)
        await asyncio.gather(*(natives.execute(suite, "paying") for _ in range(PAYMENTS)))
        for _ in range(SOLD):
            await natives.execute(suite, "selling")
        yield suite


async def kept(suite: Suite, metric: str, label: str, least: float) -> dict[str, float]:
    """Wait until so much of a metric is kept, and return its sums by a label.

    Two minutes may divide the work, and each is sent after its end.
    """
    found: dict[str, float] = {}

    async def enough() -> bool:
        path = f"{OBSERVE}/series?metric={metric}&groupBy={label}"
        for each in (await suite.get(path)).json["series"]:
            found[each["group"]] = sum(point["value"] for point in each["points"])
        return sum(found.values()) >= least

    await until(f"kept values of {metric}", enough, within_s=WITHIN_S)
    return found


@pytest.mark.feature("S1-196")
async def test_series_by_task_type_worker_and_queue(desk: Suite) -> None:
    """Attempts of remote workers and built-in ones, and messages; not in `/metrics`."""
    types = await kept(desk, "flowmesh_task_type_attempts_total", "task_type", ATTEMPTS)
    assert types["desk.pay"] == PAYMENTS
    assert types["message.publish"] == SOLD
    workers = await kept(desk, "flowmesh_worker_attempts_total", "worker", ATTEMPTS)
    assert sum(workers[f"desk-{number}"] for number in (1, 2, 3)) == PAYMENTS
    queues = await kept(desk, "messages_published_total", "queue", SOLD)
    assert queues == {"sold": SOLD}
    assert "desk-1" not in (await desk.get("/metrics")).text
    path = f"{OBSERVE}/series?metric=flowmesh_task_type_attempt_seconds_bucket&quantile=0.95"
    (p95,) = (await desk.get(f"{path}&groupBy=task_type&where=task_type%3Ddesk.pay")).json["series"]
    assert all(0 < point["value"] < 30 for point in p95["points"])


@pytest.mark.feature("S1-196")
async def test_which_worker_is_sick(desk: Suite) -> None:
    """The one whose attempts fail while those of its peers complete; also by its exit code."""
    await kept(desk, "flowmesh_worker_attempts_total", "worker", ATTEMPTS)
    answer = (await desk.get(f"{OBSERVE}/workers")).json
    first = answer["workers"][0]
    assert (first["workerId"], first["completed"], first["attached"]) == ("desk-3", 0, True)
    assert first["failed"] > 0
    assert "desk-3 is sick: 100% of its attempts fail, 0% of those of its peers" in answer["text"]
    assert all("problem" not in each for each in answer["workers"][1:])
    shown = await command(desk, "observe", "workers")
    assert (shown.code, "desk-3 is sick" in shown.out) == (1, True), shown.err
    elsewhere = {"Flowmesh-Namespace": "elsewhere"}
    foreign = await desk.request("GET", f"{OBSERVE}/workers", headers=elsewhere)
    assert not [each for each in foreign.json["workers"] if each["workerId"].startswith("desk")]


@pytest.mark.feature("S1-196")
async def test_who_uses_a_queue(desk: Suite) -> None:
    """Its exchange, the workflow that publishes there, its trigger, and the rates."""
    for metric in ("messages_published_total", "messages_consumed_total"):
        await kept(desk, metric, "queue", SOLD)
    answer = (await desk.get(f"{OBSERVE}/queues/sold")).json
    users = {(each["kind"], each["name"], each.get("part")) for each in answer["users"]}
    assert users == {
        ("exchange", "sales", "sold.*"),
        ("publisher", "selling", "sold.book"),
        ("trigger", "packing", "sold"),
    }
    assert answer["published"] == pytest.approx(SOLD / 3_600, rel=0.01)
    assert answer["consumed"] == answer["published"]
    assert "from sales, selling" in answer["text"]
    shown = await command(desk, "observe", "queue", "sold")
    assert "triggers of packing" in shown.out, shown.err
    unused = (await desk.get(f"{OBSERVE}/queues/unused")).json
    assert (unused["users"], unused["published"]) == ([], 0)
    missing = await desk.get(f"{OBSERVE}/queues/nothing")
    assert (missing.status, missing.json["error"]["reason"]) == (404, "QUEUE_NOT_FOUND")


@pytest.mark.feature("S1-196")
async def test_services_and_the_calls_between_them(desk: Suite) -> None:
    """Rates of all calls, and the gateway as the caller of a start."""
    await kept(desk, "flowmesh_rpc_total", "service", 1)

    async def linked() -> object:
        calls = (await desk.get(f"{OBSERVE}/map")).json["calls"]
        return [
            each
            for each in calls
            if (each.get("caller"), each["service"]) == ("gateway", "ExecutionService")
        ]

    await until("a call of the gateway", linked, within_s=WITHIN_S)
    services = (await desk.get(f"{OBSERVE}/map")).json["services"]
    rates = {each["service"]: each for each in services}
    assert rates["ExecutionService"]["calls"] > 0
    assert rates["gateway"]["p95Ms"] > 0
    shown = await command(desk, "observe", "map")
    assert "gateway -> ExecutionService" in shown.out, shown.err


@pytest.mark.feature("S1-196")
async def test_workers_and_queues_are_on_the_map(desk: Suite) -> None:
    """With all attempts and messages, of which the failed ones are errors."""
    await kept(desk, "flowmesh_worker_attempts_total", "worker", ATTEMPTS)
    for metric in ("messages_published_total", "messages_consumed_total"):
        await kept(desk, metric, "queue", SOLD)
    calls = (await desk.get(f"{OBSERVE}/map")).json["calls"]
    workers = {each["service"]: each for each in calls if each["kind"] == "worker"}
    desks = [workers[f"desk-{number}"] for number in (1, 2, 3)]
    assert sum(each["calls"] for each in desks) == PAYMENTS
    assert {each["caller"] for each in desks} == {"orchestrator"}
    assert (desks[0]["errors"], desks[2]["errors"]) == (0, desks[2]["calls"])
    assert all(0 < each["p95Ms"] < 30_000 for each in desks)
    queues = {(each["kind"], each["calls"]) for each in calls if each["service"] == "sold"}
    assert queues == {("queue", SOLD)}
    consumed = [each for each in calls if each["kind"] == "consumers"]
    assert [(each["caller"], each["calls"]) for each in consumed] == [("sold", SOLD)]
    shown = await command(desk, "observe", "map")
    assert f"broker -> sold: {SOLD} messages, 0 errors" in shown.out, shown.err


@pytest.mark.feature("S1-196")
async def test_applications_are_on_the_map(desk: Suite) -> None:
    """With all requests to their routes; those with a status from 500 are errors."""
    steps = {
        "/good": {"name": "out", "type": "step.json_response", "config": {"body": {"ok": True}}},
        "/bad": {"name": "out", "type": "step.json_response", "config": {"status": 503}},
    }
    routes = [{"method": "GET", "path": path, "pipeline": [step]} for path, step in steps.items()]
    made = await desk.post("/api/v1/apps/parts:deploy", {"document": app_of(routes=routes)})
    assert made.status == 201, made.text
    address = (await desk.get("/api/v1/apps/parts")).json["addresses"]["web"]
    async with aiohttp.ClientSession() as session:
        for path, status, count in (("/good", 200, 9), ("/bad", 503, 3), ("/none", 404, 1)):
            for _ in range(count):
                async with session.get(f"http://{address}{path}") as answer:
                    assert answer.status == status, path
    routes_kept = await kept(desk, "flowmesh_app_requests_total", "route", 13)
    assert (routes_kept["/good"], routes_kept["/bad"]) == (9, 3)
    calls = (await desk.get(f"{OBSERVE}/map")).json["calls"]
    (found,) = [each for each in calls if each["kind"] == "application"]
    assert (found["service"], found["namespace"]) == ("parts", "default")
    assert (found["calls"], found["errors"]) == (13, 3)
    assert 0 < found["meanMs"] < 30_000
    assert 0 < found["p95Ms"] < 30_000
    shown = await command(desk, "observe", "map")
    assert "clients -> parts: 13 requests, 3 errors" in shown.out, shown.err


@pytest.mark.feature("S1-196")
async def test_why_a_workflow_is_slow(tmp_path: Path, world: World) -> None:
    """The task that got slow is named with its figures, and the new version."""
    async with Suite(tmp_path / "data") as suite:
        world.answers("stock", delay_ms=1)
        task = natives.http_task("stock", world.url("stock"))
        flow = {"id": "look", "taskRef": "stock"}
        await natives.applied(suite, task, natives.workflow("ordering", flow))
        for _ in range(5):
            await natives.execute(suite, "ordering")
        since = datetime.now(UTC)
        world.answers("stock", delay_ms=400)
        second = natives.workflow("ordering", flow, {"id": "more", "taskRef": "noop"})
        await natives.applied(suite, second)
        for _ in range(5):
            await natives.execute(suite, "ordering")
        path = f"{OBSERVE}/slowness/ordering"
        until_ = since + timedelta(minutes=10)
        asked = f"?since={_text(since)}&until={_text(until_)}"
        answer = (await suite.get(path + asked)).json
        whole, first = answer["differences"][:2]
        assert (whole["kind"], whole["beforeCount"], whole["afterCount"]) == ("workflow", 5, 5)
        assert (first["kind"], first["name"]) == ("task", "look")
        assert first["beforeMs"] < 400 <= first["afterMs"]
        assert "most of it is the task look, which runs " in answer["text"]
        assert "version 2 is new" in answer["text"]
        shown = await command(
            suite, "observe", "why-slow", "ordering", "--since", since.isoformat()
        )
        assert "the task look" in shown.out, shown.err
        before = f"?since={_text(since - timedelta(hours=2))}&until={_text(since)}"
        quick = (await suite.get(path + before)).json
        assert "with none before" in quick["text"]
        for wrong in ("?since=2026-01-01T00:00:00Z&until=2025-01-01T00:00:00Z", "?since=x"):
            assert (await suite.get(path + wrong)).status == 400
        missing = await suite.get(f"{OBSERVE}/slowness/nothing")
        assert (missing.status, missing.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
