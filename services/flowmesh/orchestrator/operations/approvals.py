"""Pending approvals of all executions."""

from __future__ import annotations

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.engine import NodeState
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.model.messages import approval_message
from flowmesh.orchestrator.storage.batch import approval_name
from flowmesh.orchestrator.storage.states import States
from flowmesh.orchestrator.storage.stores.message_store import MessageStore
from flowmesh.rpc import invalid_page_token, last_of_token, list_key, namespace_of, page_token

PAGE_DEFAULT = 50
PAGE_MAX = 200


class Approvals:
    """Lists approvals of the executions that wait for them."""

    def __init__(self, *, store: MessageStore, states: States) -> None:
        self._store = store
        self._states = states

    async def page(self, request: pb.ListApprovalsRequest) -> pb.ListApprovalsResponse:
        """Return the approvals of one page of executions, in the order of their start."""
        size, name = min(request.page_size or PAGE_DEFAULT, PAGE_MAX), list_key(request)
        after = last_of_token(request.page_token, name)
        if after and partition_of(after) is None:
            raise invalid_page_token()
        names = None
        if request.assignee:
            names = [approval_name(request.assignee), approval_name("")]
        ids = await self._store.awaiting_approval(
            namespace_of(request), names, after=after, rows_max=size
        )
        found = await self._states.load(ids)
        response = pb.ListApprovalsResponse()
        for execution_id in ids:
            entry = found.get(execution_id)
            if entry is None:
                continue
            for node in entry.state.asking.values():
                if _asks(node, request.assignee):
                    response.approvals.append(
                        pending_approval(execution_id, node, entry.state.plan.workflow_id)
                    )
        response.next_page_token = page_token(name, ids[-1]) if len(ids) == size else ""
        return response


def _asks(node: NodeState, assignee: str) -> bool:
    asked = node.approval
    if asked is None:
        return False
    decided = {one.by for one in asked.decisions}
    return not assignee or (
        assignee not in decided and (not asked.assignees or assignee in asked.assignees)
    )


def pending_approval(execution_id: str, node: NodeState, workflow_id: str) -> pb.PendingApproval:
    return pb.PendingApproval(
        execution_id=execution_id,
        workflow_id=workflow_id,
        node=node.id,
        name=node.planned.name,
        asked_at_us=node.scheduled_at_us,
        approval=approval_message(node),
    )
