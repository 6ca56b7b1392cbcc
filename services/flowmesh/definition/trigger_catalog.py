"""Triggers of workflows: stored with the newest version, read by the event service."""

from collections.abc import Sequence
from typing import Any, Final

from flowmesh.api.definition.v1 import trigger_catalog_service_pb2 as pb
from flowmesh.api.definition.v1 import trigger_catalog_service_pb2_grpc as rpc
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definitions import Workflow, trigger_message
from flowmesh.errors import Invalid
from flowmesh.rpc import last_of_token, namespace_of, page_token

NAMES_MAX: Final = 1_000
PAGE_SIZE: Final = 100
_LIST: Final = "workflow-triggers"


def triggers_of(
    namespace: str, workflow: Workflow, version: int, applied_by: str
) -> trigger_pb2.WorkflowTriggers:
    """Return the triggers of a version that becomes the newest."""
    return trigger_pb2.WorkflowTriggers(
        namespace=namespace,
        workflow_id=workflow.id,
        version=version,
        live=True,
        applied_by=applied_by,
        triggers=[trigger_message(trigger) for trigger in workflow.triggers],
    )


class TriggerCatalogServer(rpc.TriggerCatalogServiceServicer):
    """TriggerCatalogService over gRPC."""

    def __init__(self, *, store: DefinitionStore) -> None:
        self._store = store

    async def ListWorkflowTriggers(
        self, request: pb.ListWorkflowTriggersRequest, context: Any
    ) -> pb.ListWorkflowTriggersResponse:
        if request.workflow_ids:
            return await self._named(namespace_of(request), request.workflow_ids)
        namespace, _, workflow = last_of_token(request.page_token, _LIST).partition("/")
        found, more = await self._store.triggers.page(namespace, workflow, PAGE_SIZE)
        token = ""
        if more:
            token = page_token(_LIST, f"{found[-1].namespace}/{found[-1].workflow_id}")
        return pb.ListWorkflowTriggersResponse(workflows=found, next_page_token=token)

    async def _named(self, namespace: str, ids: Sequence[str]) -> pb.ListWorkflowTriggersResponse:
        if len(ids) > NAMES_MAX:
            message = f"workflow_ids holds {len(ids)} ids; at most {NAMES_MAX} are allowed"
            raise Invalid("REQUEST_INVALID", message)
        found = await self._store.triggers.of_workflows(namespace, ids)
        return pb.ListWorkflowTriggersResponse(workflows=found)
