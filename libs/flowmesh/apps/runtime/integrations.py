"""Workflows of the kinds integration and messaging as starts: calls of connectors in order."""

import asyncio
import base64
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import orjson

from flowmesh.apps.catalog import nearest_names
from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.data.database import Session
from flowmesh.apps.data.effects import EFFECT_KEY, once, step_scope
from flowmesh.apps.data.statements import prepared
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, WorkflowSpec
from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem, problem_of
from flowmesh.apps.messaging.messages import message_id_of
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.pipeline.journal import Journal
from flowmesh.apps.pipeline.run import Run
from flowmesh.apps.pipeline.shapes import Shape, ShapeInvalid, compile_inputs, compile_shape
from flowmesh.apps.runtime.durables import Durables
from flowmesh.apps.runtime.patterns import EVENT_PROCESSOR, add_patterns
from flowmesh.apps.runtime.receivers import as_message
from flowmesh.apps.wiring.ports import (
    BROKER,
    DATABASE,
    DURABLE_WORKFLOW,
    EMITTING,
    HTTP_CLIENT,
    REGISTRY,
    WEBHOOK,
    WORKFLOW,
    DurableStartable,
    Startable,
)
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry
from flowmesh.errors import FlowmeshError

Call = Callable[[str, dict[str, Json]], Awaitable[Json]]

_KEYS = ("registry", "connectors", "steps", "name", "description")
_AUTH = ("", "none", "bearer", "basic", "apikey", "api-key")
_DELAY = duration("retryDelay", "Time before a retry.")
RETRIES_MAX = 100
_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_ACTION = re.compile(r"(GET|POST|PUT|PATCH|DELETE|HEAD)\s+(\S.*)\Z")


@dataclass(frozen=True, slots=True)
class IntegrationStep:
    """A call of a connector."""

    name: str
    action: str
    call: Call
    inputs: Shape
    retry: Retry
    on_success: str
    on_error: str


class Integration:
    """Calls its steps in order; each sees `data` and the results before it."""

    def __init__(
        self, *, steps: list[IntegrationStep], registry: ServiceRegistry, log: LogHub
    ) -> None:
        self._steps = steps
        self._registry = registry
        self._log = log

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        """Run all steps, or the one of the action. Raises HttpProblem for a failed step."""
        run = Run(data, meta={"action": action})
        await self.execute(run)
        return self.result(run)

    def result(self, run: Run) -> Json:
        return run.steps

    async def execute(self, run: Run) -> None:
        """Run all steps, or the one of the action, inline or as a part of a durable run."""
        action, data, journal = str(run.meta.get("action") or ""), run.trigger, run.journal
        names = [each.name for each in self._steps]
        chosen = [each for each in self._steps if each.name == action] or self._steps
        if action and action not in (*names, "execute", "run", "start"):
            text = f"unknown step {action[:80]!r}; known: {', '.join(names)}"
            raise HttpProblem(404, "STEP_UNKNOWN", text)
        for step in chosen:
            try:
                run.steps[step.name] = await self._step(step, {"data": data, **run.steps}, journal)
            except Exception as error:
                problem = problem_of(error)
                event = {"step": step.name, "error": problem.detail, "data": data}
                if step.on_error:
                    await self._notify(step, step.on_error, event, journal)
                raise problem.at("integration", step.name) from error
            if step.on_success:
                event = {"step": step.name, "result": run.steps[step.name], "data": data}
                await self._notify(step, step.on_success, event, journal)

    async def _step(
        self, step: IntegrationStep, scope: Mapping[str, Json], journal: Journal | None
    ) -> Json:
        given = step.inputs(scope)
        for attempt in range(1, step.retry.attempts + 1):
            try:
                if journal is None:
                    with step_scope(step.name):
                        return await step.call(step.action, given)
                return await journal.effect(step.name, lambda: step.call(step.action, given))
            except (HttpProblem, FlowmeshError) as error:
                problem = problem_of(error)
                if attempt == step.retry.attempts or problem.status < 500:
                    raise
                text = f"{step.name} failed: {problem.detail}"
                if journal is None or not journal.replaying:
                    self._log.write("warn", "integration", text, attempt=attempt)
                await asyncio.sleep(step.retry.delay_s(attempt))
        raise AssertionError

    async def _notify(
        self, step: IntegrationStep, name: str, event: Json, journal: Journal | None
    ) -> None:
        """Give an event to a handler, or publish it on the topic of the name."""
        if journal is None:
            with step_scope(f"notify {step.name} {name}"):
                await self._sent(name, event)
        else:
            await journal.effect(f"notify {name}", lambda: self._sent(name, event))

    async def _sent(self, name: str, event: Json) -> None:
        receive = self._registry.get(EMITTING, name)
        broker = self._registry.get(BROKER)
        if receive is not None:
            await receive(as_message(f"integration.{name}", event))
        elif broker is not None:
            with message_id_of(EFFECT_KEY.get()):
                await broker.publish(name, event)
        else:
            self._log.write("info", "integration", f"{name}: nothing takes this event", **event)


def add_integrations(
    document: AppDocument, registry: ServiceRegistry, log: LogHub, durables: Durables | None
) -> None:
    """Build the workflows that triggers start; problems become findings.

    Integrations run durably where there is a suite.
    """
    for workflow, processor in add_patterns(document, registry, log):
        registry.put(EVENT_PROCESSOR, str(workflow.at.keys), processor)
    for workflow in document.workflows:
        if workflow.kind == "integration":
            _Assembly(document, registry, log, workflow, durables).add()
        elif workflow.kind == "messaging":
            broker = str(workflow.config.get("broker") or "")
            start = _Publishing(registry, broker)
            for name in ("messaging", str(workflow.config.get("name") or "")):
                if name and registry.get(WORKFLOW, name) is None:
                    registry.put(WORKFLOW, name, start)


class _Publishing:
    """Publishes the data of a trigger on the topic of its action."""

    def __init__(self, registry: ServiceRegistry, broker: str) -> None:
        self._find = registry.later(BROKER, broker)

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        id = await self._find().publish(action, data)
        return {"published": True, "topic": action, "id": id}


class _Assembly:
    """One workflow of the kind integration."""

    def __init__(
        self,
        document: AppDocument,
        registry: ServiceRegistry,
        log: LogHub,
        workflow: WorkflowSpec,
        durables: Durables | None,
    ) -> None:
        self._durables = durables
        self._document = document
        self._findings = document.findings
        self._registry = registry
        self._log = log
        self._workflow = workflow

    def add(self) -> None:
        config, at = self._workflow.config, self._workflow.at
        for key in config:
            if key not in _KEYS:
                message = f"an integration has no key {key!r}{nearest_names(key, _KEYS)}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        named = str(config.get("registry") or "")
        if named and self._registry.get(REGISTRY, named) is None:
            message = f"there is no module {named!r} that offers Registry"
            self._findings.error("SERVICE_UNKNOWN", message, at / "registry")
        connectors: dict[str, Call] = {}
        hooks: list[tuple[str, SourcePath]] = []
        for index, raw in enumerate(_objects(config.get("connectors"))):
            here = at / "connectors" / index
            name, kind = str(raw.get("name") or ""), str(raw.get("type") or "")
            given = raw.get("config")
            settings = given if isinstance(given, dict) else {}
            if kind == "webhook":
                hooks.append((str(settings.get("path") or ""), here))
                continue
            call = self._connector(kind, settings, here)
            if call is not None and name:
                connectors[name] = call
        steps = [
            step
            for index, raw in enumerate(_objects(config.get("steps")))
            if (step := self._step(raw, connectors, at / "steps" / index)) is not None
        ]
        integration = Integration(steps=steps, registry=self._registry, log=self._log)
        durable = self._durable(integration)
        made: Startable = integration if durable is None else durable
        for name in ("integration", str(config.get("name") or "")):
            if name and self._registry.get(WORKFLOW, name) is None:
                self._registry.put(WORKFLOW, name, made)
                if durable is not None:
                    self._registry.put(DURABLE_WORKFLOW, name, durable)
        for path, here in hooks:
            self._webhook(path, here, made)

    def _durable(self, made: Integration) -> DurableStartable | None:
        """Return the durable form of an integration; None without a suite."""
        if self._durables is None:
            return None
        config = self._workflow.config
        name = str(config.get("name") or "integration")
        return self._durables.durable(name, self._durables.digest(config), made)

    def _webhook(self, path: str, at: SourcePath, made: Startable) -> None:
        if not path.startswith("/"):
            self._findings.error("APP_CONFIG_INVALID", "a webhook needs a path", at)
            return

        async def handle(request: Request) -> Response:
            value = request.json()
            data = value if isinstance(value, dict) else {"input": value}
            return json_response(await made.start("", data))

        self._registry.put(WEBHOOK, path, handle)

    def _connector(self, kind: str, config: Mapping[str, Json], at: SourcePath) -> Call | None:
        if kind == "http":
            auth = str(config.get("authType") or "").lower()
            if not config.get("baseURL") or auth not in _AUTH:
                message = "an http connector needs a baseURL, and authType bearer, basic or apikey"
                self._findings.error("APP_CONFIG_INVALID", message, at)
                return None
            return HttpConnector(config, self._registry).call
        if kind == "database":
            name = str(config.get("database") or "")
            if self._registry.get(DATABASE, name) is None:
                message = f"there is no module {name!r} that offers Database"
                self._findings.error("SERVICE_UNKNOWN", message, at)
                return None
            return DatabaseConnector(name, self._registry).call
        message = f"a connector is http, webhook or database, not {kind!r}"
        self._findings.error("APP_CONFIG_INVALID", message, at / "type")
        return None

    def _step(
        self, raw: Mapping[str, Json], connectors: Mapping[str, Call], at: SourcePath
    ) -> IntegrationStep | None:
        name, connector = str(raw.get("name") or ""), str(raw.get("connector") or "")
        call = connectors.get(connector)
        if call is None or not name:
            near = nearest_names(connector, connectors)
            message = f"a step needs a name and a connector; there is no {connector!r}{near}"
            self._findings.error("APP_CONFIG_INVALID", message, at)
            return None
        retries = raw.get("retryCount", 0)
        if not isinstance(retries, int) or not 0 <= retries <= RETRIES_MAX:
            message = f"retryCount is a number from 0 to {RETRIES_MAX}"
            self._findings.error("APP_CONFIG_INVALID", message, at)
            return None
        try:
            delay = float(convert(_DELAY, raw.get("retryDelay", "1s")))
            shape = raw.get("transform")
            inputs = compile_shape(shape) if isinstance(shape, str) else None
        except (ValueMismatch, ShapeInvalid) as error:
            self._findings.error("APP_CONFIG_INVALID", str(error), at)
            return None
        return IntegrationStep(
            name=name,
            action=str(raw.get("action") or ""),
            call=call,
            inputs=_merged(compile_inputs(raw.get("input") or {}), inputs),
            retry=Retry(attempts=retries + 1, initial_s=delay, factor=1),
            on_success=str(raw.get("onSuccess") or ""),
            on_error=str(raw.get("onError") or ""),
        )


def _merged(first: Shape, second: Shape | None) -> Shape:
    """Return the input with the transform over it, as far as the transform has values."""
    if second is None:
        return first

    def both(scope: Mapping[str, Json]) -> Json:
        made = second(scope)
        over = {k: v for k, v in made.items() if v is not None} if isinstance(made, dict) else {}
        return {**first(scope), **over}

    return both


class HttpConnector:
    """Calls `METHOD /path/{name}`; names in the path come out of the input."""

    def __init__(self, config: Mapping[str, Json], registry: ServiceRegistry) -> None:
        self._base = str(config["baseURL"]).rstrip("/")
        self._headers = {str(k): str(v) for k, v in (config.get("headers") or {}).items()}
        self._headers |= _credentials(config)
        self._timeout_s = float(config.get("timeoutSeconds") or 30)
        per_minute = float(config.get("requestsPerMinute") or 0)
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._free_at = 0.0
        self._find = registry.later(HTTP_CLIENT, "")

    async def call(self, action: str, given: dict[str, Json]) -> Json:
        """Send the request and return the body. Raises HttpProblem."""
        found = _ACTION.match(action)
        if found is None:
            text = f"the action must be METHOD /path, not {action[:60]!r}"
            raise HttpProblem(500, "ACTION_INVALID", text)
        left = dict(given)

        def placed(match: re.Match[str]) -> str:
            value = left.pop(match[1], None)
            if value is None:
                text = f"the input has no {match[1]}, which the path needs"
                raise HttpProblem(422, "VALIDATION_FAILED", text)
            return quote(str(value), safe="")

        method, path = found[1], _PLACE.sub(placed, found[2])
        url, body = self._base + path, None
        if method in ("GET", "DELETE", "HEAD"):
            flat = {k: v for k, v in left.items() if v is not None and not isinstance(v, dict)}
            url += f"?{urlencode(flat)}" if flat else ""
        else:
            body = orjson.dumps(left)
        await self._pace()
        headers = {"Content-Type": "application/json", **self._headers}
        if effect := EFFECT_KEY.get():
            headers["Idempotency-Key"] = effect
        answer = await self._find().send(method, url, headers, body, self._timeout_s)
        if answer.status >= 400:
            status = 502 if answer.status >= 500 else 422
            text = f"{method} {found[2]} answered {answer.status}"
            raise HttpProblem(status, "UPSTREAM_FAILED", text)
        try:
            return orjson.loads(answer.body) if answer.body else {}
        except orjson.JSONDecodeError:
            return {"body": answer.body.decode("utf-8", "replace")}

    async def _pace(self) -> None:
        """Wait for the next free moment of `requestsPerMinute`."""
        if self._gap_s:
            now = time.monotonic()
            at = max(self._free_at, now)
            self._free_at = at + self._gap_s
            await asyncio.sleep(at - now)


class DatabaseConnector:
    """Runs the SQL of the action; `params` of the input are its values."""

    def __init__(self, name: str, registry: ServiceRegistry) -> None:
        self._registry = registry
        self._name = name

    async def call(self, action: str, inputs: dict[str, Json]) -> Json:
        """Run the statement and return rows or their number. Raises HttpProblem."""
        database = self._registry.need(DATABASE, self._name)
        statement = prepared(action, database.dialect)
        params = inputs.get("params")
        values = params if isinstance(params, list) else list(inputs.values())
        if statement.reads:
            rows = database.query(statement, values[: statement.parameters])
            return {"rows": rows if isinstance(rows, list) else await rows}
        given = values[: statement.parameters]

        async def change(on: Session) -> Json:
            changed = await on.execute(statement, given)
            return {"affected_rows": changed.count, "last_id": changed.last_id}

        effect = EFFECT_KEY.get()
        return await (once(database, effect, change) if effect else change(database))


def _credentials(config: Mapping[str, Json]) -> dict[str, str]:
    kind = str(config.get("authType") or "").lower()
    if kind == "bearer":
        return {"Authorization": f"Bearer {config.get('token', '')}"}
    if kind == "basic":
        pair = f"{config.get('username', '')}:{config.get('password', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    if kind in ("apikey", "api-key"):
        return {str(config.get("header") or "X-API-Key"): str(config.get("token") or "")}
    return {}


def _objects(raw: Json) -> list[dict[str, Json]]:
    return [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []
