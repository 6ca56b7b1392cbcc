"""Translates MemberService messages."""

from typing import Any

from flowmesh.access.roles import GROUP_NAMES, PERMISSIONS
from flowmesh.api.identity.v1 import member_service_pb2 as pb
from flowmesh.api.identity.v1 import member_service_pb2_grpc
from flowmesh.errors import NotFound
from flowmesh.identity.accounts import Accounts
from flowmesh.identity.api.messages import (
    invitation_message,
    level_of,
    member_message,
    page_size,
    user_message,
)
from flowmesh.identity.members import Members
from flowmesh.rpc.pages import last_of_token, list_key, page_token


class MemberServer(member_service_pb2_grpc.MemberServiceServicer):
    """Users, roles and invitations."""

    def __init__(self, *, members: Members, accounts: Accounts) -> None:
        self._members, self._accounts = members, accounts

    async def ListMembers(
        self, request: pb.ListMembersRequest, context: Any
    ) -> pb.ListMembersResponse:
        count = page_size(request.page_size)
        email, _, level = last_of_token(request.page_token, list_key(request)).rpartition(" ")
        found = await self._members.members(
            level_of(request.level), request.level_id, email, int(level or 0), count + 1
        )
        token = ""
        if len(found) > count:
            last = found[count - 1]
            token = page_token(list_key(request), f"{last.user.email} {int(last.level)}")
        return pb.ListMembersResponse(
            members=[member_message(each) for each in found[:count]], next_page_token=token
        )

    async def GetMember(self, request: pb.GetMemberRequest, context: Any) -> pb.GetMemberResponse:
        found = await self._members.member(
            level_of(request.level), request.level_id, request.user_id
        )
        return pb.GetMemberResponse(member=member_message(found))

    async def SetMember(self, request: pb.SetMemberRequest, context: Any) -> pb.SetMemberResponse:
        grant = request.grant
        await self._members.set_member(
            request.user_id, level_of(grant.level), grant.level_id, grant.role
        )
        return pb.SetMemberResponse()

    async def CreateInvitation(
        self, request: pb.CreateInvitationRequest, context: Any
    ) -> pb.CreateInvitationResponse:
        grant = request.grant
        made, token = await self._members.invite(
            request.email, level_of(grant.level), grant.level_id, grant.role
        )
        return pb.CreateInvitationResponse(invitation=invitation_message(made), token=token)

    async def ListInvitations(
        self, request: pb.ListInvitationsRequest, context: Any
    ) -> pb.ListInvitationsResponse:
        found = await self._members.invitations(level_of(request.level), request.level_id)
        return pb.ListInvitationsResponse(invitations=[invitation_message(each) for each in found])

    async def GetInvitation(
        self, request: pb.GetInvitationRequest, context: Any
    ) -> pb.GetInvitationResponse:
        found = await self._members.invitation(request.invitation_id)
        return pb.GetInvitationResponse(invitation=invitation_message(found))

    async def DeleteInvitation(
        self, request: pb.DeleteInvitationRequest, context: Any
    ) -> pb.DeleteInvitationResponse:
        await self._members.delete_invitation(request.invitation_id)
        return pb.DeleteInvitationResponse()

    async def ListUsers(self, request: pb.ListUsersRequest, context: Any) -> pb.ListUsersResponse:
        count = page_size(request.page_size)
        after = last_of_token(request.page_token, list_key(request))
        found = await self._members.users(request.company_id, after, count + 1)
        token = (
            page_token(list_key(request), found[count - 1][0].email) if len(found) > count else ""
        )
        return pb.ListUsersResponse(
            users=[user_message(*each) for each in found[:count]], next_page_token=token
        )

    async def SetUserDisabled(
        self, request: pb.SetUserDisabledRequest, context: Any
    ) -> pb.SetUserDisabledResponse:
        if not await self._accounts.disable(request.user_id, disabled=request.disabled):
            raise NotFound("USER_NOT_FOUND", f"there is no user `{request.user_id}`")
        return pb.SetUserDisabledResponse()

    async def ListRoles(self, request: pb.ListRolesRequest, context: Any) -> pb.ListRolesResponse:
        roles = [
            pb.Role(
                name=role.value,
                permissions=[name for bit, name in GROUP_NAMES.items() if bits & bit],
            )
            for role, bits in PERMISSIONS.items()
        ]
        return pb.ListRolesResponse(roles=roles)
