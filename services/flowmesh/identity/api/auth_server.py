"""Translates AuthService messages."""

from typing import Any

from flowmesh.access import Principal
from flowmesh.api.identity.v1 import auth_service_pb2 as pb
from flowmesh.api.identity.v1 import auth_service_pb2_grpc, principal_pb2
from flowmesh.identity.accounts import Accounts
from flowmesh.identity.api.messages import tokens_message, user_message
from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.permissions import caller
from flowmesh.identity.storage.users import UserStore
from flowmesh.records import message_of
from flowmesh.rpc.forward import caller_address


class AuthServer(auth_service_pb2_grpc.AuthServiceServicer):
    """Registration, sessions and the caller itself."""

    def __init__(self, *, accounts: Accounts, tokens: AccessTokens, users: UserStore) -> None:
        self._accounts, self._tokens, self._users = accounts, tokens, users

    async def Register(self, request: pb.RegisterRequest, context: Any) -> pb.RegisterResponse:
        user, pair = await self._accounts.register(
            request.email,
            request.name,
            request.password,
            request.invitation,
            caller_address(context, ""),
        )
        return pb.RegisterResponse(user=user_message(user), tokens=tokens_message(pair))

    async def Bootstrap(self, request: pb.BootstrapRequest, context: Any) -> pb.BootstrapResponse:
        user, pair = await self._accounts.bootstrap(
            request.token,
            request.email,
            request.name,
            request.password,
            caller_address(context, ""),
        )
        return pb.BootstrapResponse(user=user_message(user), tokens=tokens_message(pair))

    async def Login(self, request: pb.LoginRequest, context: Any) -> pb.LoginResponse:
        address = caller_address(context, request.address)
        user, pair = await self._accounts.login(request.email, request.password, address)
        return pb.LoginResponse(user=user_message(user), tokens=tokens_message(pair))

    async def Refresh(self, request: pb.RefreshRequest, context: Any) -> pb.RefreshResponse:
        address = caller_address(context, request.address)
        pair = await self._accounts.refresh(request.refresh_token, address)
        return pb.RefreshResponse(tokens=tokens_message(pair))

    async def Logout(self, request: pb.LogoutRequest, context: Any) -> pb.LogoutResponse:
        page = await self._accounts.logout(all_sessions=request.all_sessions)
        return pb.LogoutResponse(provider_logout_url=page)

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Any
    ) -> pb.ListSessionsResponse:
        mine = caller().session
        sessions = [
            message_of(pb.Session, each, provider=each.provider_name, current=each.id == mine)
            for each in await self._accounts.sessions()
        ]
        return pb.ListSessionsResponse(sessions=sessions)

    async def EndSession(
        self, request: pb.EndSessionRequest, context: Any
    ) -> pb.EndSessionResponse:
        await self._accounts.end_session(request.session_id)
        return pb.EndSessionResponse()

    async def GetMe(self, request: pb.GetMeRequest, context: Any) -> pb.GetMeResponse:
        principal = caller()
        user = await self._users.user(principal.id)
        if user is None:
            return pb.GetMeResponse(principal=_message(principal))
        grants = await self._users.grants(user.id)
        return pb.GetMeResponse(principal=_message(principal), user=user_message(user, grants))

    async def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: Any
    ) -> pb.ChangePasswordResponse:
        await self._accounts.change_password(request.current_password, request.new_password)
        return pb.ChangePasswordResponse()

    async def ListSigningKeys(
        self, request: pb.ListSigningKeysRequest, context: Any
    ) -> pb.ListSigningKeysResponse:
        return pb.ListSigningKeysResponse(keys_json=await self._tokens.key_set())


def _message(principal: Principal) -> principal_pb2.Principal:
    return principal_pb2.Principal(
        id=principal.id,
        kind=principal.kind,
        name=principal.name,
        everywhere=principal.everywhere,
        namespaces=dict(principal.namespaces),
        tenants=principal.tenants,
        session_id=principal.session,
        permissions=principal.permissions,
        queues=sorted(principal.queues),
        task_types=sorted(principal.task_types),
    )
