"""Actions on nodes, approvals, variables, breakpoints and reruns of executions."""

from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.errors import WrongState
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import control_answers as answers
from flowmesh.gateway.bodies.envelopes import (
    BreakpointsRequest,
    DecisionRequest,
    RerunRequest,
    SteerRequest,
    VariableRequest,
)
from flowmesh.gateway.bodies.payloads import payload_of
from flowmesh.gateway.http.ids import checked_text
from flowmesh.gateway.http.operation_docs import EXECUTE, Answer, Body, Endpoint, Operation, Route
from flowmesh.gateway.http.parameters import Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
    PAGING,
    actor_of,
    json_response,
    request_id_of,
    wrong_state,
)
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import reader

_ACTIONS = {
    "retry": "Retry a failed node, or restart a map or loop",
    "skip": "Skip a node; its successors continue",
    "complete": "Complete a node manually",
    "override": "Replace the output of a node before its successors use it",
    "continue": "Start a node that has stopped at a breakpoint",
    "fail": "Fail a held node",
}


async def _payload_or_none(
    backends: Backends, namespace: str, field: str, value: Any
) -> payload_pb2.Payload | None:
    return None if value is UNSET else await payload_of(backends, namespace, field, value)


def _node_action(action: str) -> Endpoint:
    async def act(backends: Backends, request: Request) -> Response:
        namespace, execution_id = request.namespace, request.param("executionId")
        envelope = await request.envelope(SteerRequest)
        call = pb.SteerNodeRequest(
            namespace=namespace,
            execution_id=execution_id,
            node=request.param("node"),
            action=execution_pb2.NodeAction.Value(f"NODE_ACTION_{action.upper()}"),
            input=await _payload_or_none(backends, namespace, "input", envelope.input),
            output=await _payload_or_none(backends, namespace, "output", envelope.output),
            reason=checked_text("reason", envelope.reason),
            request_id=request_id_of(request, envelope.request_id),
            actor=actor_of(request),
        )
        try:
            response = await backends.control.SteerNode(call)
        except WrongState as error:
            return await wrong_state(backends, namespace, execution_id, error)
        return json_response(
            answers.Steered(execution_id=execution_id, sequence=response.sequence),
            HTTPStatus.ACCEPTED,
        )

    return act


async def decide_approval(backends: Backends, request: Request) -> Response:
    namespace, execution_id = request.namespace, request.param("executionId")
    envelope = await request.envelope(DecisionRequest)
    call = pb.DecideApprovalRequest(
        namespace=namespace,
        execution_id=execution_id,
        node=request.param("node"),
        by=checked_text("by", envelope.by) or actor_of(request),
        approved=envelope.approved,
        comment=checked_text("comment", envelope.comment),
        form=await _payload_or_none(backends, namespace, "form", envelope.form),
        request_id=request_id_of(request, envelope.request_id),
        actor=actor_of(request),
    )
    try:
        response = await backends.control.DecideApproval(call)
    except WrongState as error:
        return await wrong_state(backends, namespace, execution_id, error)
    outcome: Any = response.outcome or UNSET
    return json_response(
        answers.Decided(execution_id=execution_id, sequence=response.sequence, outcome=outcome),
        HTTPStatus.ACCEPTED,
    )


_rerun_node = reader(answers.RerunNode, pb.RerunNode)


async def rerun(backends: Backends, request: Request) -> Response:
    namespace, execution_id = request.namespace, request.param("executionId")
    envelope = await request.envelope(RerunRequest)
    call = pb.RerunExecutionRequest(
        namespace=namespace,
        execution_id=execution_id,
        from_nodes=envelope.from_nodes,
        from_failed=envelope.from_failed,
        input=await _payload_or_none(backends, namespace, "input", envelope.input),
        node_inputs={
            name: await payload_of(backends, namespace, f"nodeInputs.{name}", value)
            for name, value in envelope.node_inputs.items()
        },
        newest_version=envelope.newest_version,
        reason=checked_text("reason", envelope.reason),
        request_id=request_id_of(request, envelope.request_id),
        actor=actor_of(request),
    )
    try:
        planned = await backends.control.PlanRerun(
            pb.PlanRerunRequest(
                namespace=namespace,
                execution_id=execution_id,
                from_nodes=envelope.from_nodes,
                from_failed=envelope.from_failed,
                newest_version=envelope.newest_version,
            )
        )
        started = None if envelope.dry_run else await backends.control.RerunExecution(call)
    except WrongState as error:
        return await wrong_state(backends, namespace, execution_id, error)
    answer = answers.Rerun(
        execution_id=started.execution_id if started is not None else UNSET,
        rerun_of=execution_id,
        version=planned.workflow_version,
        repeated_effects=planned.repeated_effects,
        nodes=[_rerun_node(node) for node in planned.nodes],
    )
    return json_response(answer, HTTPStatus.OK if started is None else HTTPStatus.ACCEPTED)


_ERRORS = (400, 404, 409, 413, 415, 429)
_HEADERS = (IDEMPOTENCY_KEY, ACTOR)
_RERUNS = {
    "rerun": "Rerun an ended execution: all of it, from some nodes, or from the failed ones",
    "replay": "Alias of `:rerun`",
}
ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/approvals",
        pb.ListApprovalsRequest,
        tag=EXECUTE,
        summary="List pending approvals, oldest first",
        query=(Query("assignee", "Only approvals that this assignee can decide."), *PAGING),
        answers=(Answer(200, "A page of approvals.", answers.ApprovalList),),
        errors=(400,),
    ),
    *(
        Route(
            "POST",
            f"/api/v1/executions/{{executionId}}/nodes/{{node}}:{action}",
            _node_action(action),
            Operation(
                tag=EXECUTE,
                summary=summary,
                body=Body(SteerRequest, required=False),
                headers=_HEADERS,
                answers=(Answer(202, "The action is in the history.", answers.Steered),),
                errors=_ERRORS,
            ),
            alias=f"{action}Node",
        )
        for action, summary in _ACTIONS.items()
    ),
    Route(
        "POST",
        "/api/v1/executions/{executionId}/nodes/{node}:decide",
        decide_approval,
        Operation(
            tag=EXECUTE,
            summary="Approve or reject a task",
            body=Body(DecisionRequest),
            headers=_HEADERS,
            answers=(Answer(202, "The action is in the history.", answers.Decided),),
            errors=_ERRORS,
        ),
    ),
    rpc_route(
        "PUT",
        "/api/v1/executions/{executionId}/variables/{variable}",
        pb.SetVariableRequest,
        names={"variable": "name"},
        stateful=True,
        tag=EXECUTE,
        summary="Change a variable of an execution",
        body=Body(VariableRequest),
        headers=_HEADERS,
        answers=(Answer(202, "Attempts that start from now on use it.", answers.Steered),),
        errors=_ERRORS,
    ),
    rpc_route(
        "PUT",
        "/api/v1/executions/{executionId}/breakpoints",
        pb.SetBreakpointsRequest,
        stateful=True,
        tag=EXECUTE,
        summary="Set the breakpoints of an execution",
        body=Body(BreakpointsRequest),
        headers=_HEADERS,
        answers=(Answer(202, "The breakpoints apply from now on.", answers.Steered),),
        errors=_ERRORS,
    ),
    *(
        Route(
            "POST",
            f"/api/v1/executions/{{executionId}}:{name}",
            rerun,
            Operation(
                tag=EXECUTE,
                summary=summary,
                body=Body(RerunRequest, required=False),
                headers=_HEADERS,
                answers=(
                    Answer(200, "The plan, for `dryRun`.", answers.Rerun),
                    Answer(202, "A new execution is started.", answers.Rerun),
                ),
                errors=_ERRORS,
            ),
            alias=name,
        )
        for name, summary in _RERUNS.items()
    ),
)
