"""Translates ProvisioningService messages."""

from typing import Any

from flowmesh.api.identity.v1 import provisioning_service_pb2 as pb
from flowmesh.api.identity.v1 import provisioning_service_pb2_grpc
from flowmesh.identity.provisioning.provisioning import Provisioning
from flowmesh.identity.storage.scim import ScimGroup, ScimUser
from flowmesh.records import message_of


class ProvisioningServer(provisioning_service_pb2_grpc.ProvisioningServiceServicer):
    """Users and groups of identity providers."""

    def __init__(self, provisioning: Provisioning) -> None:
        self._provisioning = provisioning

    async def ListScimUsers(
        self, request: pb.ListScimUsersRequest, context: Any
    ) -> pb.ListScimUsersResponse:
        users, total = await self._provisioning.users(
            request.user_name if request.HasField("user_name") else None,
            request.external_id if request.HasField("external_id") else None,
            request.offset,
            request.count,
        )
        return pb.ListScimUsersResponse(users=map(_user, users), total=total)

    async def GetScimUser(
        self, request: pb.GetScimUserRequest, context: Any
    ) -> pb.GetScimUserResponse:
        return pb.GetScimUserResponse(user=_user(await self._provisioning.user(request.user_id)))

    async def CreateScimUser(
        self, request: pb.CreateScimUserRequest, context: Any
    ) -> pb.CreateScimUserResponse:
        user = ScimUser(
            "", request.user_name, request.external_id, request.name, request.email, request.active
        )
        return pb.CreateScimUserResponse(user=_user(await self._provisioning.create_user(user)))

    async def UpdateScimUser(
        self, request: pb.UpdateScimUserRequest, context: Any
    ) -> pb.UpdateScimUserResponse:
        stated = {field.name: value for field, value in request.ListFields()}
        changed = await self._provisioning.update_user(stated.pop("user_id", ""), **stated)
        return pb.UpdateScimUserResponse(user=_user(changed))

    async def DeleteScimUser(
        self, request: pb.DeleteScimUserRequest, context: Any
    ) -> pb.DeleteScimUserResponse:
        await self._provisioning.delete_user(request.user_id)
        return pb.DeleteScimUserResponse()

    async def ListScimGroups(
        self, request: pb.ListScimGroupsRequest, context: Any
    ) -> pb.ListScimGroupsResponse:
        groups, total = await self._provisioning.groups(
            request.display_name if request.HasField("display_name") else None,
            request.external_id if request.HasField("external_id") else None,
            request.offset,
            request.count,
        )
        shown = await self._groups(*groups, without_members=request.without_members)
        return pb.ListScimGroupsResponse(groups=shown, total=total)

    async def GetScimGroup(
        self, request: pb.GetScimGroupRequest, context: Any
    ) -> pb.GetScimGroupResponse:
        found = await self._provisioning.group(request.group_id)
        [shown] = await self._groups(found, without_members=request.without_members)
        return pb.GetScimGroupResponse(group=shown)

    async def CreateScimGroup(
        self, request: pb.CreateScimGroupRequest, context: Any
    ) -> pb.CreateScimGroupResponse:
        made = await self._provisioning.create_group(
            request.display_name, request.external_id, request.members
        )
        [shown] = await self._groups(made)
        return pb.CreateScimGroupResponse(group=shown)

    async def UpdateScimGroup(
        self, request: pb.UpdateScimGroupRequest, context: Any
    ) -> pb.UpdateScimGroupResponse:
        changed = await self._provisioning.update_group(
            request.group_id,
            display_name=request.display_name if request.HasField("display_name") else None,
            external_id=request.external_id if request.HasField("external_id") else None,
            removed=request.removed,
            added=request.added,
            replaces=request.replaces,
        )
        [shown] = await self._groups(changed)
        return pb.UpdateScimGroupResponse(group=shown)

    async def DeleteScimGroup(
        self, request: pb.DeleteScimGroupRequest, context: Any
    ) -> pb.DeleteScimGroupResponse:
        await self._provisioning.delete_group(request.group_id)
        return pb.DeleteScimGroupResponse()

    async def _groups(
        self, *groups: ScimGroup, without_members: bool = False
    ) -> list[pb.ScimGroup]:
        members = {} if without_members else await self._provisioning.members(groups)
        return [
            message_of(
                pb.ScimGroup,
                each,
                members=[
                    pb.ScimMember(user_id=user_id, name=name)
                    for user_id, name in members.get(each.id, ())
                ],
            )
            for each in groups
        ]


def _user(user: ScimUser) -> pb.ScimUser:
    return message_of(pb.ScimUser, user, id=user.user_id)
