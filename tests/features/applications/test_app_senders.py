"""Applications send: webhooks with dead letters, Slack, and integrations of services."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from flowmesh.apps.wiring.ports import DATABASE
from flowmesh.contract.json_value import Json
from tests.features.applications.test_app_messages import app
from tests.features.apps import eventually, running, written


class Receiver:
    """A server that answers from a list of statuses, and keeps what it got."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.arrived = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        self.arrived.set()
        status = self.statuses.pop(0) if self.statuses else 200
        headers = {"Retry-After": "0"} if status == 429 else {}
        return web.json_response({"ok": status < 300}, status=status, headers=headers)

    async def count(self, number: int) -> None:
        async with asyncio.timeout(20):
            while len(self.got) < number:
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    made = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield made, f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.feature("S1-73")
async def test_a_webhook_is_signed_retried_and_sent_again(tmp_path: Path) -> None:
    """A failing target gets all attempts, then a dead letter that a request sends again."""
    async with receiver() as (target, url):
        sender = {
            "name": "hooks",
            "type": "webhook.sender",
            "config": {
                "url": f"{url}/in",
                "maxRetries": 1,
                "initialBackoff": "10ms",
                "secret": "shared secret",
                "topic": "out",
            },
        }
        async with running(written(tmp_path, app(modules=[sender]))) as found:
            target.statuses = [500, 500]
            await found.call("POST", "/publish/out", {"value": 1})
            await target.count(2)

            async def dead() -> Json:
                return (await found.call("GET", "/webhooks/dead-letters")).body["deadLetters"]

            letter = (await eventually(dead))[0]
            assert (letter["body"], letter["reason"]) == ({"value": 1}, "answered 500")
            path = f"/webhooks/dead-letters/{letter['id']}/retry"
            assert (await found.call("POST", path)).status == 202
            await target.count(3)
            headers, body = target.got[2]
            assert Webhook(b"shared secret").verify(body, headers) == {"value": 1}
            assert {each[0]["webhook-id"] for each in target.got} == {letter["id"]}
            assert (await found.call("POST", path)).status == 404


@pytest.mark.feature("S1-73")
async def test_the_outbox_of_webhooks_outlives_a_restart(tmp_path: Path) -> None:
    """A stored request is sent by the next process."""
    async with receiver() as (target, url):
        config: Json = {
            "url": f"{url}/in",
            "topic": "out",
            "initialBackoff": "1h",
            "maxBackoff": "1h",
        }
        sender = {"name": "hooks", "type": "webhook.sender", "config": config}
        path = written(tmp_path, app(modules=[sender]))
        async with running(path) as found:
            target.statuses = [503]
            await found.call("POST", "/publish/out", {"value": "kept"})
            await target.count(1)
        async with running(path) as found:
            query = "UPDATE webhook_outbox SET due_at = 0"
            await found.application.built.registry.need(DATABASE, "db").script([query])
            await target.count(2)
            assert json.loads(target.got[1][1]) == {"value": "kept"}


@pytest.mark.feature("S1-74")
async def test_slack_gets_text_and_channel(tmp_path: Path) -> None:
    """The text is a template; a limit of Slack is waited for."""
    async with receiver() as (target, url):
        slack = {
            "name": "slack",
            "type": "notification.slack",
            "config": {"webhookURL": f"{url}/hook", "channel": "#ops", "text": "order {{ .id }}"},
        }
        messaging = {"subscriptions": [{"topic": "alerts", "handler": "slack"}]}
        text = app(modules=[slack], workflows={"messaging": messaging})
        async with running(written(tmp_path, text)) as found:
            target.statuses = [429, 200]
            await found.call("POST", "/publish/alerts", {"id": 7})
            await target.count(2)
            body = {"channel": "#ops", "username": "workflow-bot", "text": "order 7"}
            assert [json.loads(each[1]) for each in target.got] == [body, body]


@pytest.mark.feature("S1-89")
async def test_an_integration_calls_connectors_in_order(tmp_path: Path) -> None:
    """Paths, inputs and transforms come out of data and earlier results; a failure has its step."""
    async with receiver() as (target, url):
        integration = {
            "registry": "registry",
            "connectors": [
                {
                    "name": "crm",
                    "type": "http",
                    "config": {"baseURL": url, "authType": "bearer", "token": "t0"},
                },
                {"name": "rows", "type": "database", "config": {"database": "db"}},
            ],
            "steps": [
                {
                    "name": "look",
                    "connector": "crm",
                    "action": "GET /c/{id}",
                    "input": {"id": "${data.id}"},
                },
                {
                    "name": "pay",
                    "connector": "crm",
                    "action": "POST /pay",
                    "retryCount": 1,
                    "retryDelay": "1ms",
                    "input": {"note": "order ${data.id}"},
                    "transform": '{"ok": look.ok, "amount": data.total || data.amount}',
                },
                {
                    "name": "save",
                    "connector": "rows",
                    "action": "INSERT INTO seen (value, topic) VALUES (?, ?)",
                    "input": {"params": ["${pay.ok}", "${data.id}"]},
                },
            ],
        }
        registry = {"name": "registry", "type": "workflow.registry"}
        trigger = {
            "http": {
                "routes": [
                    {"path": "/start", "method": "POST", "workflow": "integration", "wait": True}
                ]
            }
        }
        text = app(modules=[registry], workflows={"integration": integration}, triggers=trigger)
        async with running(written(tmp_path, text)) as found:
            target.statuses = [200, 503, 200]
            answer = await found.call("POST", "/start", {"id": 5, "amount": 3})
            assert (answer.status, answer.body["save"]["affected_rows"]) == (200, 1), answer.body
            assert target.got[0][0]["Authorization"] == "Bearer t0"
            sent = json.loads(target.got[2][1])
            assert sent == {"note": "order 5", "ok": True, "amount": 3}
            target.statuses = [404]
            failed = await found.call("POST", "/start", {"id": 6})
            assert (failed.status, failed.body["step"]) == (422, "look")
