"""Translates ControlService messages; contains no logic."""

from typing import Any

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.api.execution.v1 import control_service_pb2_grpc as pb_grpc
from flowmesh.orchestrator.links.approval_links import ApprovalLinks
from flowmesh.orchestrator.operations.control import Control
from flowmesh.orchestrator.ownership.peers import was_forwarded


class ControlServer(pb_grpc.ControlServiceServicer):
    """Control of single nodes, reruns of executions, and approval links."""

    def __init__(self, *, control: Control, links: ApprovalLinks) -> None:
        self._control = control
        self._links = links

    async def SteerNode(self, request: pb.SteerNodeRequest, context: Any) -> pb.SteerNodeResponse:
        sequence = await self._control.steer(request, forwarded=was_forwarded(context))
        return pb.SteerNodeResponse(sequence=sequence)

    async def SetBreakpoints(
        self, request: pb.SetBreakpointsRequest, context: Any
    ) -> pb.SetBreakpointsResponse:
        sequence = await self._control.stop_at(request, forwarded=was_forwarded(context))
        return pb.SetBreakpointsResponse(sequence=sequence)

    async def SetVariable(
        self, request: pb.SetVariableRequest, context: Any
    ) -> pb.SetVariableResponse:
        sequence = await self._control.set_variable(request, forwarded=was_forwarded(context))
        return pb.SetVariableResponse(sequence=sequence)

    async def DecideApproval(
        self, request: pb.DecideApprovalRequest, context: Any
    ) -> pb.DecideApprovalResponse:
        return await self._control.approve(request, forwarded=was_forwarded(context))

    async def ListApprovals(
        self, request: pb.ListApprovalsRequest, context: Any
    ) -> pb.ListApprovalsResponse:
        return await self._control.approvals.page(request)

    async def CreateApprovalLink(
        self, request: pb.CreateApprovalLinkRequest, context: Any
    ) -> pb.CreateApprovalLinkResponse:
        return await self._links.create(request)

    async def ReadApprovalLink(
        self, request: pb.ReadApprovalLinkRequest, context: Any
    ) -> pb.ReadApprovalLinkResponse:
        return await self._links.read(request.token)

    async def DecideByLink(
        self, request: pb.DecideByLinkRequest, context: Any
    ) -> pb.DecideByLinkResponse:
        return await self._links.decide(request)

    async def RotateLinkKey(
        self, request: pb.RotateLinkKeyRequest, context: Any
    ) -> pb.RotateLinkKeyResponse:
        return await self._links.keys.rotate(request)

    async def ListLinkKeys(
        self, request: pb.ListLinkKeysRequest, context: Any
    ) -> pb.ListLinkKeysResponse:
        return await self._links.keys.listed()

    async def PlanRerun(self, request: pb.PlanRerunRequest, context: Any) -> pb.PlanRerunResponse:
        return await self._control.planned(request)

    async def RerunExecution(
        self, request: pb.RerunExecutionRequest, context: Any
    ) -> pb.RerunExecutionResponse:
        return await self._control.rerun(request, forwarded=was_forwarded(context))
