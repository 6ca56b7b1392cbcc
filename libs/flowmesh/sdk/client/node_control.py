"""Hands on a running execution, and running again one that has ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.sdk.executions import StoredValue
from flowmesh.sdk.payloads import Json, encode

if TYPE_CHECKING:
    from flowmesh.sdk.client.execution_calls import ExecutionCalls
    from flowmesh.sdk.client.handle import Handle

UNSET: Any = object()
Decisions = Literal["any", "approve", "reject"]


@dataclass(frozen=True, slots=True)
class RerunNode:
    """What becomes of a node in a rerun, and why; `repeats_effect` says that what it did to others
    happens again.
    """

    id: str
    task_type: str
    reused: bool
    reason: str
    repeats_effect: bool


@dataclass(frozen=True, slots=True)
class RerunPlan:
    """What a rerun would do."""

    version: int
    nodes: tuple[RerunNode, ...]
    repeated_effects: int


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A task that waits for people; nobody named is anybody."""

    execution_id: str
    workflow_id: str
    node: str
    name: str
    asked_at: datetime | None
    assignees: tuple[str, ...]
    needed: int
    due_at: datetime | None
    details: Json | StoredValue


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """Whoever has the URL decides, until they have or it expires. The path of it leads to every
    gateway; what is before the path is a setting.
    """

    url: str
    token: str
    expires_at: datetime


class Steered:
    """The calls of a handle about single nodes. Each change is in the history with who did it and
    why. Raises NotFound for an unknown node, WrongState where its state does not allow it.
    """

    id: str
    _client: ExecutionCalls

    async def retry_node(self, node: str, *, input: Json = UNSET, reason: str = "") -> int:
        """Another attempt of a node that failed, with another input if one is given."""
        return await self._steer(node, "RETRY", reason, input=input)

    async def skip_node(self, node: str, *, reason: str = "") -> int:
        """The node does not run; those behind it go on as though it had completed."""
        return await self._steer(node, "SKIP", reason)

    async def complete_node(self, node: str, output: Json = None, *, reason: str = "") -> int:
        """The node counts as completed with this output."""
        return await self._steer(node, "COMPLETE", reason, output=output)

    async def override_output(self, node: str, output: Json, *, reason: str = "") -> int:
        """Another output for a node that completed, while nothing behind it has begun."""
        return await self._steer(node, "OVERRIDE", reason, output=output)

    async def continue_node(self, node: str, *, input: Json = UNSET, reason: str = "") -> int:
        """Lets a node begin that stopped at a breakpoint, with another input if one is given."""
        return await self._steer(node, "CONTINUE", reason, input=input)

    async def fail_node(self, node: str, *, reason: str = "") -> int:
        """Fails a node that is held."""
        return await self._steer(node, "FAIL", reason)

    async def _steer(self, node: str, action: str, reason: str, **values: Json) -> int:
        request = pb.SteerNodeRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            node=node,
            action=execution_pb2.NodeAction.Value(f"NODE_ACTION_{action}"),
            reason=reason,
            request_id=self._client.new_id(),
            actor=self._client.actor,
            **{field: await self._packed(value) for field, value in values.items()},
        )
        response = await self._client.caller.call(self._client.control.SteerNode, request)
        return response.sequence

    async def _packed(self, value: Json) -> payload_pb2.Payload | None:
        return None if value is UNSET else await self._client.payloads.pack(value)

    async def decide(
        self,
        node: str,
        *,
        by: str,
        approved: bool = True,
        comment: str = "",
        form: Json = UNSET,
        request_id: str = "",
    ) -> str:
        """Approves or rejects as one of those asked; answers `approved` or `rejected` once it is
        decided, else nothing. Raises Invalid where the form does not fit.
        """
        request = pb.DecideApprovalRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            node=node,
            by=by,
            approved=approved,
            comment=comment,
            form=await self._packed(form),
            request_id=request_id or self._client.new_id(),
            actor=self._client.actor,
        )
        response = await self._client.caller.call(self._client.control.DecideApproval, request)
        return response.outcome

    async def approval_link(
        self, node: str, *, by: str, decision: Decisions = "any", valid: timedelta | None = None
    ) -> ApprovalLink:
        """A link by which `by` decides; `decision` may be only `approve` or `reject`. It is valid
        until the deadline of the approval, or 7 days, or for a shorter time.
        """
        scopes = {"any": 0, "approve": pb.LINK_SCOPE_APPROVE, "reject": pb.LINK_SCOPE_REJECT}
        request = pb.CreateApprovalLinkRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            node=node,
            by=by,
            scope=pb.LinkScope.ValueType(scopes[decision]),
            valid_ms=int(valid.total_seconds() * 1_000) if valid else 0,
        )
        made = await self._client.caller.call(self._client.control.CreateApprovalLink, request)
        expires = datetime.fromtimestamp(made.expires_at_us / 1_000_000, UTC)
        return ApprovalLink(made.url, made.token, expires)

    async def set_variable(
        self, name: str, value: Json, *, reason: str = "", request_id: str = ""
    ) -> int:
        """Gives a variable of the workflow another value, which attempts see that become ready
        from now on; the sequence of the event. Raises NotFound for a variable that is not declared,
        Invalid for a value that does not fit its schema.
        """
        request = pb.SetVariableRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            name=name,
            value=payload_pb2.Payload(data=encode(value)),
            reason=reason,
            request_id=request_id or self._client.new_id(),
            actor=self._client.actor,
        )
        response = await self._client.caller.call(self._client.control.SetVariable, request)
        return response.sequence

    async def set_breakpoints(
        self, nodes: Collection[str] = (), *, everywhere: bool = False
    ) -> int:
        """Stops before these nodes from now on, or before every node; with neither nowhere any
        more, and what has stopped goes on.
        """
        request = pb.SetBreakpointsRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            all=everywhere,
            nodes=sorted(nodes),
            request_id=self._client.new_id(),
            actor=self._client.actor,
        )
        response = await self._client.caller.call(self._client.control.SetBreakpoints, request)
        return response.sequence

    async def plan_rerun(
        self,
        from_nodes: Collection[str] = (),
        *,
        from_failed: bool = False,
        newest_version: bool = False,
    ) -> RerunPlan:
        """What `rerun` would run again and what it would take over."""
        request = pb.PlanRerunRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            from_nodes=sorted(from_nodes),
            from_failed=from_failed,
            newest_version=newest_version,
        )
        response = await self._client.caller.call(self._client.control.PlanRerun, request)
        nodes = tuple(
            RerunNode(node.node, node.task_type, node.reused, node.reason, node.repeats_effect)
            for node in response.nodes
        )
        return RerunPlan(response.workflow_version, nodes, response.repeated_effects)

    async def rerun(
        self,
        from_nodes: Collection[str] = (),
        *,
        from_failed: bool = False,
        input: Json = UNSET,
        node_inputs: Mapping[str, Json] | None = None,
        newest_version: bool = False,
        reason: str = "",
        request_id: str = "",
    ) -> Handle:
        """A new execution that runs these nodes and all behind them again and takes over the
        results before them; without nodes all of it runs again. `from_failed` stands for the nodes
        that failed, were canceled or have no result. Only of one that has ended; raises WrongState,
        also where nothing failed.
        """
        request = pb.RerunExecutionRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            from_nodes=sorted(from_nodes),
            from_failed=from_failed,
            input=await self._packed(input),
            node_inputs={
                node: await self._client.payloads.pack(value)
                for node, value in (node_inputs or {}).items()
            },
            newest_version=newest_version,
            reason=reason,
            request_id=request_id or self._client.new_id(),
            actor=self._client.actor,
        )
        response = await self._client.caller.call(self._client.control.RerunExecution, request)
        return self._client.handle(response.execution_id)
