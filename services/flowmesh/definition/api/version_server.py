"""VersionService over gRPC: messages to arguments and back."""

from typing import Any

import grpc

from flowmesh.api.definition.v1 import version_service_pb2 as pb
from flowmesh.api.definition.v1 import version_service_pb2_grpc
from flowmesh.definition.api.messages import (
    change_message,
    compatibility_message,
    difference_message,
    label_message,
    move_message,
)
from flowmesh.definition.api.requests import author_of, request_id_of
from flowmesh.definition.compatibility import Assessor
from flowmesh.definition.versions import Versions
from flowmesh.rpc import namespace_of, valid_id

Context = grpc.aio.ServicerContext[Any, Any]


class VersionServer(version_service_pb2_grpc.VersionServiceServicer):
    """Turns messages into calls on the versions and back; decides nothing."""

    def __init__(self, *, versions: Versions, assessor: Assessor) -> None:
        self._versions = versions
        self._assessor = assessor

    async def SetLabel(self, request: pb.SetLabelRequest, context: Context) -> pb.SetLabelResponse:
        moved = await self._versions.set_label(
            namespace_of(request),
            _workflow_id(request),
            _label(request),
            request.version,
            author_of(request),
            request_id_of(request),
        )
        return pb.SetLabelResponse(
            label=label_message(moved.label), previous_version=moved.previous_version
        )

    async def RollbackLabel(
        self, request: pb.RollbackLabelRequest, context: Context
    ) -> pb.RollbackLabelResponse:
        moved = await self._versions.rollback_label(
            namespace_of(request),
            _workflow_id(request),
            _label(request),
            author_of(request),
            request_id_of(request),
        )
        return pb.RollbackLabelResponse(
            label=label_message(moved.label), previous_version=moved.previous_version
        )

    async def DeleteLabel(
        self, request: pb.DeleteLabelRequest, context: Context
    ) -> pb.DeleteLabelResponse:
        await self._versions.delete_label(
            namespace_of(request),
            _workflow_id(request),
            _label(request),
            author_of(request),
            request_id_of(request),
        )
        return pb.DeleteLabelResponse()

    async def ListLabels(
        self, request: pb.ListLabelsRequest, context: Context
    ) -> pb.ListLabelsResponse:
        labels = await self._versions.labels(namespace_of(request), _workflow_id(request))
        return pb.ListLabelsResponse(labels=map(label_message, labels))

    async def ListChanges(
        self, request: pb.ListChangesRequest, context: Context
    ) -> pb.ListChangesResponse:
        page, token = await self._versions.changes(
            namespace_of(request),
            request.kind or "Workflow",
            valid_id(request.name, "name"),
            label=_label(request) if request.label else "",
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListChangesResponse(changes=map(change_message, page), next_page_token=token)

    async def DiffWorkflow(
        self, request: pb.DiffWorkflowRequest, context: Context
    ) -> pb.DiffWorkflowResponse:
        old, new, differences = await self._versions.diff(
            namespace_of(request),
            _workflow_id(request),
            request.from_version,
            request.to_version,
        )
        return pb.DiffWorkflowResponse(
            from_version=old.version,
            to_version=new.version,
            differences=map(difference_message, differences),
        )

    async def CheckCompatibility(
        self, request: pb.CheckCompatibilityRequest, context: Context
    ) -> pb.CheckCompatibilityResponse:
        found = await self._assessor.assess(
            namespace_of(request),
            _workflow_id(request),
            request.from_version,
            request.to_version,
            request.source,
            request.content_type,
        )
        return pb.CheckCompatibilityResponse(
            from_version=found.from_version,
            to_version=found.to_version,
            callers=compatibility_message(found.callers),
            executions=map(move_message, found.moves),
            truncated=found.truncated,
        )


def _workflow_id(request: Any) -> str:
    return valid_id(request.workflow_id, "workflow_id")


def _label(request: Any) -> str:
    return valid_id(request.label, "label")
