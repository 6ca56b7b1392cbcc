"""Groups of SCIM, whose names give roles by the rules of the provider."""

import re
from dataclasses import dataclass, field
from http import HTTPStatus

from msgspec import UNSET

from flowmesh.api.identity.v1 import provisioning_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Operation
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.scim import messages
from flowmesh.gateway.routes.scim.messages import (
    BASE,
    BODY,
    EXCLUDED,
    PAGE,
    SCIM,
    ScimGroupList,
    ScimGroupValue,
    ScimMemberValue,
    scim_response,
    scim_route,
    wrong,
)

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_MEMBER = re.compile(r'members\[\s*value\s+eq\s+"([^"]{1,200})"\s*\]', re.IGNORECASE)


@dataclass(slots=True)
class Changes:
    """The changes of a group: members leave before others join."""

    texts: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    replaces: bool = False

    def add(self, members: list[str]) -> None:
        self.added += members

    def remove(self, members: list[str]) -> None:
        self.added = [each for each in self.added if each not in members]
        self.removed += members

    def replace(self, members: list[str]) -> None:
        self.replaces, self.removed, self.added = True, [], members


async def list_scim_groups(backends: Backends, request: Request) -> Response:
    wanted = messages.filtered(request, "displayName", "externalId")
    start, count = messages.page(request)
    found = await backends.provisioning.ListScimGroups(
        pb.ListScimGroupsRequest(
            **wanted, offset=start - 1, count=count, without_members=_without_members(request)
        )
    )
    groups = [_value(request, each) for each in found.groups]
    return scim_response(messages.listed(start, found.total, groups))


async def get_scim_group(backends: Backends, request: Request) -> Response:
    found = await backends.provisioning.GetScimGroup(
        pb.GetScimGroupRequest(
            group_id=request.param("groupId"), without_members=_without_members(request)
        )
    )
    return scim_response(_value(request, found.group))


async def create_scim_group(backends: Backends, request: Request) -> Response:
    stated = Changes()
    _apply(stated, "replace", await messages.resource(request))
    made = await backends.provisioning.CreateScimGroup(
        pb.CreateScimGroupRequest(**stated.texts, members=stated.added)
    )
    shown = _value(request, made.group)
    location = ((b"location", shown.meta.location.encode()),)
    return scim_response(shown, HTTPStatus.CREATED, location)


async def replace_scim_group(backends: Backends, request: Request) -> Response:
    stated = Changes({"display_name": "", "external_id": ""}, replaces=True)
    _apply(stated, "replace", await messages.resource(request))
    return scim_response(_value(request, await _updated(backends, request, stated)))


async def patch_scim_group(backends: Backends, request: Request) -> Response:
    await _updated(backends, request, changes(await messages.resource(request)))
    return Response(HTTPStatus.NO_CONTENT)


async def delete_scim_group(backends: Backends, request: Request) -> Response:
    wanted = pb.DeleteScimGroupRequest(group_id=request.param("groupId"))
    await backends.provisioning.DeleteScimGroup(wanted)
    return Response(HTTPStatus.NO_CONTENT)


async def _updated(backends: Backends, request: Request, stated: Changes) -> pb.ScimGroup:
    changed = await backends.provisioning.UpdateScimGroup(
        pb.UpdateScimGroupRequest(
            group_id=request.param("groupId"),
            **stated.texts,
            removed=stated.removed,
            added=stated.added,
            replaces=stated.replaces,
        )
    )
    return changed.group


def changes(body: dict[str, object]) -> Changes:
    """Return the changes by the operations of a PATCH, in their order."""
    found = Changes()
    for verb, path, value in messages.operations(body):
        name = path.lower().removeprefix(f"{GROUP.lower()}:")
        if member := _MEMBER.fullmatch(path.removeprefix(f"{GROUP}:")):
            if verb != "remove":
                raise wrong("path", "one member by its value can only be removed")
            found.remove([member[1]])
        elif verb == "remove":
            if name != "members":
                raise wrong("path", f"{path or 'an operation without a path'} cannot be removed")
            # Entra ID states those that leave; without a value all of them do.
            if value is None:
                found.replace([])
            else:
                found.remove(_members(value))
        elif name:
            _apply(found, verb, {name: value})
        elif isinstance(value, dict):
            _apply(found, verb, value)
        else:
            raise wrong("Operations", "an operation without a path has no object as its value")
    return found


def _apply(found: Changes, verb: str, value: dict[str, object]) -> None:
    """Apply the attributes of a group that a value states; others are ignored."""
    stated = messages.lowered(value)
    for name, named in (("displayName", "display_name"), ("externalId", "external_id")):
        if name.lower() in stated:
            found.texts[named] = messages.text_of(name, stated[name.lower()])
    if "members" in stated:
        members = _members(stated["members"])
        if verb == "add":
            found.add(members)
        else:
            found.replace(members)


def _members(value: object) -> list[str]:
    """Return the ids of members."""
    ids = []
    for each in value if isinstance(value, list) else [value]:
        stated = messages.lowered(each) if isinstance(each, dict) else {}
        ids.append(messages.text_of("members", stated.get("value")))
    return ids


def _without_members(request: Request) -> bool:
    return "members" in request.text("excludedAttributes").lower().split(",")


def _value(request: Request, group: pb.ScimGroup) -> ScimGroupValue:
    members = [ScimMemberValue(value=each.user_id, display=each.name) for each in group.members]
    return ScimGroupValue(
        schemas=[GROUP],
        id=group.id,
        external_id=group.external_id or UNSET,
        display_name=group.display_name,
        members=UNSET if _without_members(request) else members,
        meta=messages.meta(request, "Group", group.id, group.created_at_us, group.changed_at_us),
    )


_SHOWN = Answer(200, "The group.", ScimGroupValue, media_type=SCIM)
_CHANGED = (400, 404, 413, 415)
_GROUP = f"{BASE}/Groups/{{groupId}}"
ROUTES = (
    scim_route(
        "GET",
        f"{BASE}/Groups",
        list_scim_groups,
        Operation(
            tag=ADMINISTER,
            summary="List the provisioned groups of an identity provider",
            query=(*PAGE, EXCLUDED),
            answers=(Answer(200, "Groups that match.", ScimGroupList, media_type=SCIM),),
        ),
    ),
    scim_route(
        "POST",
        f"{BASE}/Groups",
        create_scim_group,
        Operation(
            tag=ADMINISTER,
            summary="Provision a group",
            body=BODY,
            answers=(Answer(201, "The group is created.", ScimGroupValue, media_type=SCIM),),
            errors=(400, 413, 415),
        ),
    ),
    scim_route(
        "GET",
        _GROUP,
        get_scim_group,
        Operation(
            tag=ADMINISTER,
            summary="Return a provisioned group",
            query=(EXCLUDED,),
            answers=(_SHOWN,),
        ),
    ),
    scim_route(
        "PUT",
        _GROUP,
        replace_scim_group,
        Operation(
            tag=ADMINISTER,
            summary="Replace a provisioned group with its members",
            body=BODY,
            answers=(_SHOWN,),
            errors=_CHANGED,
        ),
    ),
    scim_route(
        "PATCH",
        _GROUP,
        patch_scim_group,
        Operation(
            tag=ADMINISTER,
            summary="Change a provisioned group and its members",
            body=BODY,
            answers=(Answer(204, "The group is changed."),),
            errors=_CHANGED,
        ),
    ),
    scim_route(
        "DELETE",
        _GROUP,
        delete_scim_group,
        Operation(
            tag=ADMINISTER,
            summary="Delete a provisioned group",
            answers=(Answer(204, "The group is deleted."),),
        ),
    ),
)
