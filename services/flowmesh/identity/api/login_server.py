"""Translates LoginService messages."""

from typing import Any

from flowmesh.api.identity.v1 import login_service_pb2 as pb
from flowmesh.api.identity.v1 import login_service_pb2_grpc
from flowmesh.identity.api.messages import tokens_message, user_message
from flowmesh.identity.limits import DEVICE_POLL_S
from flowmesh.identity.login.devices import Devices
from flowmesh.identity.login.logins import Answer, Logins
from flowmesh.identity.login.loopback import LoopbackLogins
from flowmesh.records import message_of
from flowmesh.rpc.forward import caller_address


class LoginServer(login_service_pb2_grpc.LoginServiceServicer):
    """Logins at identity providers."""

    def __init__(
        self, logins: Logins, devices: Devices, loopback: LoopbackLogins, public_url: str
    ) -> None:
        self._logins, self._devices, self._loopback = logins, devices, loopback
        self._public_url = public_url.rstrip("/")

    async def ListLoginProviders(
        self, request: pb.ListLoginProvidersRequest, context: Any
    ) -> pb.ListLoginProvidersResponse:
        found = await self._logins.offered(request.company)
        providers = [message_of(pb.LoginProvider, each) for each in found]
        return pb.ListLoginProvidersResponse(providers=providers)

    async def StartLogin(
        self, request: pb.StartLoginRequest, context: Any
    ) -> pb.StartLoginResponse:
        started = await self._logins.start(request.provider_id, request.next, request.origin)
        return message_of(pb.StartLoginResponse, started)

    async def CompleteLogin(
        self, request: pb.CompleteLoginRequest, context: Any
    ) -> pb.CompleteLoginResponse:
        answer = Answer(
            request.state, request.code, request.issuer, request.error, request.saml_response
        )
        address = caller_address(context, request.address)
        user, pair, page = await self._logins.complete(
            request.provider_id, request.binding, answer, address
        )
        return pb.CompleteLoginResponse(
            user=user_message(user), tokens=tokens_message(pair), next=page
        )

    async def StartDeviceLogin(
        self, request: pb.StartDeviceLoginRequest, context: Any
    ) -> pb.StartDeviceLoginResponse:
        device_code, user_code, expires_at_us = self._devices.start()
        return pb.StartDeviceLoginResponse(
            device_code=device_code,
            user_code=user_code,
            expires_at_us=expires_at_us,
            interval_seconds=DEVICE_POLL_S,
            verification_url=f"{self._public_url}/device" if self._public_url else "",
            authorization_url=f"{self._public_url}/authorize" if self._public_url else "",
        )

    async def ApproveDeviceLogin(
        self, request: pb.ApproveDeviceLoginRequest, context: Any
    ) -> pb.ApproveDeviceLoginResponse:
        await self._devices.approve(request.user_code)
        return pb.ApproveDeviceLoginResponse()

    async def CompleteDeviceLogin(
        self, request: pb.CompleteDeviceLoginRequest, context: Any
    ) -> pb.CompleteDeviceLoginResponse:
        address = caller_address(context, request.address)
        user, pair = await self._devices.complete(request.device_code, address)
        return pb.CompleteDeviceLoginResponse(user=user_message(user), tokens=tokens_message(pair))

    async def ApproveLoopbackLogin(
        self, request: pb.ApproveLoopbackLoginRequest, context: Any
    ) -> pb.ApproveLoopbackLoginResponse:
        code = await self._loopback.approve(
            request.client_id, request.redirect_uri, request.code_challenge
        )
        return pb.ApproveLoopbackLoginResponse(code=code)

    async def CompleteLoopbackLogin(
        self, request: pb.CompleteLoopbackLoginRequest, context: Any
    ) -> pb.CompleteLoopbackLoginResponse:
        user, pair = await self._loopback.complete(
            request.client_id,
            request.redirect_uri,
            request.code,
            request.code_verifier,
            caller_address(context, request.address),
        )
        return pb.CompleteLoopbackLoginResponse(
            user=user_message(user), tokens=tokens_message(pair)
        )

    async def EndProviderSessions(
        self, request: pb.EndProviderSessionsRequest, context: Any
    ) -> pb.EndProviderSessionsResponse:
        if not request.saml_request:
            await self._logins.end_by_token(request.provider_id, request.logout_token)
            return pb.EndProviderSessionsResponse()
        page = await self._logins.end_by_request(
            request.provider_id, request.saml_request, request.origin
        )
        return pb.EndProviderSessionsResponse(location=page)

    async def GetLoginMetadata(
        self, request: pb.GetLoginMetadataRequest, context: Any
    ) -> pb.GetLoginMetadataResponse:
        found = await self._logins.metadata(request.provider_id, request.origin)
        return pb.GetLoginMetadataResponse(metadata=found)
