"""All questions, with the stores and services that answer them."""

from dataclasses import dataclass

from flowmesh.api.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceStub
from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceStub
from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceStub
from flowmesh.observe.questions.queue_use import QueueUse
from flowmesh.observe.questions.service_map import ServiceMap
from flowmesh.observe.questions.slowness import Slowness
from flowmesh.observe.questions.sums import Sums
from flowmesh.observe.questions.workers import Workers
from flowmesh.observe.store import SignalStore
from flowmesh.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Questions:
    """One object for each question."""

    slowness: Slowness
    queues: QueueUse
    workers: Workers
    services: ServiceMap


def questions_of(runtime: Runtime, store: SignalStore) -> Questions:
    """Return the questions of a process, which asks other services in the name of its caller."""
    sums = Sums(store)
    definitions = runtime.stub(DefinitionServiceStub, "definition")
    return Questions(
        slowness=Slowness(
            sums=sums,
            definitions=definitions,
            executions=runtime.stub(ExecutionServiceStub, "orchestrator"),
            searches=runtime.stub(SearchServiceStub, "orchestrator"),
            insights=runtime.stub(InsightServiceStub, "orchestrator"),
        ),
        queues=QueueUse(
            sums=sums,
            broker=runtime.stub(BrokerServiceStub, "event"),
            triggers=runtime.stub(TriggerServiceStub, "event"),
            definitions=definitions,
        ),
        workers=Workers(sums=sums, limits=runtime.stub(LimitServiceStub, "orchestrator")),
        services=ServiceMap(store=store, sums=sums),
    )
