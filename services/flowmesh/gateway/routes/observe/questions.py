"""Routes about questions that are answered in one sentence with the figures behind it."""

from typing import Literal

from msgspec import UNSET, UnsetType

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.http.operation_docs import ADMINISTER, TEST, Answer
from flowmesh.gateway.http.parameters import INSTANT, Query
from flowmesh.gateway.routes.rpc_route import rpc_route

_OBSERVE = "/api/v1/observe"


class SlownessPart(Value, kw_only=True):
    """A part of the executions: medians of completed ones, or means of commits."""

    kind: Literal["workflow", "task", "wait", "version", "database"]
    name: str
    before_ms: float
    after_ms: float
    before_count: int
    after_count: int


class SlownessExplained(Value, kw_only=True):
    """The executions since a time beside those of the same length of time before."""

    text: str
    differences: list[SlownessPart]
    before: Instant
    since: Instant
    until: Instant


class QueueUserValue(Value, kw_only=True):
    """An exchange with a binding, or a workflow that publishes or has a trigger."""

    kind: Literal["exchange", "publisher", "trigger"]
    name: str
    part: str | UnsetType = UNSET


class QueueUseValue(Value, kw_only=True):
    """The use of a queue; rates are messages a second."""

    queue: str
    text: str
    published: float
    consumed: float
    failed: float
    depth: int
    consumers: int
    users: list[QueueUserValue]
    truncated: bool


class ComparedWorkerValue(Value, kw_only=True):
    """A worker and its attempts of the time; `problem` tells why it is sick."""

    worker_id: str
    completed: int
    failed: int
    mean_ms: float
    attached: bool
    attached_at: Instant | UnsetType = UNSET
    running: int
    slots: int
    problem: str | UnsetType = UNSET


class WorkersCompared(Value, kw_only=True):
    """The workers of the namespace, the sick ones first."""

    text: str
    workers: list[ComparedWorkerValue]


class ServiceNodeValue(Value, kw_only=True):
    """A service; rates are calls a second."""

    service: str
    calls: float
    errors: float
    p95_ms: float


class ServiceCallsValue(Value, kw_only=True):
    """Kept calls between two services, attempts at a worker, messages to or from a queue, or
    requests to an application.

    Without a caller they are of clients, or of calls that are not kept.
    """

    kind: Literal["call", "worker", "queue", "consumers", "application"]
    caller: str | UnsetType = UNSET
    service: str
    namespace: str | UnsetType = UNSET
    calls: int
    errors: int
    mean_ms: float
    p95_ms: float


class ServiceMapValue(Value, kw_only=True):
    """Services with their rates, and calls between services, workers, queues and applications."""

    services: list[ServiceNodeValue]
    calls: list[ServiceCallsValue]
    truncated: bool


_RANGE = (
    Query("from", "Since this time; by default an hour ago.", INSTANT),
    Query("until", "Before this time; by default now.", INSTANT),
)
ROUTES = (
    rpc_route(
        "GET",
        f"{_OBSERVE}/slowness/{{workflow}}",
        pb.ExplainSlownessRequest,
        names={"workflow": "workflow_id"},
        tag=TEST,
        summary="Explain why a workflow is slow since a time",
        description="Compares it with the same length of time before.",
        query=(
            Query("since", "By default a day before the end.", INSTANT),
            Query("until", "By default now.", INSTANT),
        ),
        answers=(Answer(200, "A sentence, and the differences behind it.", SlownessExplained),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/queues/{{queue}}",
        pb.GetQueueUseRequest,
        tag=TEST,
        summary="Get who uses a message queue",
        query=_RANGE,
        answers=(Answer(200, "A sentence, rates, publishers and consumers.", QueueUseValue),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/workers",
        pb.CompareWorkersRequest,
        tag=TEST,
        summary="Compare workers with their peers",
        query=_RANGE,
        answers=(Answer(200, "A sentence, and the workers.", WorkersCompared),),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/map",
        pb.GetServiceMapRequest,
        tag=ADMINISTER,
        summary="Get the services of the suite with their rates and calls",
        description="For operators.",
        query=_RANGE,
        answers=(Answer(200, "Services, and calls with workers and queues.", ServiceMapValue),),
    ),
)
