"""Translates AccessService messages."""

from typing import Any

from flowmesh.api.identity.v1 import access_service_pb2 as pb
from flowmesh.api.identity.v1 import access_service_pb2_grpc
from flowmesh.identity.principals import Principals


class AccessServer(access_service_pb2_grpc.AccessServiceServicer):
    """Resolves credentials for the services of the suite."""

    def __init__(self, principals: Principals) -> None:
        self._principals = principals

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
