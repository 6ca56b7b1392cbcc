"""Brokers, the event bus, and handlers of messages."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.delivery import DELIVERY_S, DeadLetters, Delivery
from flowmesh.apps.messaging.event_bus import EventBus
from flowmesh.apps.messaging.memory import MemoryBroker
from flowmesh.apps.messaging.messages import Broker, Message, check_pattern, new_id
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.pipeline.starting import PIPELINE, run_with
from flowmesh.apps.wiring.ports import COMPONENT, EVENT_BUS
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry
from flowmesh.errors import Invalid

HANDLED_MAX = 100
DAY_S = 86_400.0


def _module(setting: Setting, broker: Broker, **services: Any) -> Module:
    return Module(
        name=setting.name,
        services={"Broker": broker, "Consumer": broker, **services},
        start=broker.start,
        stop=broker.stop,
        health=broker.health,
    )


def _delivery(
    setting: Setting,
    attempts: int = 3,
    timeout_s: float = DELIVERY_S,
    workers: asyncio.Semaphore | None = None,
) -> Delivery:
    dead = DeadLetters()
    return Delivery(
        log=setting.log, attempts=attempts, timeout_s=timeout_s, dead=dead, workers=workers
    )


def broker(setting: Setting) -> Module:
    """Build messaging.broker: in memory, or the message broker of the suite."""
    config = setting.config
    attempts = int(config["maxAttempts"])
    delivery = _delivery(setting, attempts, float(config["deliveryTimeout"]))
    if config["engine"] == "suite":
        from flowmesh.apps.messaging.suite import SuiteBroker

        made: Broker = SuiteBroker(
            name=setting.name,
            app=setting.context.document.name,
            address=str(config.get("address") or ""),
            policy=setting.policy,
            delivery=delivery,
        )
        return _module(setting, made, DeadLetters=delivery.dead)
    made = MemoryBroker(
        delivery=delivery,
        room=int(config["maxQueueSize"]),
        wait_s=float(config["deliveryTimeout"]),
        dead_letter_topic=str(config.get("deadLetterTopic") or ""),
    )
    return _module(setting, made, DeadLetters=delivery.dead)


def nats(setting: Setting) -> Module:
    """Build messaging.nats."""
    from flowmesh.apps.messaging.nats import NatsBroker

    config = setting.config
    credentials = config.get("credentials")
    delivery = _delivery(setting)
    made = NatsBroker(
        name=setting.name,
        url=str(config["url"]),
        delivery=delivery,
        stream=str(config.get("stream") or ""),
        durable=str(config.get("durable") or ""),
        queue=str(config.get("queue") or ""),
        credentials=setting.path(str(credentials)) if credentials else None,
    )
    return _module(setting, made, DeadLetters=delivery.dead)


def kafka(setting: Setting) -> Module:
    """Build messaging.kafka. Raises Invalid for a wrong security section."""
    config = setting.config
    if not config["brokers"]:
        raise setting.invalid("brokers is empty")
    start = str(config.get("startFrom") or "earliest")
    if start not in ("earliest", "latest"):
        raise setting.invalid(f"startFrom is earliest or latest, not {start!r}")
    delivery = _delivery(setting)
    made = kafka_broker(setting.name, setting, config, delivery, from_start=start == "earliest")
    return _module(setting, made, DeadLetters=delivery.dead)


def kafka_broker(
    name: str,
    setting: Setting,
    config: Mapping[str, Json],
    delivery: Delivery,
    *,
    from_start: bool = True,
) -> Broker:
    """Return a broker of Kafka. Raises Invalid."""
    from flowmesh.apps.messaging.kafka import KafkaBroker, Security

    app = setting.context.document.name
    raw = config.get("security") or {}
    known = ("protocol", "mechanism", "username", "password", "ca")
    if unknown := [each for each in raw if each not in known]:
        text = f"{name}: security has {', '.join(known)}, not {unknown[0]!r}"
        raise Invalid("APP_CONFIG_INVALID", text)
    return KafkaBroker(
        name=name,
        brokers=config["brokers"],
        delivery=delivery,
        group=str(config.get("groupId") or app),
        client=str(config.get("clientId") or app),
        acks=str(config.get("acks") or "all"),
        from_start=from_start,
        security=Security(**{key: str(value) for key, value in raw.items()}),
    )


def event_bus(setting: Setting) -> Module:
    """Build eventbus.modular. Raises Invalid for wrong engines and routes."""
    config = setting.config
    listed = config.get("engines") or [{"name": "default", "type": config["engine"]}]
    engines: dict[str, Broker] = {}
    workers = asyncio.Semaphore(int(config["workerCount"]))
    for index, each in enumerate(listed):
        name, kind = str(each.get("name") or each.get("type")), str(each.get("type") or "memory")
        if name in engines:
            raise setting.invalid(f"engines[{index}] has the name {name!r} of another")
        engines[name] = _engine(setting, name, kind, each.get("config") or {}, workers)
    routing: list[tuple[str, str]] = []
    for index, each in enumerate(config.get("routing") or ()):
        engine = str(each.get("engine"))
        if engine not in engines:
            text = f"routing[{index}] names the engine {engine!r}; "
            raise setting.invalid(text + f"there are {', '.join(engines)}")
        for topic in each.get("topics") or ():
            try:
                routing.append((check_pattern(str(topic)), engine))
            except HttpProblem as error:
                raise setting.invalid(f"routing[{index}]: {error.detail}") from None
    made = EventBus(app=setting.context.document.name, engines=engines, routing=routing)
    return _module(setting, made, EventBus=made)


def _engine(
    setting: Setting,
    name: str,
    kind: str,
    given: Mapping[str, Json],
    workers: asyncio.Semaphore,
) -> Broker:
    config = setting.config
    kept_s = float(config.get("retentionDays") or 0.0) * DAY_S
    if kept_s and (kind == "kafka" or (kind == "nats" and not given.get("stream"))):
        text = "retentionDays needs an engine that keeps events here: memory, "
        raise setting.invalid(text + f"redis, or nats with a stream; not {kind}")
    app = setting.context.document.name
    if kind == "memory":
        return _memory_bus(setting, workers, kept_s)
    if kind == "nats":
        from flowmesh.apps.messaging.nats import NatsBroker

        return NatsBroker(
            name=f"{setting.name}-{name}",
            url=str(given.get("url") or "nats://localhost:4222"),
            delivery=_delivery(setting, workers=workers),
            stream=str(given.get("stream") or ""),
            prefix=f"fm.apps.{app}.",
            kept_s=kept_s,
        )
    if kind == "redis":
        from flowmesh.apps.messaging.redis_streams import RedisBroker

        return RedisBroker(
            name=name,
            app=app,
            url=str(given.get("url") or given.get("redisURL") or "redis://localhost:6379/0"),
            delivery=_delivery(setting, workers=workers),
            messages_max=int(config["maxEventQueueSize"]),
            kept_s=kept_s,
        )
    if kind == "kafka":
        brokers = given.get("brokers") or ["localhost:9092"]
        return kafka_broker(
            name, setting, {**given, "brokers": brokers}, _delivery(setting, workers=workers)
        )
    text = f"{setting.name}: the engine {kind!r} is none of memory, nats, redis and kafka"
    if kind == "custom":
        text = f"{setting.name}: the engine custom is code of the original; take memory or nats"
    raise Invalid("APP_UNSUPPORTED", text)


def _memory_bus(setting: Setting, workers: asyncio.Semaphore, kept_s: float) -> Broker:
    config = setting.config
    mode: Any = str(config["deliveryMode"])
    if mode not in ("drop", "block", "timeout"):
        raise setting.invalid(f"deliveryMode is drop, block or timeout, not {mode!r}")

    def dropped(message: Message) -> None:
        setting.log("warn", f"an event on {message.topic} was dropped", messageId=message.id)

    room = max(int(config["maxEventQueueSize"]), int(config["defaultEventBufferSize"]))
    return MemoryBroker(
        delivery=_delivery(setting, workers=workers),
        room=room,
        wait_s=float(config["publishBlockTimeout"]) or (0.0 if mode == "block" else 0.001),
        when_full=mode,
        life_s=min(float(config["eventTTL"]), kept_s or math.inf),
        dropped=dropped,
    )


def event_bus_broker(setting: Setting) -> Module:
    """Build messaging.broker.eventbus: the event bus, or one of its own where there is none."""
    registry = setting.context.registry
    types = {each.type for each in setting.context.document.modules}
    if "eventbus.modular" in types:
        found: EventBus | None = registry.get(EVENT_BUS)
        if found is None:
            text = f"{setting.name}: several modules are event buses; keep one"
            raise Invalid("WIRING_AMBIGUOUS", text)
        return Module(name=setting.name, services={"Broker": found}, health=found.health)
    memory = MemoryBroker(delivery=_delivery(setting), room=1_000, wait_s=5.0)
    made = EventBus(app=setting.context.document.name, engines={"memory": memory}, routing=())
    return _module(setting, made, EventBus=made)


class MessageHandler:
    """Runs a pipeline or a component for each message; without either it logs and counts."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        pipeline = str(setting.config.get("pipeline") or "")
        component = str(setting.config.get("component") or "")
        self._pipeline = setting.later(PIPELINE, pipeline) if pipeline else None
        self._component = setting.later(COMPONENT, component) if component else None
        self._last: list[Json] = []
        self.handled = 0
        self.failed = 0

    async def receive(self, message: Message) -> Json:
        """Handle a message and return the result. Raises an error for another attempt."""
        try:
            result = await self._result(message)
        except Exception:
            self.failed += 1
            raise
        self.handled += 1
        self._last = [*self._last[1 - HANDLED_MAX :], {"topic": message.topic, "id": message.id}]
        return result

    async def _result(self, message: Message) -> Json:
        value = message.value
        if self._pipeline is not None:
            meta = {"topic": message.topic, "messageId": message.id, "attempt": message.attempt}
            return await run_with(self._pipeline(), value, meta)
        if self._component is not None:
            given = value if isinstance(value, dict) else {"input": value}
            return await self._component().call("", given)
        text = f"a message on {message.topic}"
        self._setting.log("info", text, topic=message.topic, messageId=message.id)
        return value

    async def handle(self, request: Request) -> Response:
        """Answer GET with counts, and POST with the result for the body."""
        if request.method in ("GET", "HEAD"):
            body = {"handled": self.handled, "failed": self.failed, "last": self._last}
            return json_response(body)
        message = Message("", request.json(), request.id or new_id())
        return json_response({"result": await self.receive(message)})


def message_handler(setting: Setting) -> Module:
    """Build messaging.handler. Raises Invalid for a wrong topic or retry."""
    config = setting.config
    if config.get("pipeline") and config.get("component"):
        raise setting.invalid("a handler runs a pipeline or a component, not both")
    if topic := config.get("topic"):
        try:
            check_pattern(str(topic))
        except HttpProblem as error:
            raise setting.invalid(f"{error.detail}") from None
    made = MessageHandler(setting)
    receive: Any = made.receive
    if config.get("retry"):
        receive = _retried(made, setting.retry())
    services: dict[str, Any] = {"Receiver": receive, "Handler": made.handle}
    if watched := config.get("watchPath"):
        from flowmesh.apps.modules.outbound.files import WatchedFolder

        form = str(config.get("inputType") or "json")
        services["Consumer"] = WatchedFolder(setting, setting.path(str(watched)), form)
    return Module(name=setting.name, services=services)


def _retried(made: MessageHandler, retry: Retry) -> Any:
    """Return a receiver with further attempts of its own, before those of the broker."""

    async def receive(message: Message) -> Json:
        for pause in retry.delays():
            try:
                return await made.receive(message)
            except Exception:  # noqa: BLE001 - the last attempt raises
                await asyncio.sleep(pause)
        return await made.receive(message)

    return receive
