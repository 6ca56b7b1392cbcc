"""Translates AccessService messages."""

from typing import Any

from flowmesh.api.identity.v1 import access_service_pb2 as pb
from flowmesh.api.identity.v1 import access_service_pb2_grpc
from flowmesh.identity.app_keys import AppKeys
from flowmesh.identity.principals import Principals


class AccessServer(access_service_pb2_grpc.AccessServiceServicer):
    """Resolves credentials for the services of the suite."""

    def __init__(self, principals: Principals, app_keys: AppKeys) -> None:
        self._principals, self._app_keys = principals, app_keys

    async def Authenticate(
        self, request: pb.AuthenticateRequest, context: Any
    ) -> pb.AuthenticateResponse:
        found = await self._principals.of_credential(request.credential, request.address)
        return pb.AuthenticateResponse(principal=found)

    async def GetPrincipal(
        self, request: pb.GetPrincipalRequest, context: Any
    ) -> pb.GetPrincipalResponse:
        if request.without_session:
            found = await self._principals.offline(request.principal_id)
        else:
            found = await self._principals.of_id(request.principal_id, request.session_id)
        return pb.GetPrincipalResponse(principal=found)

    async def IssueAppKey(
        self, request: pb.IssueAppKeyRequest, context: Any
    ) -> pb.IssueAppKeyResponse:
        secret = await self._app_keys.issue(
            request.namespace,
            request.app,
            maker=request.maker_id,
            role=request.role,
            queues=tuple(request.queues),
            owner=request.owner,
            task_types=tuple(request.task_types),
            permissions=tuple(request.permissions),
        )
        return pb.IssueAppKeyResponse(secret=secret)

    async def RevokeAppKey(
        self, request: pb.RevokeAppKeyRequest, context: Any
    ) -> pb.RevokeAppKeyResponse:
        await self._app_keys.revoke(request.namespace, request.app)
        return pb.RevokeAppKeyResponse()
