"""All workflows of a namespace as one picture: their tasks, edges and services."""

import asyncio
from contextlib import suppress

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_pb2, plan_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.definitions.topology import topology_of

PAGE = 100
TASKS_MAX = 500
_CALLS_AT_ONCE = 8


class MapTask(answers.Answer, kw_only=True):
    """A task; `type` is empty for a node of the engine, such as a wait or a map."""

    id: str
    type: str
    service: str | UnsetType = UNSET


class MapWorkflow(answers.Answer, kw_only=True):
    """A workflow; `edges` are pairs of places in `tasks`. `tasksCapped` if there are more."""

    workflow: str
    title: str | UnsetType = UNSET
    version: int
    tasks: list[MapTask]
    edges: list[list[int]]
    services: list[str]
    tasks_capped: bool
    labels: dict[str, str]


class WorkflowMap(answers.Answer, kw_only=True):
    """Workflows, sorted by name, each in its newest version."""

    workflows: list[MapWorkflow]
    next_page_token: str


async def map_workflows(backends: Backends, request: Request) -> Response:
    namespace = request.namespace
    listed = await backends.definitions.ListWorkflows(
        pb.ListWorkflowsRequest(
            namespace=namespace,
            page_size=min(request.whole("pageSize") or PAGE, PAGE),
            page_token=request.text("pageToken"),
        )
    )
    slots = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def mapped(workflow: definition_pb2.Workflow) -> MapWorkflow | None:
        """Return a workflow; None if it was deleted since it was listed."""
        call = pb.GetPlanRequest(namespace=namespace, workflow_id=workflow.workflow_id)
        async with slots:
            with suppress(NotFound):
                plan = (await backends.definitions.GetPlan(call)).plan
                return _mapped(plan, dict(workflow.labels))
        return None

    found = await asyncio.gather(*map(mapped, listed.workflows))
    return json_response(
        WorkflowMap(
            workflows=[each for each in found if each is not None],
            next_page_token=listed.next_page_token,
        )
    )


def _mapped(plan: plan_pb2.Plan, labels: dict[str, str]) -> MapWorkflow:
    topology = topology_of(plan)
    service_of = {task: spoke.service for spoke in topology.spokes for task in spoke.tasks}
    nodes = plan.nodes[:TASKS_MAX]
    return MapWorkflow(
        workflow=plan.workflow_id,
        title=plan.name or UNSET,
        version=plan.version,
        tasks=[
            MapTask(
                id=node.id,
                type=plan.specs[node.spec].task_type
                if node.kind == plan_pb2.NODE_KIND_TASK
                else "",
                service=service_of.get(node.id, UNSET),
            )
            for node in nodes
        ],
        edges=[
            [source, place]
            for place, node in enumerate(nodes)
            for source in node.dependencies
            if source < TASKS_MAX
        ],
        services=[spoke.service for spoke in topology.spokes],
        tasks_capped=len(plan.nodes) > TASKS_MAX,
        labels=labels,
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/workflows:map",
        map_workflows,
        Operation(
            tag=TEST,
            summary="Get the tasks, edges and services of all workflows",
            query=PAGING,
            answers=(Answer(200, "A page of at most 100 workflows.", WorkflowMap),),
        ),
    ),
)
