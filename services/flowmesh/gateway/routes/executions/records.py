"""Records of the nodes of an execution, and its workflow context."""

import msgspec
from msgspec import Raw

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.history.v1 import (
    history_event_pb2,
    history_service_pb2,
    insight_service_pb2,
)
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Shape
from flowmesh.gateway.bodies.payloads import resolve_references
from flowmesh.gateway.bodies.progress import state_answer
from flowmesh.gateway.bodies.records import (
    NodeExecution,
    NodeRecords,
    WorkflowContext,
    context_of,
    records_of,
    shortened,
)
from flowmesh.gateway.http.limits import (
    CONTEXT_PAYLOAD_BYTES_MAX,
    CONTEXT_TASKS,
    CONTEXT_TASKS_MAX,
    HISTORY_PAGE_SIZE_MAX,
    TRACE_EVENTS_MAX,
)
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route
from flowmesh.gateway.http.parameters import FLAG, Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.executions.analyses import analysed


class _Inputs(Shape, kw_only=True):
    """The inputs of a report, with values as raw JSON."""

    inputs: dict[str, Raw]
    truncated: bool


async def get_nodes(backends: Backends, request: Request) -> Response:
    return json_response(await _records(backends, request, inputs=request.flag("inputs")))


async def get_node(backends: Backends, request: Request) -> Response:
    name = request.param("node")
    records = await _records(backends, request, name, inputs=True)
    return json_response(records.nodes[0])


async def get_context(backends: Backends, request: Request) -> Response:
    execution, events, truncated = await _with_history(backends, request)
    graph = await analysed(backends, request.namespace, execution)
    progress = state_answer(execution, graph)
    shown = shortened(execution, request.whole("limit", default=CONTEXT_TASKS))
    omitted = len(execution.nodes) - len(shown.nodes)
    shown = await resolve_references(backends, shown, CONTEXT_PAYLOAD_BYTES_MAX)
    records = records_of(shown, events, {}, truncated=truncated)
    return json_response(context_of(shown, records, progress, omitted))


async def _records(backends: Backends, request: Request, *nodes: str, inputs: bool) -> NodeRecords:
    execution, events, truncated = await _with_history(backends, request, *nodes)
    found = _Inputs(inputs={}, truncated=False)
    if inputs:
        call = insight_service_pb2.RenderInputsRequest(
            namespace=request.namespace, execution_id=execution.execution_id, nodes=nodes
        )
        rendered = await backends.insights.RenderInputs(call)
        found = msgspec.json.decode(rendered.report, type=_Inputs)
    execution = await resolve_references(backends, execution)
    truncated |= found.truncated
    return records_of(execution, events, found.inputs, truncated=truncated)


async def _with_history(
    backends: Backends, request: Request, node: str = ""
) -> tuple[execution_pb2.Execution, list[history_event_pb2.HistoryEvent], bool]:
    """Return an execution, its events up to a limit, and whether more follow."""
    namespace, execution_id = request.namespace, request.param("executionId")
    found = await backends.executions.GetExecution(
        pb.GetExecutionRequest(
            namespace=namespace, execution_id=execution_id, ended_items=True, node=node
        )
    )
    events: list[history_event_pb2.HistoryEvent] = []
    after = 0
    while len(events) < TRACE_EVENTS_MAX:
        page = await backends.histories.ListHistoryEvents(
            history_service_pb2.ListHistoryEventsRequest(
                namespace=namespace,
                execution_id=execution_id,
                after=after,
                page_size=HISTORY_PAGE_SIZE_MAX,
            )
        )
        events.extend(page.events)
        after = page.next_after
        if not after:
            break
    return found.execution, events, found.truncated or bool(after)


ROUTES = (
    Route(
        "GET",
        "/api/v1/executions/{executionId}/nodes",
        get_nodes,
        Operation(
            tag=TEST,
            summary="Get the records of all nodes with their attempts",
            description="`nodes` and `nodeResults` are two shapes of the same records. Nodes of"
            " ended items are included, up to 12,000 nodes in all.",
            query=(Query("inputs", "Include the inputs.", FLAG),),
            answers=(Answer(200, "The records; also of a running execution.", NodeRecords),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions/{executionId}/nodes/{node}",
        get_node,
        Operation(
            tag=TEST,
            summary="Get the record of a node with its input",
            description="The input is that of the last attempt, rendered from the committed state."
            " A node of an item is named with its container, such as `each[3]/charge`, also when"
            " the item has ended; percent-encode it in the path: `each%5B3%5D%2Fcharge`.",
            answers=(Answer(200, "The records; also of a running execution.", NodeExecution),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions/{executionId}/context",
        get_context,
        Operation(
            tag=TEST,
            summary="Get an execution as a workflow context",
            description="Values above 128 KiB in all are references; `…/payloads/{digest}` returns"
            " them. `…/nodes` lists more tasks of items.",
            query=(
                Query(
                    "limit",
                    "Maximum number of tasks of items: failed and slowest first (default: 200).",
                    whole(CONTEXT_TASKS_MAX),
                ),
            ),
            answers=(Answer(200, "The records; also of a running execution.", WorkflowContext),),
            errors=(404,),
        ),
    ),
)
