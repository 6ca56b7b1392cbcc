"""Members, invitations and users. The paths of the four levels share their endpoints."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from flowmesh.api.identity.v1 import member_service_pb2 as pb
from flowmesh.api.identity.v1 import principal_pb2
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import identity_answers as answers
from flowmesh.gateway.bodies import identity_requests as bodies
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response, secret_response


@dataclass(frozen=True, slots=True)
class _Level:
    """A level of the hierarchy, and its place in paths and operation ids."""

    number: principal_pb2.Level.ValueType
    path: str
    parameter: str
    word: str
    text: str


_LEVELS = (
    _Level(principal_pb2.LEVEL_UNSPECIFIED, "", "", "Installation", "the installation"),
    _Level(
        principal_pb2.LEVEL_COMPANY, "/companies/{companyId}", "companyId", "Company", "a company"
    ),
    _Level(
        principal_pb2.LEVEL_ORGANIZATION,
        "/organizations/{organizationId}",
        "organizationId",
        "Organization",
        "an organization",
    ),
    _Level(
        principal_pb2.LEVEL_PROJECT, "/projects/{projectId}", "projectId", "Project", "a project"
    ),
)


async def list_members(backends: Backends, request: Request) -> Response:
    level, level_id = _place(request)
    found = await backends.members.ListMembers(
        pb.ListMembersRequest(
            level=level,
            level_id=level_id,
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    members = [answers.member_value(each) for each in found.members]
    return json_response(answers.MemberList(members=members, next_page_token=found.next_page_token))


async def get_member(backends: Backends, request: Request) -> Response:
    level, level_id = _place(request)
    found = await backends.members.GetMember(
        pb.GetMemberRequest(level=level, level_id=level_id, user_id=request.param("userId"))
    )
    return json_response(answers.member_value(found.member))


async def set_member(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.RoleRequest)
    await backends.members.SetMember(_membership(request, envelope.role))
    return Response(HTTPStatus.NO_CONTENT)


async def remove_member(backends: Backends, request: Request) -> Response:
    await backends.members.SetMember(_membership(request, ""))
    return Response(HTTPStatus.NO_CONTENT)


def _membership(request: Request, role: str) -> pb.SetMemberRequest:
    level, level_id = _place(request)
    grant = principal_pb2.Grant(level=level, level_id=level_id, role=role)
    return pb.SetMemberRequest(user_id=request.param("userId"), grant=grant)


async def create_invitation(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.InviteRequest)
    level, level_id = _place(request)
    made = await backends.members.CreateInvitation(
        pb.CreateInvitationRequest(
            email=envelope.email,
            grant=principal_pb2.Grant(level=level, level_id=level_id, role=envelope.role),
        )
    )
    return secret_response(answers.created_invitation(made), HTTPStatus.CREATED)


async def list_invitations(backends: Backends, request: Request) -> Response:
    level, level_id = _place(request)
    found = await backends.members.ListInvitations(
        pb.ListInvitationsRequest(level=level, level_id=level_id)
    )
    invitations = [answers.invitation_value(each) for each in found.invitations]
    return json_response(answers.InvitationList(invitations=invitations))


async def get_invitation(backends: Backends, request: Request) -> Response:
    found = await backends.members.GetInvitation(
        pb.GetInvitationRequest(invitation_id=request.param("invitationId"))
    )
    return json_response(answers.invitation_value(found.invitation))


async def delete_invitation(backends: Backends, request: Request) -> Response:
    await backends.members.DeleteInvitation(
        pb.DeleteInvitationRequest(invitation_id=request.param("invitationId"))
    )
    return Response(HTTPStatus.NO_CONTENT)


async def list_users(backends: Backends, request: Request) -> Response:
    found = await backends.members.ListUsers(
        pb.ListUsersRequest(
            company_id=request.param("companyId"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    users = [answers.user_value(each) for each in found.users]
    return json_response(answers.UserList(users=users, next_page_token=found.next_page_token))


async def disable_user(backends: Backends, request: Request) -> Response:
    return await _set_disabled(backends, request, disabled=True)


async def enable_user(backends: Backends, request: Request) -> Response:
    return await _set_disabled(backends, request, disabled=False)


async def _set_disabled(backends: Backends, request: Request, *, disabled: bool) -> Response:
    await backends.members.SetUserDisabled(
        pb.SetUserDisabledRequest(user_id=request.param("userId"), disabled=disabled)
    )
    return Response(HTTPStatus.NO_CONTENT)


def _place(request: Request) -> tuple[principal_pb2.Level.ValueType, str]:
    """Return the level that the path names, and its id."""
    for level in _LEVELS:
        if level.parameter in request.params:
            return level.number, request.param(level.parameter)
    return principal_pb2.LEVEL_UNSPECIFIED, ""


def _member_routes(level: _Level) -> Iterator[Route]:
    members = f"/api/v1{level.path}/members"
    yield Route(
        "GET",
        members,
        list_members,
        Operation(
            tag=ADMINISTER,
            summary=f"List the members of {level.text} and of the levels above",
            query=PAGING,
            answers=(Answer(200, "Sorted by email address.", answers.MemberList),),
        ),
        f"list{level.word}Members",
    )
    yield Route(
        "GET",
        f"{members}/{{userId}}",
        get_member,
        Operation(
            tag=ADMINISTER,
            summary=f"Get a member of {level.text}",
            answers=(Answer(200, "The user with its nearest role.", answers.MemberValue),),
        ),
        f"get{level.word}Member",
    )
    yield Route(
        "PUT",
        f"{members}/{{userId}}",
        set_member,
        Operation(
            tag=ADMINISTER,
            summary=f"Give a user a role on {level.text}",
            body=Body(bodies.RoleRequest),
            answers=(Answer(204, "The role is set."),),
            errors=(404, 409),
        ),
        f"set{level.word}Member",
    )
    yield Route(
        "DELETE",
        f"{members}/{{userId}}",
        remove_member,
        Operation(
            tag=ADMINISTER,
            summary=f"Remove the role of a user on {level.text}",
            answers=(Answer(204, "The user has no role on this level."),),
            errors=(404, 409),
        ),
        f"remove{level.word}Member",
    )


def _invitation_routes(level: _Level) -> Iterator[Route]:
    invitations = f"/api/v1{level.path}/invitations"
    yield Route(
        "POST",
        invitations,
        create_invitation,
        Operation(
            tag=ADMINISTER,
            summary=f"Invite a person to {level.text}; the token is shown once",
            body=Body(bodies.InviteRequest),
            answers=(Answer(201, "Valid for seven days.", answers.CreatedInvitation),),
        ),
        f"create{level.word}Invitation",
    )
    yield Route(
        "GET",
        invitations,
        list_invitations,
        Operation(
            tag=ADMINISTER,
            summary=f"List the open invitations to {level.text}",
            answers=(Answer(200, "Open invitations.", answers.InvitationList),),
        ),
        f"list{level.word}Invitations",
    )


def _switch(summary: str) -> Operation:
    return Operation(
        tag=ADMINISTER, summary=summary, answers=(Answer(204, "Done."),), errors=(404,)
    )


ROUTES = (
    *(route for level in _LEVELS for route in _member_routes(level)),
    *(route for level in _LEVELS for route in _invitation_routes(level)),
    Route(
        "GET",
        "/api/v1/invitations/{invitationId}",
        get_invitation,
        Operation(
            tag=ADMINISTER,
            summary="Get an invitation",
            answers=(Answer(200, "Found, without its token.", answers.InvitationValue),),
        ),
    ),
    Route(
        "DELETE",
        "/api/v1/invitations/{invitationId}",
        delete_invitation,
        Operation(
            tag=ADMINISTER,
            summary="Withdraw an invitation",
            answers=(Answer(204, "Its token is invalid."),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/companies/{companyId}/users",
        list_users,
        Operation(
            tag=ADMINISTER,
            summary="List the users of a company",
            query=PAGING,
            answers=(Answer(200, "Sorted by email address.", answers.UserList),),
        ),
    ),
    Route(
        "POST",
        "/api/v1/users/{userId}:disable",
        disable_user,
        _switch("Disable a user and end its sessions"),
    ),
    Route("POST", "/api/v1/users/{userId}:enable", enable_user, _switch("Enable a user")),
)
