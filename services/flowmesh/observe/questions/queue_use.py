"""The use of a message queue: rates, publishers and consumers."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import orjson

from flowmesh.api.broker.v1 import broker_service_pb2 as broker_pb
from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as trigger_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.contract.nouns import counted
from flowmesh.errors import NotFound
from flowmesh.observe.questions.sums import Range, Sums
from flowmesh.tasktypes.builtin.publish import MESSAGE_PUBLISH

if TYPE_CHECKING:
    from flowmesh.api.broker.v1.broker_service_pb2_grpc import BrokerServiceAsyncStub
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceAsyncStub

WORKFLOWS_READ: Final = 200
TRIGGERS_READ: Final = 1_000
PLANS_AT_ONCE: Final = 20
PUBLISHED: Final = "messages_published_total"
CONSUMED: Final = "messages_consumed_total"
FAILED: Final = "messages_failed_total"


class QueueUse:
    """Reads bindings, triggers and the plans of workflows."""

    def __init__(
        self,
        *,
        sums: Sums,
        broker: "BrokerServiceAsyncStub",
        triggers: "TriggerServiceAsyncStub",
        definitions: "DefinitionServiceAsyncStub",
    ) -> None:
        self._sums = sums
        self._broker = broker
        self._triggers = triggers
        self._definitions = definitions

    async def of(self, namespace: str, queue: str, span: Range) -> pb.GetQueueUseResponse:
        """Return the use of a queue. Raises QUEUE_NOT_FOUND."""
        state = (
            await self._broker.GetQueue(broker_pb.GetQueueRequest(namespace=namespace, queue=queue))
        ).state
        bindings = (
            await self._broker.ListBindings(
                broker_pb.ListBindingsRequest(namespace=namespace, queue=queue)
            )
        ).bindings
        found = pb.GetQueueUseResponse(
            queue=queue,
            published=await self._rate(PUBLISHED, namespace, queue, span),
            consumed=await self._rate(CONSUMED, namespace, queue, span),
            failed=await self._rate(FAILED, namespace, queue, span),
            depth=state.depth,
            consumers=state.consumers,
        )
        for each in bindings:
            found.users.add(kind=figures.QUEUE_USER_KIND_EXCHANGE, name=each.source, part=each.key)
        sources = frozenset(each.source for each in bindings)
        await self._add_workflows(found, namespace, sources)
        found.text = sentence(found)
        return found

    async def _rate(self, metric: str, namespace: str, queue: str, span: Range) -> float:
        sums = await self._sums.of(metric, span, (), namespace=namespace, queue=queue)
        return sum(sums.values()) / span.seconds

    async def _add_workflows(
        self, found: pb.GetQueueUseResponse, namespace: str, sources: frozenset[str]
    ) -> None:
        listed = await self._definitions.ListWorkflows(
            definition_pb.ListWorkflowsRequest(namespace=namespace, page_size=WORKFLOWS_READ)
        )
        names = [each.workflow_id for each in listed.workflows]
        for start in range(0, len(names), PLANS_AT_ONCE):
            part = names[start : start + PLANS_AT_ONCE]
            plans = await asyncio.gather(*(self._plan(namespace, each) for each in part))
            for plan in plans:
                for key in published_keys(plan, found.queue, sources):
                    found.users.add(
                        kind=figures.QUEUE_USER_KIND_PUBLISHER, name=plan.workflow_id, part=key
                    )
        triggers = await self._triggers.ListTriggers(
            trigger_pb.ListTriggersRequest(namespace=namespace, page_size=TRIGGERS_READ)
        )
        for state in triggers.triggers:
            if state.trigger.queue.queue == found.queue:
                found.users.add(
                    kind=figures.QUEUE_USER_KIND_TRIGGER,
                    name=state.workflow_id,
                    part=state.trigger.id,
                )
        found.truncated = bool(listed.next_page_token or triggers.next_page_token)

    async def _plan(self, namespace: str, workflow: str) -> plan_pb2.Plan:
        try:
            answer = await self._definitions.GetPlan(
                definition_pb.GetPlanRequest(namespace=namespace, workflow_id=workflow)
            )
        except NotFound:
            # Deleted meanwhile.
            return plan_pb2.Plan()
        return answer.plan


def published_keys(plan: plan_pb2.Plan, queue: str, exchanges: frozenset[str]) -> Iterator[str]:
    """Yield the keys of the tasks of a plan that publish to a queue or one of the exchanges."""
    for spec in plan.specs:
        if spec.task_type == MESSAGE_PUBLISH.name and spec.config:
            config = orjson.loads(spec.config)
            exchange, key = config.get("exchange", ""), str(config.get("key", ""))
            is_found = exchange in exchanges if exchange else key == queue
            if is_found and "project" not in config:
                yield key


def sentence(use: pb.GetQueueUseResponse) -> str:
    """Return the answer."""

    def names(*kinds: figures.QueueUserKind.ValueType) -> str:
        return ", ".join(sorted({each.name for each in use.users if each.kind in kinds}))

    publishers = names(figures.QUEUE_USER_KIND_PUBLISHER, figures.QUEUE_USER_KIND_EXCHANGE)
    triggers = names(figures.QUEUE_USER_KIND_TRIGGER)
    return (
        f"{use.queue} gets {use.published:.2f} messages/s from {publishers or 'direct publishers'},"
        f" and {use.consumed:.2f} messages/s go to"
        f" {f'triggers of {triggers}' if triggers else 'no trigger'} and"
        f" {counted(use.consumers, 'open consumer')}; {counted(use.depth, 'message')} are in it"
    )
