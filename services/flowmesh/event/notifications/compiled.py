"""Compiled subscriptions: the events that match, and the notifications that follow. Pure."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.event.live.selection import Selection
from flowmesh.event.misfits import Misfit
from flowmesh.event.notifications.checks import TEMPLATE_ROOTS
from flowmesh.expressions import RenderError, compile_template
from flowmesh.jsontext import dump_json
from flowmesh.sandbox import Sandbox
from flowmesh.triggers import Filter
from flowmesh.views import EVENT_TYPES, cloud_type

Row = Mapping[str, Any]
COMPILED_MAX: Final = 1_000
PENDING: Final = "pending"
COUNTED: Final = "counted"


@dataclass(frozen=True, slots=True)
class Notification:
    """An event for a subscription; `event` is CloudEvents JSON."""

    namespace: str
    subscription: str
    event_id: str
    type: str
    event: bytes
    status: str = PENDING

    @property
    def id(self) -> str:
        """A stable id; receivers use it to deduplicate."""
        return notification_id(self.subscription, self.event_id)


def notification_id(subscription: str, event_id: str) -> str:
    text = f"{subscription}\n{event_id}"
    return f"ntf_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


class CompiledSubscription:
    """A subscription with its filter and its template."""

    def __init__(
        self, subscription_id: str, namespace: str, config: pb.Subscription, sandbox: Sandbox
    ) -> None:
        self.id = subscription_id
        self.namespace = namespace
        self.config = config
        self._filter = Filter(config.filter, "event", namespace, sandbox)
        self._template = (
            compile_template(orjson.loads(config.template), TEMPLATE_ROOTS)
            if config.template
            else None
        )

    @property
    def name(self) -> str:
        return self.config.subscription

    @property
    def watches_events(self) -> bool:
        return not self.config.alert.HasField("metric")

    @property
    def source(self) -> str:
        """The source of the events that the service itself makes for the subscription."""
        return f"/flowmesh/{self.namespace}/subscriptions/{self.name}"

    def selection(self) -> Selection | None:
        """Return the filter of lifecycle events by type; None if none can match."""
        fields = frozenset(field for field in EVENT_TYPES if self._fits_type(cloud_type(field)))
        if not fields or not self.watches_events:
            return None
        return Selection() if len(fields) == len(EVENT_TYPES) else Selection(types=fields)

    async def matches(self, event: Mapping[str, Json]) -> bool:
        """Return whether an event matches. Raises Misfit."""
        if not self.watches_events or not self._fits_type(event["type"]):
            return False
        if self.config.source and not _fits(self.config.source, event["source"]):
            return False
        await asyncio.sleep(0)  # yield to other tasks between filters
        try:
            return await self._filter.holds(event)
        except RenderError as error:
            raise Misfit.of_filter(error) from error

    async def notification(self, event: Mapping[str, Json]) -> Notification | None:
        """Return the notification of an event; None without a match. Raises Misfit."""
        if not await self.matches(event):
            return None
        return Notification(
            namespace=self.namespace,
            subscription=self.id,
            event_id=f"{event['source']} {event['id']}",
            type=event["type"],
            event=dump_json(cloud_event(event)),
            status=COUNTED if self.config.HasField("alert") else PENDING,
        )

    def body(self, event: bytes) -> bytes | None:
        """Render the template; None without one. Raises RenderError."""
        if self._template is None:
            return None
        scope = {
            "event": orjson.loads(event),
            "subscription": {
                "name": self.name,
                "namespace": self.namespace,
                "description": self.config.description,
            },
        }
        return dump_json(self._template.render(scope))

    def _fits_type(self, value: str) -> bool:
        return not self.config.types or any(_fits(each, value) for each in self.config.types)


class SubscriptionCache:
    """Compiles each subscription once while it is in use."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._compiled: dict[tuple[str, bytes], CompiledSubscription] = {}

    def compiled(self, row: Row) -> CompiledSubscription:
        """Return the compiled form of a row with `id`, `namespace` and `body`."""
        key = (row["id"], row["body"])
        found = self._compiled.get(key)
        if found is None:
            if len(self._compiled) >= COMPILED_MAX:
                self._compiled.clear()
            config = pb.Subscription.FromString(row["body"])
            found = self._compiled[key] = CompiledSubscription(
                row["id"], row["namespace"], config, self._sandbox
            )
        return found

    async def notifications(self, rows: Iterable[Row], event: Mapping[str, Json]) -> "Matched":
        """Return the notifications of an event for the subscriptions of a namespace."""
        found = Matched()
        for row in rows:
            try:
                compiled = self.compiled(row)
                notification = await compiled.notification(event)
            except Misfit as misfit:
                found.misfits[row["id"]] = misfit
                continue
            except Exception as error:  # noqa: BLE001 a broken subscription must not delay others
                found.misfits[row["id"]] = Misfit.of_definition(error)
                continue
            if notification is not None:
                found.notifications[compiled] = notification
        return found


@dataclass(slots=True)
class Matched:
    """The notifications of an event, and the misfits by subscription id."""

    notifications: dict[CompiledSubscription, Notification] = field(default_factory=dict)
    misfits: dict[str, Misfit] = field(default_factory=dict)


def cloud_event(event: Mapping[str, Json]) -> dict[str, Json]:
    """Return an event in the JSON format of CloudEvents 1.0."""
    named = {name: value for name, value in event.items() if name != "subject" or value}
    return {"specversion": "1.0", "datacontenttype": "application/json", **named}


def _fits(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
