"""Subscriptions of an application: messaging workflows, handlers with a topic, event triggers."""

from collections.abc import Mapping

from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, PipelineSpec, TriggerSpec, WorkflowSpec
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.event_bus import event_of
from flowmesh.apps.messaging.messages import Message, Subscribed, check_topic, fits
from flowmesh.apps.pipeline.starting import PIPELINE, run_with
from flowmesh.apps.pipeline.tracing import TRACING
from flowmesh.apps.runtime.patterns import EVENT_PROCESSOR, EventProcessor
from flowmesh.apps.runtime.receivers import (
    PRODUCER,
    Producer,
    Receive,
    emitting,
    receiver_of,
    topics_of,
)
from flowmesh.apps.runtime.triggers import BACKGROUND
from flowmesh.apps.wiring.plan import Plan
from flowmesh.apps.wiring.ports import (
    BROKER,
    DURABLE_WORKFLOW,
    EMITTING,
    EVENT_BUS,
    RECEIVER,
    SUBSCRIBED_TOPICS,
    WORKFLOW,
)
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json

_WORKFLOW_KEYS = ("broker", "subscriptions", "producers", "name", "description")
CONCURRENCY_MAX = 1_000


class Subscriptions:
    """Collects the subscriptions and producers of one application."""

    def __init__(self, *, document: AppDocument, plan: Plan, registry: ServiceRegistry) -> None:
        self._document = document
        self._findings = document.findings
        self._plan = plan
        self._registry = registry
        self._names: set[str] = set()
        self._subscribed: set[str] = set()
        # The patterns of all subscriptions by broker.
        self._topics: dict[str, list[str]] = {}
        registry.put(SUBSCRIBED_TOPICS, "", self._topics)

    def add_all(self) -> None:
        """Subscribe everything; problems become findings."""
        workflows = [each for each in self._document.workflows if each.kind == "messaging"]
        for workflow in workflows:
            self._producers(workflow)
        for workflow in workflows:
            self._workflow(workflow)
        for module in self._document.modules:
            topic = module.config.get("topic")
            takes = self._registry.get(RECEIVER, module.name) is not None
            if topic and takes and module.name not in self._subscribed:
                broker = self._plan.partners.get(module.name, {}).get("Broker", "")
                at = module.at / "config" / "topic"
                self._subscribe(broker, str(topic), module.name, {}, at)
        for trigger in self._document.triggers:
            if trigger.kind in ("event", "eventbus"):
                self._trigger(trigger)
        for pipeline in self._document.pipelines:
            if pipeline.trigger.get("type") in ("event", "eventbus"):
                self._pipeline(pipeline)
        for workflow in self._document.workflows:
            processor = self._registry.get(EVENT_PROCESSOR, str(workflow.at.keys))
            if workflow.kind == "event" and processor is not None:
                self._events(workflow, processor)
        for module in self._document.modules:
            receive = self._receiver(module.name)
            if receive is not None:
                self._registry.put(EMITTING, module.name, receive)
        self._report_unheard()

    def _report_unheard(self) -> None:
        """Warn of topics of brokers in memory without a subscription; links may add others."""
        if self._document.links:
            return
        offering = list(self._registry.of_modules(BROKER))
        in_memory = {
            each.name
            for each in self._document.modules
            if each.type == "messaging.broker" and each.config.get("engine", "memory") == "memory"
        }
        for pipeline in self._document.all_pipelines():
            for step in (*pipeline.steps, *pipeline.compensation):
                topic = str(step.config.get("topic") or "")
                if step.type != "step.publish" or not topic or "{{" in topic:
                    continue
                broker = str(step.config.get("broker") or "".join(offering[:1]))
                heard = any(fits(each, topic) for each in self._topics.get(broker, ()))
                if broker in in_memory and not heard:
                    message = f"no subscription takes the topic {topic!r}; messages are dropped"
                    self._findings.warn("TOPIC_UNHEARD", message, step.at / "config" / "topic")

    def _producers(self, workflow: WorkflowSpec) -> None:
        for index, raw in enumerate(_objects(workflow.config.get("producers"))):
            at = workflow.at / "producers" / index
            name = str(raw.get("name") or "")
            if self._document.module(name) is None:
                self._findings.error("SERVICE_UNKNOWN", f"there is no module {name!r}", at)
                continue
            listed = raw.get("forwardTo") or ([raw["topic"]] if raw.get("topic") else [])
            results, errors = topics_of(listed if isinstance(listed, list) else [listed])
            for topic in (*results, *errors):
                self._checked(topic, at)
            broker = str(workflow.config.get("broker") or raw.get("broker") or "")
            find = self._registry.later(BROKER, self._broker(broker, at))
            self._registry.put(PRODUCER, name, Producer(find, results, errors))

    def _workflow(self, workflow: WorkflowSpec) -> None:
        for key in workflow.config:
            if key not in _WORKFLOW_KEYS:
                known = ", ".join(_WORKFLOW_KEYS[:3])
                message = f"a messaging workflow has {known}, not {key!r}"
                self._findings.warn("APP_KEY_UNKNOWN", message, workflow.at / key, at_key=True)
        broker = str(workflow.config.get("broker") or "")
        for index, raw in enumerate(_objects(workflow.config.get("subscriptions"))):
            at = workflow.at / "subscriptions" / index
            topic, handler = str(raw.get("topic") or ""), str(raw.get("handler") or "")
            if not topic or not handler:
                message = "a subscription needs a topic and a handler"
                self._findings.error("APP_INVALID", message, at)
                continue
            self._subscribed.add(handler)
            config = raw.get("config")
            given = config if isinstance(config, dict) else {}
            self._subscribe(str(raw.get("broker") or broker), topic, handler, given, at)

    def _subscribe(
        self, broker: str, topic: str, handler: str, config: Mapping[str, Json], at: SourcePath
    ) -> None:
        receive = self._receiver(handler)
        if receive is None:
            known = self._document.module(handler) is not None
            why = "handles no messages" if known else "is no module or pipeline"
            message = f"the handler {handler!r} {why}; its messages are counted as failed"
            self._findings.warn("HANDLER_UNRESOLVED", message, at / "handler")
            receive = _missing(handler)
        module = self._document.module(handler)
        found = config.get("concurrency") or (module and module.config.get("concurrency")) or 1
        concurrency = int(found) if isinstance(found, int | float) else 1
        self._add(broker, topic, handler, receive, at, min(concurrency, CONCURRENCY_MAX))

    def _add(
        self,
        broker: str,
        topic: str,
        name: str,
        receive: Receive,
        at: SourcePath,
        concurrency: int = 1,
    ) -> None:
        named = self._broker(broker, at)
        found = self._registry.get(BROKER, named)
        if found is None:
            return
        traces = self._registry.get(TRACING)
        if traces is not None:
            receive = traces.receiver(receive)
        unique = f"{name}-{topic}".replace("*", "any").replace(">", "all")
        while unique in self._names:
            unique += "-2"
        self._names.add(unique)
        # Configurations in use mean every topic by a lone asterisk.
        pattern = ">" if topic == "*" else topic
        try:
            found.subscribe(Subscribed(pattern, unique, receive, concurrency))
            self._topics.setdefault(named, []).append(pattern)
        except HttpProblem as error:
            self._findings.error("APP_CONFIG_INVALID", error.detail, at)

    def _broker(self, name: str, at: SourcePath) -> str:
        """Return the broker of a name, or the only one; report why there is none."""
        offering = list(self._registry.of_modules(BROKER))
        if name in offering:
            return name
        if name:
            known = ", ".join(offering) or "none"
            message = f"there is no module {name!r} that offers Broker; known: {known}"
            self._findings.error("SERVICE_UNKNOWN", message, at)
        elif len(offering) > 1:
            message = f"several modules offer Broker: {', '.join(offering)}; name one with broker"
            self._findings.error("WIRING_AMBIGUOUS", message, at)
        elif not offering:
            message = "this needs a module that offers Broker, such as messaging.broker"
            self._findings.error("WIRING_MISSING", message, at)
        return offering[0] if len(offering) == 1 else ""

    def _bus(self, config: Mapping[str, Json], at: SourcePath) -> str:
        """Return the broker of an eventbus trigger: the event bus, if there is one."""
        if config.get("broker"):
            return str(config["broker"])
        buses = list(self._registry.of_modules(EVENT_BUS))
        return buses[0] if len(buses) == 1 else self._broker("", at)

    def _trigger(self, trigger: TriggerSpec) -> None:
        config = trigger.config
        topic = str(config.get("topic") or "")
        if not topic:
            self._findings.error("APP_INVALID", "an event trigger needs a topic", trigger.at)
            return
        given = str(config.get("broker") or "")
        broker = self._bus(config, trigger.at) if trigger.kind == "eventbus" else given
        name = f"trigger-{trigger.workflow}-{trigger.action}".rstrip("-")
        receive = _starting(trigger, self._registry)
        self._add(broker, topic, name, _filtered(config.get("event"), receive), trigger.at)

    def _pipeline(self, pipeline: PipelineSpec) -> None:
        raw = pipeline.trigger.get("config")
        config = raw if isinstance(raw, dict) else {}
        at = pipeline.at / "trigger"
        topic = str(config.get("topic") or "")
        if not topic:
            self._findings.error("APP_INVALID", "an event trigger needs a topic", at)
            return
        given = str(config.get("broker") or "")
        broker = self._bus(config, at) if pipeline.trigger["type"] == "eventbus" else given
        find = self._registry.later(PIPELINE, pipeline.name)

        async def receive(message: Message) -> Json:
            meta = {"topic": message.topic, "messageId": message.id}
            return await run_with(find(), message.value, meta)

        filtered = _filtered(config.get("event"), receive)
        self._add(broker, topic, f"pipeline-{pipeline.name}", filtered, at)

    def _events(self, workflow: WorkflowSpec, processor: EventProcessor) -> None:
        """Feed patterns with the topics of adapters; without one, with those of their types."""
        adapters = _objects(workflow.config.get("adapters"))
        topics: list[tuple[str, str, SourcePath]] = []
        for index, raw in enumerate(adapters):
            at = workflow.at / "adapters" / index
            listed = raw.get("topics") or raw.get("eventTypes") or [raw.get("topic") or ">"]
            broker = str(raw.get("broker") or "")
            topics += [(broker, str(each), at) for each in listed]
        if not adapters and self._registry.names(BROKER):
            broker = str(workflow.config.get("broker") or "")
            topics = [(broker, each, workflow.at) for each in sorted(processor.types)]

        async def receive(message: Message) -> Json:
            return await processor.receive(message, event_of(message) or message.topic)

        for broker, topic, at in topics:
            self._add(broker, topic, f"events-{topic}", receive, at)

    def _receiver(self, name: str) -> Receive | None:
        receive = receiver_of(name, self._registry)
        producer: Producer | None = self._registry.get(PRODUCER, name)
        return emitting(receive, producer) if receive and producer else receive

    def _checked(self, topic: str, at: SourcePath) -> None:
        try:
            check_topic(topic)
        except HttpProblem as error:
            self._findings.error("APP_CONFIG_INVALID", error.detail, at)


def _filtered(event: Json, receive: Receive) -> Receive:
    """Return a receiver of one type of events; a message without a type is taken."""
    if not isinstance(event, str) or not event:
        return receive

    async def call(message: Message) -> Json:
        found = event_of(message)
        return await receive(message) if not found or fits(event, found) else None

    return call


def _starting(trigger: TriggerSpec, registry: ServiceRegistry) -> Receive:
    """Return the receiver that starts the action of a trigger."""
    params = trigger.config.get("params")
    later = trigger.config.get("async") is True

    async def start(message: Message) -> Json:
        workflow = registry.get(WORKFLOW, trigger.workflow)
        if workflow is None:
            raise HttpProblem(501, "NOT_IMPLEMENTED", f"there is no workflow {trigger.workflow!r}")
        value = message.value
        data = dict(value) if isinstance(value, dict) else {"input": value}
        data |= params if isinstance(params, dict) else {}
        durable = registry.get(DURABLE_WORKFLOW, trigger.workflow)
        if durable is not None:
            return {"executionId": (await durable.begin(trigger, data, message.id)).id}
        if later:
            return registry.need(BACKGROUND).start(workflow, trigger.workflow, trigger.action, data)
        return await workflow.start(trigger.action, data)

    return start


def _missing(name: str) -> Receive:
    async def receive(_message: Message) -> Json:
        raise HttpProblem(501, "NOT_IMPLEMENTED", f"there is no handler {name!r}")

    return receive


def _objects(raw: Json) -> list[dict[str, Json]]:
    return [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []
