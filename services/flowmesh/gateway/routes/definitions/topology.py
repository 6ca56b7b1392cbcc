"""The services that a workflow calls, as spokes around the suite as the only hub."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import orjson

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import version_choice
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Operation, Route
from flowmesh.gateway.http.parameters import VERSION, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.tasktypes import TASK_TYPES

HUB = "flowmesh"
COMPUTED = "(computed)"


class Spoke(answers.Answer, kw_only=True):
    """A service, and the tasks that call it or run on its workers."""

    service: str
    tasks: list[str]


class TopologyAnswer(answers.Answer, kw_only=True):
    """The hub, its spokes, and one connection per spoke."""

    workflow: str
    version: int
    hub: str
    spokes: list[Spoke]
    connections: list[list[str]]


async def topology(backends: Backends, request: Request) -> Response:
    found = await backends.definitions.GetPlan(
        pb.GetPlanRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            **version_choice(request.text("version")),
        )
    )
    return json_response(topology_of(found.plan))


def topology_of(plan: plan_pb2.Plan) -> TopologyAnswer:
    """Return the topology of a plan, including its bodies."""
    spokes: dict[str, list[str]] = {}
    for node in _tasks(plan.nodes):
        service = _service(plan.specs[node.spec])
        if service:
            spokes.setdefault(service, []).append(node.id)
    return TopologyAnswer(
        workflow=plan.workflow_id,
        version=plan.version,
        hub=HUB,
        spokes=[Spoke(service=name, tasks=tasks) for name, tasks in sorted(spokes.items())],
        connections=[[HUB, name] for name in sorted(spokes)],
    )


def _tasks(nodes: Sequence[plan_pb2.PlanNode]) -> Iterator[plan_pb2.PlanNode]:
    for node in nodes:
        if node.kind == plan_pb2.NODE_KIND_TASK:
            yield node
        for body in (node.map.nodes, node.group.nodes, node.states.nodes):
            yield from _tasks(body)


def _service(spec: plan_pb2.TaskSpec) -> str:
    """Return the service that the task calls or whose workers run it; empty for the suite."""
    task_type = TASK_TYPES.get(spec.task_type)
    if task_type is None:
        return f"workers of {spec.task_type}"
    upstream = task_type.upstream
    if upstream is None:
        return ""
    config = orjson.loads(spec.config) if spec.config else {}
    if service := str(config.get("service") or ""):
        return COMPUTED if "{{" in service else f"service:{service}"
    address = str(config.get(upstream.parameter) or "")
    match upstream.kind:
        case "url":
            return _origin(address)
        case "target":
            return COMPUTED if "{{" in address else f"grpc://{address}"
        case "database":
            return f"db:{address}"
        case "subscribers":
            return "subscribers"


def _origin(url: str) -> str:
    origin = urlsplit(url)
    if "{{" in url.partition("/")[0] or "{{" in origin.netloc or not origin.netloc:
        return COMPUTED
    return f"{origin.scheme}://{origin.netloc}"


ROUTES = (
    Route(
        "GET",
        "/api/v1/workflows/{name}/topology",
        topology,
        Operation(
            tag=MANAGE,
            summary="Get the services that a workflow calls",
            query=(
                Query("version", "The version by number or label (default: the newest).", VERSION),
            ),
            answers=(Answer(200, "The topology.", TopologyAnswer),),
            errors=(404,),
        ),
    ),
)
