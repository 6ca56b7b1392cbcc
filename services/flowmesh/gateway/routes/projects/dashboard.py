"""Numbers of a dashboard: counts, rates, errors and resources of a namespace."""

from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from flowmesh.access import current
from flowmesh.access.roles import READ
from flowmesh.api.execution.v1 import execution_service_pb2, limits_service_pb2
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.registry.v1 import registry_service_pb2
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.projects.within import API, PROJECT, in_project
from flowmesh.views import instant

HOURS_DEFAULT, HOURS_MAX = 24, 720
_ERRORS_MAX = 10


class RatesValue(answers.Answer, kw_only=True):
    """Starts per minute, and the share of completed ones in those that completed or failed."""

    started_per_minute: float
    success: float | UnsetType = UNSET


class ErrorCount(answers.Answer, kw_only=True):
    """Failed executions of a workflow with a class of failure."""

    workflow: str
    error_class: str
    count: int


class WorkflowNumbers(answers.Answer, kw_only=True):
    """Numbers of a workflow since the start of each orchestrator."""

    workflow: str
    started: int
    completed: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class QueuesValue(answers.Answer, kw_only=True):
    """Tasks in all queues, and slots of their workers."""

    waiting: int
    running: int
    free_slots: int
    without_worker: int
    oldest_ms: int


class ProcessValue(answers.Answer, kw_only=True):
    """Resources of the process that serves the request, as in its `/metrics`."""

    memory_bytes: int
    cpu_seconds: float
    open_files: int


class ResourcesValue(answers.Answer, kw_only=True):
    """Queues, instances by health, and the process for members of the installation."""

    queues: QueuesValue
    instances: dict[str, int]
    process: ProcessValue | UnsetType = UNSET


class DashboardAnswer(answers.Answer, kw_only=True):
    """Executions that started in the last `hours`, by status, with rates and errors.

    `active` are the executions of any age that have not ended.
    """

    at: answers.Instant
    hours: int
    executions: dict[str, int]
    active: dict[str, int]
    rates: RatesValue
    errors: list[ErrorCount]
    workflows: list[WorkflowNumbers]
    resources: ResourcesValue
    unreachable: list[str]


async def get_dashboard(backends: Backends, request: Request) -> Response:
    hours = request.whole("hours", default=HOURS_DEFAULT)
    recent = f'started > "-{hours}h"'
    counted = await _by_status(backends, request, recent)
    stats = await backends.executions.GetStats(
        execution_service_pb2.GetStatsRequest(namespace=request.namespace)
    )
    answer = DashboardAnswer(
        at=instant(backends.clock.now_us()),
        hours=hours,
        executions=counted,
        active=await _by_status(backends, request, "ended = null"),
        rates=_rates(counted, hours),
        errors=await _errors(backends, request, f"status = failed AND {recent}"),
        workflows=[
            WorkflowNumbers(
                workflow=each.workflow_id,
                started=each.started,
                completed=each.completed,
                failed=each.failed,
                p50_ms=each.latency.p50_ms,
                p95_ms=each.latency.p95_ms,
                p99_ms=each.latency.p99_ms,
            )
            for each in stats.workflows
        ],
        resources=await _resources(backends, request),
        unreachable=list(stats.unreachable),
    )
    return json_response(answer)


async def _by_status(backends: Backends, request: Request, filter: str) -> dict[str, int]:
    found = await backends.searches.CountExecutions(
        search_pb.CountExecutionsRequest(
            namespace=request.namespace, filter=filter, group_by=["status"]
        )
    )
    return {group.values[0]: group.count for group in found.groups}


async def _errors(backends: Backends, request: Request, filter: str) -> list[ErrorCount]:
    found = await backends.searches.CountExecutions(
        search_pb.CountExecutionsRequest(
            namespace=request.namespace, filter=filter, group_by=["workflow", "error.class"]
        )
    )
    return [
        ErrorCount(workflow=group.values[0], error_class=group.values[1], count=group.count)
        for group in found.groups[:_ERRORS_MAX]
    ]


def _rates(counted: Mapping[str, int], hours: int) -> RatesValue:
    completed, failed = counted.get("completed", 0), counted.get("failed", 0)
    ended = completed + failed
    return RatesValue(
        started_per_minute=sum(counted.values()) / (hours * 60),
        success=completed / ended if ended else UNSET,
    )


async def _resources(backends: Backends, request: Request) -> ResourcesValue:
    queues = (
        await backends.limits.ListQueues(
            limits_service_pb2.ListQueuesRequest(namespace=request.namespace)
        )
    ).queues
    listed = await backends.registry.ListInstances(
        registry_service_pb2.ListInstancesRequest(namespace=request.namespace)
    )
    instances: dict[str, int] = {}
    for instance in listed.instances:
        name = registry_service_pb2.InstanceStatus.Name(instance.status)
        word = name.removeprefix("INSTANCE_STATUS_").lower()
        instances[word] = instances.get(word, 0) + 1
    return ResourcesValue(
        queues=QueuesValue(
            waiting=sum(each.ready for each in queues),
            running=sum(each.running for each in queues),
            free_slots=sum(each.credit for each in queues),
            without_worker=sum(each.ready for each in queues if not each.worker_sets),
            oldest_ms=max((each.oldest_ms for each in queues), default=0),
        ),
        instances=instances,
        process=_process(backends),
    )


def _process(backends: Backends) -> ProcessValue | UnsetType:
    """Return the use of this process, which all tenants share, to members of the installation."""
    caller = current()
    if caller is not None and not caller.everywhere & READ:
        return UNSET
    read = backends.metrics.registry.get_sample_value
    return ProcessValue(
        memory_bytes=int(read("process_resident_memory_bytes") or 0),
        cpu_seconds=read("process_cpu_seconds_total") or 0.0,
        open_files=int(read("process_open_fds") or 0),
    )


_DASHBOARD = Operation(
    tag=TEST,
    summary="Get counts, rates, errors and resources",
    query=(
        Query(
            "hours",
            "The time range before now.",
            whole(HOURS_MAX, least=1, default=HOURS_DEFAULT),
        ),
    ),
    answers=(Answer(200, "The numbers of the namespace.", DashboardAnswer),),
)
ROUTES = (
    Route("GET", f"{API}/dashboard", get_dashboard, _DASHBOARD),
    Route(
        "GET", f"{PROJECT}/dashboard", in_project(get_dashboard), _DASHBOARD, "getProjectDashboard"
    ),
)
