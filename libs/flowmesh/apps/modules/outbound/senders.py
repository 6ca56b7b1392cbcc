"""Senders: webhooks with a stored outbox and dead letters, and messages to Slack."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from flowmesh.apps.data.database import Database
from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.messages import Message, encoded
from flowmesh.apps.modules.http_client import HttpClient
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.apps.modules.outbound.outbox import Outbox, Target
from flowmesh.apps.pipeline.run import Run
from flowmesh.apps.pipeline.templates import Compiling, as_text, compile_text
from flowmesh.apps.wiring.ports import DATABASE, LISTENER, WEBHOOK_OUTBOX
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry
from flowmesh.egress.policy import PUBLIC
from flowmesh.errors import Invalid

DEAD_LETTERS = "/webhooks/dead-letters"
SLACK_TRIES = 3
SLACK_WAIT_MAX_S = 60.0
SLACK_TIMEOUT_S = 10.0


def webhook(setting: Setting) -> Module:
    """Build webhook.sender. Raises Invalid for a wrong address."""
    config = setting.config
    url = str(config.get("url") or "")
    if url and not url.startswith(("http://", "https://", "/")):
        raise setting.invalid(f"url begins with http://, https:// or /, not {url[:40]!r}")
    registry = setting.context.registry
    # Strangers may name the addresses of messages.
    trusted = bool(url) or bool(config.get("allowPrivate"))
    client = HttpClient(policy=setting.policy if trusted else PUBLIC)

    named = str(config.get("database") or "")

    def database() -> Database | None:
        found: Database | None = registry.get(DATABASE, named)
        return found

    outbox = Outbox(
        name=setting.name,
        database=database,
        folder=setting.context.folder,
        client=client,
        target=Target(
            url=url,
            method=str(config["method"]).upper(),
            headers={str(k): str(v) for k, v in (config.get("headers") or {}).items()},
            secret=str(config.get("secret") or ""),
            timeout_s=float(config["timeout"]),
            retry=_retry(config),
        ),
        log=setting.log,
    )

    async def send(value: Json) -> str:
        given = value if isinstance(value, dict) else {}
        address = url or str(given.get("url") or "")
        if not address:
            text = f"{setting.name} has no url, and the message has none"
            raise HttpProblem(422, "VALIDATION_FAILED", text)
        if address.startswith("/") and url:
            address = f"http://{_own_address(setting)}{address}"
        payload = given.get("payload", value) if not url else value
        return await outbox.add(address, encoded(payload))

    async def receive(message: Message) -> Json:
        return {"id": await send(message.value)}

    async def handle(request: Request) -> Response:
        return json_response({"id": await send(request.json())}, 202)

    async def stop() -> None:
        await outbox.stop()
        await client.stop()

    return Module(
        name=setting.name,
        services={
            "Handler": handle,
            "Receiver": receive,
            "Component": _Calling(send),
            "WebhookOutbox": outbox,
            "Consumer": outbox,
        },
        stop=stop,
        mount=_dead_letters(setting),
    )


def _retry(config: Mapping[str, Json]) -> Retry:
    return Retry(
        attempts=int(config["maxRetries"]) + 1,
        initial_s=float(config["initialBackoff"]),
        most_s=float(config["maxBackoff"]),
        factor=float(config["multiplier"]),
    )


def _own_address(setting: Setting) -> str:
    """Return the address of the first server, for a url that is a path of the application."""
    listeners = setting.context.registry.all(LISTENER)
    if not listeners:
        text = f"{setting.name}: url is a path, and the application has no server"
        raise HttpProblem(503, "SERVICE_MISSING", text)
    return str(listeners[0].address)


class _Calling:
    """`step.delegate` on a sender."""

    def __init__(self, send: Any) -> None:
        self._send = send

    async def call(self, _operation: str, value: Json) -> Json:
        return {"id": await self._send(value)}


def _dead_letters(setting: Setting) -> Any:
    """Serve the dead letters of all senders, once for the application."""
    registry = setting.context.registry

    async def dead(_request: Request) -> Response:
        found = [e for outbox in registry.all(WEBHOOK_OUTBOX) for e in await outbox.dead()]
        return json_response({"deadLetters": found})

    async def retry(request: Request) -> Response:
        id = request.params["id"]
        for outbox in registry.all(WEBHOOK_OUTBOX):
            if await outbox.revive(id):
                return json_response({"id": id, "status": "accepted"}, 202)
        raise HttpProblem(404, "DEAD_LETTER_NOT_FOUND", f"there is no dead letter {id[:80]!r}")

    def mount(mounts: Mounts) -> None:
        for each in mounts.servers()[:1]:
            if not each.serves("GET", DEAD_LETTERS):
                only = (setting.context.operators(),)
                each.add("GET", DEAD_LETTERS, dead, middlewares=only)
                each.add("POST", f"{DEAD_LETTERS}/{{id}}/retry", retry, middlewares=only)

    return mount


class Slack:
    """Posts messages to a webhook of Slack, and waits as long as it asks to."""

    def __init__(self, *, url: str, client: HttpClient, base: Mapping[str, str], text: Any) -> None:
        self._url = url
        self._client = client
        self._base = base
        self._text = text

    async def call(self, _operation: str, value: Json) -> Json:
        """Post a message. Raises HttpProblem with 502 if Slack refuses it."""
        body = dict(self._base)
        given = value if isinstance(value, dict) else {}
        body |= {k: str(given[k]) for k in ("channel", "username") if given.get(k)}
        body["text"] = self._written(value)
        content = orjson.dumps(body)
        headers = {"Content-Type": "application/json"}
        for attempt in range(1, SLACK_TRIES + 1):
            answer = await self._client.send("POST", self._url, headers, content, SLACK_TIMEOUT_S)
            if answer.status < 300:
                return {"sent": True}
            if answer.status != 429 or attempt == SLACK_TRIES:
                break
            await asyncio.sleep(_seconds(answer.headers.get("retry-after", "1")))
        said = answer.body[:100].decode("utf-8", "replace")
        raise HttpProblem(502, "UPSTREAM_FAILED", f"Slack answered {answer.status}: {said}")

    def _written(self, value: Json) -> str:
        if self._text is not None:
            data = value if isinstance(value, dict) else {"message": value}
            return as_text(self._text(Run(data)))
        if isinstance(value, dict) and isinstance(value.get("text"), str):
            return str(value["text"])
        return value if isinstance(value, str) else orjson.dumps(value).decode()


def slack(setting: Setting) -> Module:
    """Build notification.slack. Raises Invalid for a wrong address or template."""
    config = setting.config
    url = str(config["webhookURL"])
    if not url.startswith(("http://", "https://")):
        raise setting.invalid("webhookURL begins with http:// or https://")
    compiling = Compiling(steps=[], strict=False)
    template = config.get("text")
    render = compile_text(str(template), compiling) if template else None
    if compiling.problems:
        raise Invalid("TEMPLATE_INVALID", f"{setting.name}: text: {compiling.problems[0]}")
    client = HttpClient(policy=setting.policy)
    base = {"username": str(config["username"])}
    if config.get("channel"):
        base["channel"] = str(config["channel"])
    made = Slack(url=url, client=client, base=base, text=render)

    async def receive(message: Message) -> Json:
        return await made.call("", message.value)

    async def handle(request: Request) -> Response:
        return json_response(await made.call("", request.json()))

    services = {"Handler": handle, "Receiver": receive, "Component": made}
    return Module(name=setting.name, services=services, stop=client.stop)


def _seconds(text: str) -> float:
    try:
        return min(max(float(text), 0.0), SLACK_WAIT_MAX_S)
    except ValueError:
        return 1.0
