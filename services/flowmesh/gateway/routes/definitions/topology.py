"""The services that a workflow calls, as spokes around the suite as the only hub."""

from collections.abc import Iterator, Sequence

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
from flowmesh.tasktypes.upstreams import system_of

HUB = "flowmesh"


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
        spec = plan.specs[node.spec]
        service = system_of(spec.task_type, orjson.loads(spec.config) if spec.config else {})
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
