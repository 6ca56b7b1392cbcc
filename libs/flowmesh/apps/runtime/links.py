"""Links between applications: events of one start actions of another.

Links join applications of one process directly. Where the other application is elsewhere, they
use a durable queue of the suite for each link, which both ends declare.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowmesh.apps.catalog import nearest_names
from flowmesh.apps.document.expansion import ADDRESS
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.links import cycle_of
from flowmesh.apps.document.model import AppDocument, LinkSpec
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.event_bus import event_view
from flowmesh.apps.messaging.messages import Broker, Message, Subscribed, check_pattern, fits
from flowmesh.apps.messaging.suite import incoming, outgoing
from flowmesh.apps.pipeline.compile import SUITE_MISSING
from flowmesh.apps.pipeline.starting import PIPELINE
from flowmesh.apps.runtime.receivers import Receive, receiver_of
from flowmesh.apps.wiring.ports import (
    BROKER,
    CONSUMER,
    MACHINE,
    SUBSCRIBED_TOPICS,
    WORKFLOW,
    Port,
    Startable,
)
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Unavailable

if TYPE_CHECKING:
    from flowmesh.sdk.messaging.broker import MessageBroker
    from flowmesh.sdk.messaging.subscription import Subscription


ATTEMPTS_MAX = 10
_TOPIC = "app-topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """The applications that run in one process, and all of their links."""

    names: frozenset[str] = frozenset()
    links: tuple[LinkSpec, ...] = ()
    # Returns the inbox of a running application of this process.
    inbox: Callable[[str], "LinkInbox | None"] = field(default=lambda _name: None)

    @classmethod
    def of(
        cls, documents: Iterable[AppDocument], inbox: Callable[[str], "LinkInbox | None"]
    ) -> "Peers":
        listed = list(documents)
        links = tuple(link for each in listed for link in each.links)
        return cls(names=frozenset(each.name for each in listed), links=links, inbox=inbox)


ALONE = Peers()


def add_links(document: AppDocument, registry: ServiceRegistry, peers: Peers) -> None:
    """Join an application with the others; problems become findings."""
    links = peers.links or document.links
    _check(document, links, peers)
    name = document.name
    inbox = LinkInbox()
    suite = SuiteLinks()
    for link in links:
        local = link.source in peers.names and link.target in peers.names
        if link.target == name and (receive := _target(link, document, registry)) is not None:
            inbox.add(link, receive)
            if not local:
                suite.take(link, inbox)
        if link.source == name:
            send = _to_peer(link, peers) if local else suite.sender(link)
            _subscribe(link, document, registry, send)
    registry.put(LINK_INBOX, "", inbox)
    registry.put(CONSUMER, "links", inbox)
    if suite.used:
        registry.put(CONSUMER, "suite-links", suite)
        registry.put(SUITE_LINKS, "", suite)


def _check(document: AppDocument, links: Iterable[LinkSpec], peers: Peers) -> None:
    """Report applications that are not there, and cycles over several documents."""
    findings = document.findings
    known = peers.names or {document.name}
    for link in document.links:
        _check_pattern(link, document)
        away = [each for each in (link.source, link.target) if each not in known]
        if not away or (len(away) == 1 and os.environ.get(ADDRESS)):
            continue
        near = nearest_names(away[0], known)
        there = ", ".join(sorted(known))
        message = f"unknown application {away[0]!r} here{near}; known: {there}"
        if len(away) == 1:
            message += f"; links to applications elsewhere need {ADDRESS}, a suite"
            findings.warn(SUITE_MISSING, message, link.at)
        elif peers.names:
            findings.error("APP_LINK_INVALID", message, link.at)
        else:
            message = f"the link {link} joins neither end here; run the files together"
            findings.warn("APP_LINK_INVALID", message, link.at)
    if document.links and (cycle := cycle_of(list(links))):
        own = next((e.at for e in document.links if e.source in cycle), None)
        if own is not None and not any(e.code == "APP_LINK_CYCLE" for e in findings.found):
            message = f"events would pass through the links in a cycle: {' → '.join(cycle)}"
            findings.error("APP_LINK_CYCLE", message, own)


def _check_pattern(link: LinkSpec, document: AppDocument) -> None:
    try:
        check_pattern(link.pattern)
    except HttpProblem as error:
        document.findings.error("APP_LINK_INVALID", error.detail, link.at / "event_pattern")


def _place(link: LinkSpec, document: AppDocument, key: str) -> SourcePath:
    """Return the place of a link; that of the document for links of another one."""
    return link.at / key if link in document.links else SourcePath()


def _subscribe(
    link: LinkSpec, document: AppDocument, registry: ServiceRegistry, send: Receive
) -> None:
    """Send the events that the application publishes on any of its brokers."""
    brokers: dict[int, Broker] = {id(each): each for each in registry.all(BROKER)}
    if not brokers:
        message = f"the link {link} begins at an application without a broker, which has no events"
        document.findings.error("APP_LINK_INVALID", message, _place(link, document, "source"))
    for number, broker in enumerate(brokers.values()):
        try:
            broker.subscribe(Subscribed(link.pattern, f"{_name(link)}-{number}", send))
        except HttpProblem as error:
            # A wrong pattern is reported with the link, by the document that has it.
            if error.code != "TOPIC_INVALID":
                at = _place(link, document, "source")
                document.findings.error("APP_LINK_INVALID", f"the link {link}: {error.detail}", at)
            return


def _to_peer(link: LinkSpec, peers: Peers) -> Receive:
    async def send(message: Message) -> Json:
        inbox = peers.inbox(link.target)
        if inbox is None:
            raise Unavailable("SERVICE_MISSING", f"the application {link.target} does not run")
        return await inbox.deliver(link, message)

    return send


def _target(link: LinkSpec, document: AppDocument, registry: ServiceRegistry) -> Receive | None:
    """Return what takes the events of a link: its action, or a broker that has a subscription."""
    found = _action(link, registry)
    if found is not None:
        return found
    brokers = [
        registry.need(BROKER, name)
        for name, patterns in _subscribed(registry).items()
        if any(_meet(each, link.pattern) for each in patterns)
    ]
    findings, at = document.findings, _place(link, document, "target_action")
    if not brokers:
        names = _actions(registry)
        near = nearest_names(link.action, names) or f"; known: {', '.join(names) or 'none'}"
        message = f"{document.name} has no action {link.action!r} for the link {link}{near}"
        findings.error("APP_LINK_INVALID", message, at)
        return None
    if link.action:
        message = f"{document.name} has no action {link.action!r}; the events of the link {link} "
        findings.warn("WORKFLOW_UNRESOLVED", f"{message}are published on its broker", at)

    async def publish(message: Message) -> Json:
        headers = {**message.headers, "fm-link": str(link.source)}
        for broker in brokers:
            await broker.publish(message.topic, message.value, key=message.key, headers=headers)

    return publish


def _subscribed(registry: ServiceRegistry) -> Mapping[str, list[str]]:
    found: Mapping[str, list[str]] | None = registry.get(SUBSCRIBED_TOPICS)
    return found or {}


def _meet(pattern: str, other: str) -> bool:
    """Return whether a topic may fit both patterns."""
    one, two = pattern.split("."), other.split(".")
    for first, second in zip(one, two, strict=False):
        if ">" in (first, second):
            return True
        if "*" not in (first, second) and first != second:
            return False
    return len(one) == len(two)


def _actions(registry: ServiceRegistry) -> list[str]:
    return sorted({*registry.names(WORKFLOW), *registry.names(PIPELINE)} - {""})


def _action(link: LinkSpec, registry: ServiceRegistry) -> Receive | None:
    """Return the action of a name: a workflow, `workflow.action`, a transition or a handler."""
    name, action = link.action, ""
    workflow: Startable | None = registry.get(WORKFLOW, name) if name else None
    if workflow is None and "." in name:
        base, _, action = name.rpartition(".")
        workflow = registry.get(WORKFLOW, base)
    if workflow is None and name:
        owners = [
            definition
            for engine in registry.all(MACHINE)
            for definition, each in engine.definitions.items()
            if name in each.transitions
        ]
        if len(owners) == 1:
            workflow, action = registry.get(WORKFLOW, owners[0]), name
    if workflow is None:
        return receiver_of(name, registry) if name else None
    begun = workflow

    async def start(message: Message) -> Json:
        return await begun.start(action, event_view(message) if link.forward else _data(message))

    return start


def _data(message: Message) -> dict[str, Json]:
    value = message.value
    return dict(value) if isinstance(value, dict) else {"input": value}


def _name(link: LinkSpec) -> str:
    """Return the name of a link, the same at both ends."""
    text = "\0".join((link.pattern, link.action, str(link.forward)))
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"link.{link.source}.{link.target}.{digest}"


def stop_levels(names: Iterable[str], links: Iterable[LinkSpec]) -> Iterator[set[str]]:
    """Yield applications to stop together: sources before their targets."""
    left = set(names)
    while left:
        fed = {each.target for each in links if each.source in left and each.target in left}
        # Links in a cycle have no order.
        level = left - fed or set(left)
        yield level
        left -= level


class LinkInbox:
    """The ends of links at an application; open while it runs."""

    def __init__(self) -> None:
        self._receivers: dict[str, Receive] = {}
        self._closed = False
        self._ready = asyncio.Event()

    def add(self, link: LinkSpec, receive: Receive) -> None:
        self._receivers[_name(link)] = receive

    async def open(self) -> None:
        self._ready.set()

    async def close(self) -> None:
        self._closed = True

    async def deliver(self, link: LinkSpec, message: Message) -> Json:
        """Handle an event, once the application runs. Raises what the action raises."""
        await self._ready.wait()
        if self._closed:
            raise Unavailable("SERVICE_MISSING", f"the application {link.target} has stopped")
        return await self._receivers[_name(link)](message)


class SuiteLinks:
    """The ends of links whose other end is in another process: a durable queue for each."""

    def __init__(self) -> None:
        self._sent: dict[str, LinkSpec] = {}
        self._taken: dict[str, tuple[LinkSpec, LinkInbox]] = {}
        self._broker: MessageBroker | None = None
        self._taking: list[Subscription] = []
        self._ready = asyncio.Event()

    @property
    def used(self) -> bool:
        return bool(self._sent or self._taken)

    def take(self, link: LinkSpec, inbox: LinkInbox) -> None:
        self._taken[_name(link)] = (link, inbox)

    def sender(self, link: LinkSpec) -> Receive:
        """Return a receiver that stores an event in the queue of a link."""
        name = _name(link)
        self._sent[name] = link

        async def send(message: Message) -> Json:
            await self._ready.wait()
            if self._broker is None:
                raise Unavailable("BROKER_UNAVAILABLE", f"the link {link} is closed")
            headers = {**outgoing(message.headers, message.key), _TOPIC: message.topic}
            await self._broker.publish(message.value, name, headers=headers, id=message.id)

        return send

    async def open(self) -> None:
        """Declare the queues and take what waits in them. Raises Unavailable."""
        from flowmesh.sdk.messaging.broker import MessageBroker

        broker = self._broker = MessageBroker(os.environ[ADDRESS], strict=True)
        try:
            for name in {**self._sent, **self._taken}:
                await broker.declare_queue(name, max_attempts=ATTEMPTS_MAX, dead_letter_queue=True)
            self._ready.set()
            for name, (link, inbox) in self._taken.items():
                subscription = broker.subscribe(name, _taking(link, inbox))
                self._taking.append(subscription)
                await subscription.ready()
        except FlowmeshError as error:
            await self.stop()
            text = f"the links to other applications need the suite: {error.message}"
            raise Unavailable("BROKER_UNAVAILABLE", text) from None

    async def close(self) -> None:
        """Take no more events; those of this application can be sent until `stop`."""
        taking, self._taking = self._taking, []
        await asyncio.gather(*(each.close() for each in taking))

    async def stop(self) -> None:
        """Disconnect."""
        if self._broker is not None:
            await self._broker.close()
            self._broker = None


def _taking(link: LinkSpec, inbox: LinkInbox) -> Any:
    async def take(body: Json, raw: Any) -> None:
        given = dict(raw.headers)
        topic = str(given.pop(_TOPIC, ""))
        headers, key = incoming(given)
        if fits(link.pattern, topic):
            await inbox.deliver(link, Message(topic, body, raw.id, key, headers, raw.attempt))

    return take


LINK_INBOX: Port[LinkInbox] = Port("LinkInbox")


SUITE_LINKS: Port[SuiteLinks] = Port("SuiteLinks")
