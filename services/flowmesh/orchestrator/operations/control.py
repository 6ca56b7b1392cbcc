"""Control of single nodes, and reruns of ended executions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    Breakpoints,
    Decide,
    NodeState,
    Repeat,
    SetVariable,
    Start,
    State,
    Steer,
    failed_nodes,
    outcome_of,
    plan_rerun,
)
from flowmesh.errors import Invalid, NotFound, TooLarge, Violation, WrongState
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.model.commands import PendingStart, Started
from flowmesh.orchestrator.model.errors import node_not_found
from flowmesh.orchestrator.model.messages import status_name
from flowmesh.orchestrator.model.payload_checks import check_inline
from flowmesh.orchestrator.model.plans import PlanCache, check_breakpoints
from flowmesh.orchestrator.model.request_checks import REQUEST_ID_MAX, TEXT_MAX, check_text
from flowmesh.orchestrator.model.search_attributes import labels_of
from flowmesh.orchestrator.operations.approvals import Approvals
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.owner_router import OwnerRouter
from flowmesh.orchestrator.operations.repeats import canonical_payload, whole_input
from flowmesh.orchestrator.operations.start_service import StartService
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.plan import Plan, decode, decode_if_json
from flowmesh.rpc import check_enum_values, namespace_of
from flowmesh.telemetry import current_traceparent

NAME_MAX = 256
VARIABLE_BYTES_MAX = 16 << 10
if TYPE_CHECKING:
    from flowmesh.api.execution.v1 import control_service_pb2_grpc as pb_grpc

    Stub = pb_grpc.ControlServiceAsyncStub


class Control:
    """The calls of ControlService."""

    def __init__(
        self,
        *,
        approvals: Approvals,
        changes: ExecutionChanges,
        starts: StartService,
        reader: ExecutionReader,
        router: OwnerRouter,
        inbox: Inbox,
        plans: PlanCache,
        payloads: Payloads,
        stub_at: Callable[[str], Stub],
    ) -> None:
        self.approvals = approvals
        self._changes = changes
        self._starts = starts
        self._reader = reader
        self._router = router
        self._inbox = inbox
        self._plans = plans
        self._payloads = payloads
        self._stub_at = stub_at

    async def steer(self, request: pb.SteerNodeRequest, *, forwarded: bool) -> int:
        """Apply an action to a node; return the sequence of the last event."""
        check_enum_values([request.action], execution_pb2.NodeAction, "action")
        check_text(request.reason, "reason", TEXT_MAX)
        if not request.action:
            raise Invalid("REQUEST_INVALID", "action is required")
        of_all = request.action == execution_pb2.NODE_ACTION_RETRY_FAILED
        if of_all and (request.node or request.HasField("input")):
            raise Invalid("REQUEST_INVALID", "RETRY_FAILED takes neither a node nor an input")
        await self._check_payloads(request, {"input": request.input, "output": request.output})
        command = Steer(
            node=request.node,
            action=request.action,
            input=request.input if request.HasField("input") else None,
            output=request.output if request.HasField("output") else None,
            reason=request.reason,
            request_id=request.request_id,
            actor=request.actor,
        )
        answer = await self._changes.change(
            request,
            command,
            lambda stub: stub.SteerNode(request, metadata=FORWARDED),
            forwarded,
            self._stub_at,
        )
        return answer.sequence if isinstance(answer, pb.SteerNodeResponse) else int(answer)

    async def stop_at(self, request: pb.SetBreakpointsRequest, *, forwarded: bool) -> int:
        """Change variables; return the sequence of the last event."""
        state = await self._reader.state(namespace_of(request), request.execution_id)
        check_breakpoints(state.plan, request.nodes)
        command = Breakpoints(
            everywhere=request.all,
            nodes=frozenset(request.nodes),
            request_id=request.request_id,
            actor=request.actor,
        )
        answer = await self._changes.change(
            request,
            command,
            lambda stub: stub.SetBreakpoints(request, metadata=FORWARDED),
            forwarded,
            self._stub_at,
        )
        return answer.sequence if isinstance(answer, pb.SetBreakpointsResponse) else int(answer)

    async def set_variable(self, request: pb.SetVariableRequest, *, forwarded: bool) -> int:
        """Set or remove breakpoints, or continue; return the sequence of the last event."""
        check_text(request.reason, "reason", TEXT_MAX)
        state = await self._reader.state(namespace_of(request), request.execution_id)
        _check_variable(state.plan, request)
        command = SetVariable(
            name=request.name,
            value=request.value,
            reason=request.reason,
            request_id=request.request_id,
            actor=request.actor,
        )
        answer = await self._changes.change(
            request,
            command,
            lambda stub: stub.SetVariable(request, metadata=FORWARDED),
            forwarded,
            self._stub_at,
        )
        return answer.sequence if isinstance(answer, pb.SetVariableResponse) else int(answer)

    async def approve(
        self, request: pb.DecideApprovalRequest, *, forwarded: bool
    ) -> pb.DecideApprovalResponse:
        """Decide an approval; return the sequence of the last event and the approval."""
        check_text(request.comment, "comment", TEXT_MAX)
        if not valid_text(request.by):
            raise Invalid("REQUEST_INVALID", "by is required: the person who decides")
        await self._check_payloads(request, {"form": request.form})
        state = await self._reader.state(namespace_of(request), request.execution_id)
        node = state.node(request.node)
        if node is not None and node.planned.approval is not None:
            form = await self._payloads.content(namespace_of(request), request.form)
            _check_form(node, request, form)
        command = Decide(
            node=request.node,
            by=request.by,
            approved=request.approved,
            comment=request.comment,
            form=request.form if request.HasField("form") else None,
            request_id=request.request_id,
            asked_at_us=request.asked_at_us,
        )
        answer = await self._changes.change(
            request,
            command,
            lambda stub: stub.DecideApproval(request, metadata=FORWARDED),
            forwarded,
            self._stub_at,
        )
        if isinstance(answer, pb.DecideApprovalResponse):
            return answer
        state = await self._reader.state(namespace_of(request), request.execution_id)
        node = state.node(request.node)
        approval = node.approval if node is not None else None
        outcome = outcome_of(approval) if approval is not None else ""
        return pb.DecideApprovalResponse(sequence=int(answer), outcome=outcome)

    async def planned(self, request: pb.PlanRerunRequest) -> pb.PlanRerunResponse:
        """Return the nodes that a rerun would run again."""
        _, plan, _, repeats = await self._repeats(request)
        return pb.PlanRerunResponse(
            plan_digest=plan.digest,
            workflow_version=plan.version,
            repeated_effects=sum(each.effect for each in repeats),
            nodes=[
                pb.RerunNode(
                    node=each.planned.id,
                    task_type=each.planned.spec.task_type if each.planned.spec else "",
                    reused=each.reused is not None,
                    reason=each.reason,
                    repeats_effect=each.effect,
                )
                for each in repeats
            ],
        )

    async def rerun(
        self, request: pb.RerunExecutionRequest, *, forwarded: bool
    ) -> pb.RerunExecutionResponse:
        """Start a new execution from an ended one."""
        self._inbox.admit()
        check_text(request.reason, "reason", TEXT_MAX)
        check_text(request.request_id, "request_id", REQUEST_ID_MAX)
        check_text(request.actor, "actor", TEXT_MAX)
        state, plan, from_nodes, repeats = await self._repeats(request)
        for node in request.node_inputs:
            if node not in plan.by_id:
                raise node_not_found(node)
        value = request.input if request.HasField("input") else state.input
        edited = {f"node_inputs.{node}": one for node, one in request.node_inputs.items()}
        await self._check_payloads(request, {"input": value, **edited})
        value = await whole_input(self._payloads, plan, value)
        data = await self._payloads.content(plan.namespace, value)
        self._plans.check_input(plan, data)
        partition, key = await self._starts.partition_and_key(request, plan, value)
        command = Start(
            value,
            request.request_id,
            request.actor,
            current_traceparent(),
            origin=execution_pb2.Origin(execution_id=request.execution_id, from_nodes=from_nodes),
            reused=[each.reused for each in repeats if each.reused is not None],
            edits=dict(request.node_inputs),
            permissions=state.permissions,
            search=await self._starts.search_values(plan, value, labels_of(state)),
            key=key,
        )
        digest = hashlib.blake2b(digest_size=16)
        known = await self._canonical(plan.namespace, request)
        digest.update(known.SerializeToString(deterministic=True))

        async def local() -> Started:
            start = PendingStart(partition, command, plan=plan, start_digest=digest.digest())
            return await self._starts.begin(start)

        async def remote(address: str) -> Started:
            call = self._stub_at(address).RerunExecution(request, metadata=FORWARDED)
            response = await self._router.peers.call(address, call)
            return Started(response.execution_id, response.created)

        started = await self._router.at_owner(partition, local, remote, forwarded=forwarded)
        return pb.RerunExecutionResponse(execution_id=started.execution_id, created=started.created)

    async def _canonical(
        self, namespace: str, request: pb.RerunExecutionRequest
    ) -> pb.RerunExecutionRequest:
        """Return the request with the canonical text of its values, to compare repeats."""
        known = pb.RerunExecutionRequest()
        known.CopyFrom(request)
        given = [known.input] if known.HasField("input") else []
        for each in (*given, *known.node_inputs.values()):
            each.CopyFrom(await canonical_payload(self._payloads, namespace, each))
        return known

    async def _check_payloads(self, request: Any, given: Mapping[str, payload_pb2.Payload]) -> None:
        """Refuse values too large to be sent inline, and references to missing payloads."""
        for field, payload in given.items():
            check_inline(payload, field)
        await self._payloads.require(namespace_of(request), *given.values())

    async def _repeats(
        self, request: pb.PlanRerunRequest | pb.RerunExecutionRequest
    ) -> tuple[State, Plan, list[str], list[Repeat]]:
        namespace, execution_id = namespace_of(request), request.execution_id
        state = await self._reader.state(namespace, execution_id)
        if not state.ended:
            message = f"execution {execution_id} is {status_name(state.status)}; cancel it first"
            raise WrongState("EXECUTION_RUNNING", message)
        if state.erasure is not None:
            message = f"the values of {execution_id} were erased; it cannot be run again"
            raise WrongState("PAYLOAD_ERASED", message)
        plan = state.plan
        if request.newest_version:
            plan = await self._plans.resolve((namespace, plan.workflow_id, 0))
        from_nodes = list(request.from_nodes)
        if request.from_failed:
            from_nodes += failed_nodes(state, plan)
            if not from_nodes:
                raise WrongState("NOTHING_FAILED", f"no node of {execution_id} failed")
        try:
            return state, plan, from_nodes, plan_rerun(state, plan, from_nodes)
        except KeyError as unknown:
            raise node_not_found(str(unknown.args[0])) from None


def valid_text(name: str) -> bool:
    return 0 < len(name) <= NAME_MAX and "\0" not in name


def _check_variable(plan: Plan, request: pb.SetVariableRequest) -> None:
    """Check new values. Raises VARIABLE_NOT_FOUND, PAYLOAD_TOO_LARGE and VARIABLE_INVALID."""
    schema = plan.variable_schemas.get(request.name)
    if schema is None:
        known = ", ".join(plan.variable_schemas) or "none"
        text = f"{plan.workflow_id} has no variable {request.name[:64]!r}; it has {known}"
        raise NotFound("VARIABLE_NOT_FOUND", text)
    if request.value.HasField("reference") or len(request.value.data) > VARIABLE_BYTES_MAX:
        most = VARIABLE_BYTES_MAX >> 10
        raise TooLarge("PAYLOAD_TOO_LARGE", f"{request.name} may have {most} KiB at most, inline")
    check_inline(request.value, f"the value of {request.name}")
    value = decode(request.value)
    violations = tuple(
        Violation(f"value{one.path}", one.message, "VARIABLE_INVALID", schema_path=one.schema_path)
        for one in schema.problems(value)
    )
    if violations:
        text = f"{request.name}: {violations[0].description}"
        raise Invalid("VARIABLE_INVALID", text, violations=violations)


def _check_form(node: NodeState, request: pb.DecideApprovalRequest, form: bytes) -> None:
    """Check a form. Raises FORM_INVALID if it does not match; a rejection needs none."""
    if not request.approved and not request.HasField("form"):
        return
    value = decode_if_json(form)
    violations = tuple(
        Violation(f"form{one.path}", one.message, "FORM_INVALID", schema_path=one.schema_path)
        for one in node.planned.form.problems(value)
    )
    if violations:
        first = violations[0]
        text = f"form of {node.id}: {first.field}: {first.description}"
        raise Invalid("FORM_INVALID", text, violations=violations)
