"""Workflows of the kind event: patterns of events over a window, and their handlers."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, WorkflowSpec
from flowmesh.apps.messaging.messages import Message, reason_of
from flowmesh.apps.messaging.patterns import Event, Match, Pattern, PatternMatcher
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.receivers import Receive, as_message
from flowmesh.apps.wiring.ports import CONSUMER, EMITTING, WORKFLOW, Port
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json

TICK_S = 0.2
CONDITIONS = ("count", "sequence", "all", "absence")
_WINDOW = duration("windowTime", "Window.")


class EventProcessor:
    """Feeds events to patterns, and matches to handlers. It is the service `Workflow`."""

    def __init__(
        self,
        *,
        matchers: list[PatternMatcher],
        handlers: Mapping[str, list[str]],
        find: Callable[[str], Receive | None],
        log: LogHub,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._matchers = matchers
        self._handlers = handlers
        self._find = find
        self._log = log
        self._now = now
        self._task: asyncio.Task[None] | None = None

    @property
    def types(self) -> set[str]:
        """The types of events that patterns take."""
        return {kind for each in self._matchers for kind in each.pattern.types}

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        """Take an event of the type `action`, from a trigger."""
        return {"matched": await self.take(action or str(data.get("type") or ""), data)}

    async def receive(self, message: Message, kind: str) -> Json:
        """Take the event of a message."""
        return await self.take(kind, message.value, message.key)

    async def take(self, kind: str, value: Json, key: str = "") -> list[str]:
        """Feed an event; return the patterns that it completes. Raises errors of handlers."""
        matched = []
        for each in self._matchers:
            field = each.pattern.key
            own = str(value.get(field, "")) if field and isinstance(value, dict) else ""
            found = each.feed(Event(kind, value, self._now(), own))
            if found is not None:
                matched.append(found.pattern)
                await self._handle(found)
        return matched

    async def open(self) -> None:
        self._task = asyncio.create_task(self._tick())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            for each in self._matchers:
                for found in each.tick(self._now()):
                    try:
                        await self._handle(found)
                    except Exception as error:  # noqa: BLE001 - the log is its reader
                        text = f"the pattern {found.pattern} failed: {reason_of(error)}"
                        self._log.write("error", "events", text)
            await asyncio.sleep(TICK_S)

    async def _handle(self, match: Match) -> None:
        for name in self._handlers.get(match.pattern, ()):
            receive = self._find(name)
            if receive is None:
                self._log.write("error", "events", f"there is no handler {name!r}")
                continue
            await receive(as_message(f"patterns.{match.pattern}", match.document()))


def add_patterns(
    document: AppDocument, registry: ServiceRegistry, log: LogHub
) -> list[tuple[WorkflowSpec, EventProcessor]]:
    """Build the processors of event workflows; problems become findings."""
    built = []
    for index, workflow in enumerate(each for each in document.workflows if each.kind == "event"):
        if len(workflow.config) <= 1:
            continue
        matchers = _matchers(document, workflow)
        processor = EventProcessor(
            matchers=matchers,
            handlers=_handlers(document, workflow, {each.pattern.id for each in matchers}),
            find=lambda name: registry.get(EMITTING, name),
            log=log,
        )
        names = ("event", str(workflow.config.get("name") or ""))
        for name in (*names, str(workflow.config.get("processor") or "")):
            if name and registry.get(WORKFLOW, name) is None:
                registry.put(WORKFLOW, name, processor)
        registry.put(CONSUMER, f"(events {index})", processor)
        built.append((workflow, processor))
    return built


def _matchers(document: AppDocument, workflow: WorkflowSpec) -> list[PatternMatcher]:
    found: dict[str, PatternMatcher] = {}
    for index, raw in enumerate(_objects(workflow.config.get("patterns"))):
        at = workflow.at / "patterns" / index
        pattern = _pattern(document, raw, at)
        if pattern is not None and pattern.id in found:
            message = f"a pattern {pattern.id!r} already exists"
            document.findings.error("APP_NAME_TAKEN", message, at)
        elif pattern is not None:
            found[pattern.id] = PatternMatcher(pattern)
    return list(found.values())


def _pattern(document: AppDocument, raw: Mapping[str, Json], at: SourcePath) -> Pattern | None:
    types = raw.get("eventTypes")
    id = str(raw.get("patternId") or raw.get("name") or "")
    condition: Any = str(raw.get("condition") or "count")
    least = raw.get("minOccurs", 1)
    try:
        window = float(convert(_WINDOW, raw.get("windowTime", "1m")))
    except ValueMismatch as error:
        document.findings.error("APP_CONFIG_INVALID", f"windowTime {error}", at)
        return None
    wrong = ""
    if not id or not isinstance(types, list) or not types:
        wrong = "a pattern needs a patternId and eventTypes, a list"
    elif condition not in CONDITIONS:
        wrong = f"condition is one of {', '.join(CONDITIONS)}, not {condition!r}"
    elif not isinstance(least, int) or not 1 <= least <= 10_000:
        wrong = "minOccurs is a number from 1 to 10000"
    elif condition == "absence" and len(types) < 2:
        wrong = "an absence needs two eventTypes: the one that comes, and the one that does not"
    if wrong:
        document.findings.error("APP_CONFIG_INVALID", wrong, at)
        return None
    assert isinstance(types, list)
    key = str(raw.get("key") or "")
    return Pattern(id, [str(t) for t in types], window, condition, least, key)


def _handlers(
    document: AppDocument, workflow: WorkflowSpec, known: set[str]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for index, raw in enumerate(_objects(workflow.config.get("handlers"))):
        at = workflow.at / "handlers" / index
        id, handler = str(raw.get("patternId") or ""), str(raw.get("handler") or "")
        if id not in known:
            there = ", ".join(sorted(known)) or "none"
            message = f"unknown pattern {id!r}; known: {there}"
            document.findings.error("APP_CONFIG_INVALID", message, at)
        elif document.module(handler) is None:
            document.findings.warn("HANDLER_UNRESOLVED", f"there is no handler {handler!r}", at)
        found.setdefault(id, []).append(handler)
    return found


def _objects(raw: Json) -> list[dict[str, Json]]:
    return [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []


EVENT_PROCESSOR: Port[EventProcessor] = Port("EventProcessor")
