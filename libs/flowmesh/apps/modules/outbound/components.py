"""dynamic.component: Python sources in confined processes, reloaded without a lost call."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from flowmesh.apps.catalog.descriptor import duration, size
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.components.checking import flaws_of
from flowmesh.apps.components.process import ComponentProcess, Gone, Limits
from flowmesh.apps.http.messages import Request, Response, json_or_text, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.messages import reason_of
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.apps.modules.outbound.component_api import mount_api
from flowmesh.apps.wiring.ports import BROKER, HTTP_CLIENT, SECRETS
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Invalid, Violation

WATCH_S = 0.2
DRAIN_S = 30.0
RESTARTS_IN_A_ROW_MAX = 5
VALUES_MAX = 10_000
HTTP_S = 30.0
CAPABILITIES = ("http", "publish", "kv", "log")
_MEMORY, _TIME = size("memory", ""), duration("timeout", "")


class Component:
    """A source with its process, which is started again after its end."""

    def __init__(
        self,
        *,
        name: str,
        source: str,
        config: Mapping[str, Json],
        limits: Limits,
        ask: Callable[[str, Mapping[str, Json]], Any],
        log: Callable[..., None],
    ) -> None:
        self.name = name
        self.source = source
        self.reason = ""
        self._config = config
        self._limits = limits
        self._ask = ask
        self._log = log
        self._process: ComponentProcess | None = None
        self._turn = asyncio.Lock()
        self._failures = 0
        self._draining: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the process. Raises Invalid for a source that does not load."""
        self._process = await self._started(self.source)

    async def stop(self) -> None:
        for task in self._draining:
            task.cancel()
        if self._process is not None:
            await self._process.kill()
            self._process = None

    async def call(self, _operation: str, value: Json) -> Json:
        """Call `execute` and return its output. Raises HttpProblem."""
        given = value if isinstance(value, dict) else {"input": value}
        for _ in range(2):
            process = await self._running()
            params = process.contract.checked_input(given)
            try:
                output = await process.call("execute", params)
            except Gone:
                continue
            except HttpProblem as error:
                if error.code != "COMPONENT_FAILED":
                    raise
                raise self._reported(error) from None
            finally:
                if printed := process.takes_printed():
                    self._log("info", printed[:2_000])
            if not isinstance(output, dict):
                text = f"{self.name} must return an object, not {type(output).__name__}"
                raise HttpProblem(502, "COMPONENT_CONTRACT", text)
            process.contract.check_output(output)
            self._failures = 0
            return output
        raise HttpProblem(503, "COMPONENT_GONE", f"{self.name} ends at every start")

    def _reported(self, error: HttpProblem) -> HttpProblem:
        """Log what a component has raised, and return a problem that callers may see."""
        reference = secrets.token_hex(6)
        self._log("error", f"{self.name} failed: {error.detail}", reference=reference)
        text = f"{self.name} failed; the log says why, with the reference {reference}"
        return HttpProblem(error.status, error.code, text)

    async def health(self) -> str:
        process = self._process
        if process is None or process.ended.is_set():
            return "" if self._failures < RESTARTS_IN_A_ROW_MAX else f"{self.name} does not run"
        if not process.has_health:
            return ""
        try:
            found = await process.call("health", None)
        except (HttpProblem, Gone) as error:
            return f"{self.name}: {reason_of(error)}"
        return "" if found in (None, True, "", "ok") else str(found)[:200]

    async def replace(self, source: str) -> None:
        """Run another source from now on; calls of the old one end.

        Raises Invalid, and the old one stays, for a source that is not accepted, does not load, or
        has a narrower contract.
        """
        checked(self.name, source)
        async with self._turn:
            made = await self._started(source)
            old = self._process
            narrower = old.contract.narrowed(made.contract) if old is not None else []
            if narrower:
                await made.kill()
                text = f"{self.name}: callers cannot use the new contract: {'; '.join(narrower)}"
                raise Invalid("COMPONENT_INVALID", text)
            self._process, self.source = made, source
            self._failures = 0
            if old is not None:
                task = asyncio.create_task(old.drain(DRAIN_S))
                self._draining.add(task)
                task.add_done_callback(self._draining.discard)

    def document(self) -> dict[str, Json]:
        process = self._process
        return {
            "id": self.name,
            "status": "running" if process and not process.ended.is_set() else "stopped",
            "contract": dict(process.contract.text) if process is not None else {},
            "reason": self.reason,
        }

    async def _running(self) -> ComponentProcess:
        process = self._process
        if process is not None and not process.ended.is_set():
            return process
        async with self._turn:
            process = self._process
            if process is not None and not process.ended.is_set():
                return process
            if self._failures >= RESTARTS_IN_A_ROW_MAX:
                text = f"{self.name} ended {self._failures} times in a row; load it again"
                raise HttpProblem(503, "COMPONENT_GONE", text)
            self._failures += 1
            try:
                self._process = await self._started(self.source)
            except FlowmeshError as error:
                raise HttpProblem(503, "COMPONENT_GONE", error.message) from None
            return self._process

    async def _started(self, source: str) -> ComponentProcess:
        try:
            return await ComponentProcess.start(source, self._config, self._limits, self._ask)
        except Invalid as error:
            raise Invalid(error.reason, f"{self.name}: {error.message}") from None


def checked(name: str, source: str) -> None:
    """Raise Invalid with every line of a source that is not accepted."""
    found = flaws_of(source)
    if found:
        violations = tuple(
            Violation(f"line {e.line}", e.message, "COMPONENT_INVALID") for e in found
        )
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        text = f"{name}: line {found[0].line}: {found[0].message}{more}"
        raise Invalid("COMPONENT_INVALID", text, violations=violations)


class Capabilities:
    """The requests that a component may send to its host, by the granted names."""

    def __init__(self, setting: Setting, name: str, granted: list[str]) -> None:
        known = [each for each in granted if each.partition(":")[0] in (*CAPABILITIES, "secrets")]
        if unknown := [each for each in granted if each not in known]:
            text = f"{name}: a capability is http, publish, kv, log or secrets:NAME"
            raise Invalid("APP_CONFIG_INVALID", f"{text}, not {unknown[0]!r}")
        self._setting = setting
        self._name = name
        self._granted = frozenset(granted)
        self._values: dict[str, Json] = {}

    async def ask(self, capability: str, values: Mapping[str, Json]) -> Json:
        """Do what a component asks for. Raises HttpProblem if it is not granted."""
        wanted = f"secrets:{values.get('name')}" if capability == "secrets" else capability
        if wanted not in self._granted and capability != "log":
            text = f"{self._name} has no capability {wanted}; grant it under capabilities"
            raise HttpProblem(403, "CAPABILITY_MISSING", text)
        match capability:
            case "log":
                level = str(values.get("level") or "info")
                level = level if level in ("debug", "info", "warn", "error") else "info"
                self._setting.log(level, str(values.get("message"))[:2_000])
                return None
            case "kv":
                return self._value(values)
            case "publish":
                broker = self._setting.context.registry.get(BROKER)
                if broker is None:
                    raise HttpProblem(503, "SERVICE_MISSING", "the application needs one broker")
                return await broker.publish(str(values.get("topic")), values.get("value"))
            case "secrets":
                return await self._secret(str(values.get("name")))
        return await self._http(values)

    def _value(self, values: Mapping[str, Json]) -> Json:
        key = str(values.get("key"))
        if values.get("set") is True:
            if len(self._values) >= VALUES_MAX and key not in self._values:
                raise HttpProblem(507, "VALUES_FULL", f"a component keeps {VALUES_MAX} values")
            self._values[key] = values.get("value")
            return None
        return self._values.get(key)

    async def _secret(self, name: str) -> Json:
        source = self._setting.context.registry.get(SECRETS)
        if source is None:
            raise HttpProblem(503, "SERVICE_MISSING", "the application needs one module secrets.*")
        return await source.get(name)

    async def _http(self, values: Mapping[str, Json]) -> Json:
        client = self._setting.context.registry.get(HTTP_CLIENT, "")
        if client is None:
            raise HttpProblem(503, "SERVICE_MISSING", "several HTTP clients could do this")
        body, headers = values.get("body"), values.get("headers")
        content = None if body is None else orjson.dumps(body)
        given = {str(k): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
        if content is not None:
            given.setdefault("Content-Type", "application/json")
        answer = await client.send(
            str(values.get("method") or "GET"), str(values.get("url")), given, content, HTTP_S
        )
        found = json_or_text(answer.body)
        return {"status": answer.status, "headers": answer.headers, "body": found}


class SourceWatcher:
    """Loads a source again when its file changes; a broken one leaves the old one running."""

    def __init__(self, component: Component, path: Path, log: Callable[..., None]) -> None:
        self._component = component
        self._path = path
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        seen = self._component.source
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                text = await asyncio.to_thread(self._path.read_text, encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if text == seen or text == self._component.source:
                continue
            seen = text
            await self._load(text)

    async def _load(self, text: str) -> None:
        component = self._component
        try:
            await component.replace(text)
        except FlowmeshError as error:
            component.reason = error.message
            self._log("error", f"the old source stays: {error.message}")
            return
        component.reason = ""
        self._log("info", f"{component.name} was loaded again")


def dynamic(setting: Setting) -> Module:
    """Build dynamic.component. Raises Invalid for a source that is not accepted."""
    config = setting.config
    text = str(config.get("source") or "")
    if not text and not config.get("api"):
        raise setting.invalid("a component needs a source")
    id = str(config.get("componentId") or setting.name)
    capabilities = Capabilities(setting, id, [str(e) for e in config.get("capabilities") or ()])
    limits = limits_of(setting, config.get("limits") or {})
    source, path = source_of(setting, text) if text else ("", None)
    if source:
        checked(id, source)
    made = Component(
        name=id,
        source=source,
        config=config.get("settings") or {},
        limits=limits,
        ask=capabilities.ask,
        log=setting.log,
    )

    async def handle(request: Request) -> Response:
        value = request.json() if request.body else {**request.query, **request.params}
        return json_response(await made.call("", value))

    services: dict[str, Any] = {"Component": made, "Handler": handle, "ComponentSource": made}
    if path is not None:
        services["Consumer"] = SourceWatcher(made, path, setting.log)
    for each in config.get("requires") or ():
        if setting.context.document.module(each) is None:
            raise setting.invalid(f"requires names {each!r}, and there is no such module")
    names = [str(each) for each in config.get("provides") or ()]
    names += [id] if id != setting.name else []

    def mount(mounts: Mounts) -> None:
        mount_api(setting, mounts, new_component(setting, limits))

    return Module(
        name=setting.name,
        services=services,
        named={("Component", each): made for each in names},
        start=made.start if source else _nothing,
        stop=made.stop,
        health=made.health,
        mount=mount if config.get("api") else None,
    )


def new_component(setting: Setting, limits: Limits) -> Callable[[str, str], Component]:
    """Return what makes a component of a source that came over HTTP: without capabilities."""

    def make(id: str, source: str) -> Component:
        checked(id, source)
        ask = Capabilities(setting, id, []).ask
        return Component(name=id, source=source, config={}, limits=limits, ask=ask, log=setting.log)

    return make


def limits_of(setting: Setting, raw: Mapping[str, Json]) -> Limits:
    """Return the limits of a configuration. Raises Invalid."""
    unknown = [key for key in raw if key not in ("memory", "cpu", "timeout")]
    try:
        memory = int(convert(_MEMORY, raw.get("memory", "128MiB")))
        cpu = int(convert(_TIME, raw.get("cpu", "1h")))
        timeout = float(convert(_TIME, raw.get("timeout", "30s")))
    except ValueMismatch as error:
        raise setting.invalid(f"limits: {error}") from None
    if unknown or cpu < 1 or timeout <= 0 or memory < 16 * 1024 * 1024:
        raise setting.invalid("limits are memory of 16MiB or more, cpu and timeout")
    return Limits(memory_bytes=memory, cpu_s=cpu, timeout_s=timeout)


def source_of(setting: Setting, text: str) -> tuple[str, Path | None]:
    """Return a source and its file: the text itself has several lines. Raises Invalid."""
    if "\n" in text:
        return text, None
    path = setting.path(text)
    if path.suffix == ".go":
        beside = path.with_suffix(".py")
        if not beside.is_file():
            message = (
                f"{setting.name}: {text} is Go, which this host does not run; "
                f"put a Python component beside it: {beside.name}"
            )
            raise Invalid("COMPONENT_LANGUAGE", message)
        setting.log("warn", f"{text} is Go; {beside.name} beside it is loaded")
        path = beside
    elif path.suffix != ".py":
        message = f"{setting.name}: a source is a file that ends in .py, or a text of several lines"
        raise Invalid("COMPONENT_LANGUAGE", message)
    try:
        return path.read_text(encoding="utf-8"), path
    except (OSError, UnicodeDecodeError):
        raise Invalid("COMPONENT_INVALID", f"{setting.name}: {text} cannot be read") from None


async def _nothing() -> None:
    return None
