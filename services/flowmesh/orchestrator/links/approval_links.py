"""Links to decide approvals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.engine import NodeState, State
from flowmesh.errors import Forbidden, Gone, Invalid, WrongState
from flowmesh.orchestrator.links.keys import VALID_MS_MAX, LinkKeys
from flowmesh.orchestrator.links.tokens import (
    ApprovalLink,
    TokenInvalid,
    key_of,
    link_of,
    token_of,
)
from flowmesh.orchestrator.model.errors import node_not_found
from flowmesh.orchestrator.operations.approvals import pending_approval
from flowmesh.orchestrator.operations.control import Control, valid_text
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.rpc import check_enum_values, namespace_of

MINUTE_US = 60_000_000
DAY_US = 24 * 60 * MINUTE_US
VALID_US = 7 * DAY_US
PATH = "/approve/"

_APPROVED = {pb.LINK_SCOPE_APPROVE: True, pb.LINK_SCOPE_REJECT: False}


class ApprovalLinks:
    """Creates and reads links. A decision by link passes the same checks as any other."""

    def __init__(
        self,
        *,
        keys: LinkKeys,
        reader: ExecutionReader,
        control: Control,
        now_us: Callable[[], int],
        base_url: Callable[[], Awaitable[str]],
    ) -> None:
        self.keys = keys
        self._reader = reader
        self._control = control
        self._now_us = now_us
        self._base_url = base_url

    async def create(self, request: pb.CreateApprovalLinkRequest) -> pb.CreateApprovalLinkResponse:
        check_enum_values([request.scope], pb.LinkScope, "scope")
        if not 0 <= request.valid_ms <= VALID_MS_MAX:
            days = VALID_MS_MAX * 1_000 // DAY_US
            raise Invalid("REQUEST_INVALID", f"valid_ms is 0, or up to {days} days")
        if not valid_text(request.by):
            raise Invalid("REQUEST_INVALID", "by is required: the person who decides")
        namespace = namespace_of(request)
        state = await self._reader.state(namespace, request.execution_id)
        node = state.node(request.node)
        if node is None or node.planned.approval is None:
            raise node_not_found(request.node)
        if refusal := _refusal_reason(state, node, request.by):
            raise WrongState("NODE_STATE_WRONG", refusal)
        expires = self._expires_at(node, request.valid_ms * 1_000)
        link = ApprovalLink(
            namespace=namespace,
            execution_id=request.execution_id,
            node=node.id,
            asked_at_us=node.scheduled_at_us,
            by=request.by,
            scope=request.scope,
            expires_at_us=expires,
        )
        token = token_of(link, *await self.keys.newest())
        base = (await self._base_url()).rstrip("/")
        return pb.CreateApprovalLinkResponse(
            token=token, url=f"{base}{PATH}{token}", expires_at_us=expires
        )

    def _expires_at(self, node: NodeState, valid_us: int) -> int:
        due = node.approval.due_at_us if node.approval is not None else 0
        expires = self._now_us() + (valid_us or VALID_US)
        if due and not valid_us:
            return due
        return min(expires, due) if due else expires

    async def read(self, token: str) -> pb.ReadApprovalLinkResponse:
        """Return the approval of a link. Raises Forbidden, Gone, WrongState."""
        link = await self._link(token)
        state = await self._reader.state(link.namespace, link.execution_id)
        node = state.node(link.node)
        if node is None or node.scheduled_at_us != link.asked_at_us:
            raise WrongState("LINK_USED", f"{link.node} does not wait for this decision any more")
        if refusal := _refusal_reason(state, node, link.by):
            raise WrongState("LINK_USED", refusal)
        return pb.ReadApprovalLinkResponse(
            approval=pending_approval(link.execution_id, node, state.plan.workflow_id),
            namespace=link.namespace,
            by=link.by,
            scope=pb.LinkScope.ValueType(link.scope),
            expires_at_us=link.expires_at_us,
        )

    async def decide(self, request: pb.DecideByLinkRequest) -> pb.DecideByLinkResponse:
        """Decide as the person that the link was created for. Raises as `read`, and as any
        decision.
        """
        link = await self._link(request.token)
        if _APPROVED.get(pb.LinkScope.ValueType(link.scope), request.approved) != request.approved:
            word = "approve" if request.approved else "reject"
            raise Forbidden("LINK_INVALID", f"this link does not permit to {word}")
        decision = pb.DecideApprovalRequest(
            namespace=link.namespace,
            execution_id=link.execution_id,
            node=link.node,
            by=link.by,
            approved=request.approved,
            comment=request.comment,
            form=request.form if request.HasField("form") else None,
            request_id=request.request_id,
            actor=link.by,
            asked_at_us=link.asked_at_us,
        )
        try:
            decided = await self._control.approve(decision, forwarded=False)
        except WrongState as error:
            if error.reason != "NODE_STATE_WRONG":
                raise
            raise WrongState("LINK_USED", error.message) from None
        return pb.DecideByLinkResponse(
            execution_id=link.execution_id, sequence=decided.sequence, outcome=decided.outcome
        )

    async def _link(self, token: str) -> ApprovalLink:
        try:
            secret = await self.keys.secret(key_of(token))
            if secret is None:
                raise TokenInvalid
            link = link_of(token, secret)
        except TokenInvalid:
            raise Forbidden(
                "LINK_INVALID", "the link is invalid: it was not created here, or is incomplete"
            ) from None
        if self._now_us() >= link.expires_at_us:
            raise Gone("LINK_EXPIRED", "this link has expired; ask for another one")
        return link


def _refusal_reason(state: State, node: NodeState, by: str) -> str:
    """Return the reason for which a person cannot decide; empty if they can."""
    asked = node.approval
    decision = next((one for one in asked.decisions if one.by == by), None) if asked else None
    if decision is not None:
        return f"{by} has {'approved' if decision.approved else 'rejected'} {node.id} already"
    if asked is None or node.id not in state.asking:
        return f"{node.id} has been decided or has not requested approval"
    if asked.assignees and by not in asked.assignees:
        return f"{node.id} does not wait for {by!r}, but for {', '.join(asked.assignees)}"
    return ""
