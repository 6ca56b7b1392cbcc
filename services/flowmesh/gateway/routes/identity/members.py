"""Members, invitations and users. The paths of the four levels share their endpoints."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowmesh.api.identity.v1 import member_service_pb2 as pb
from flowmesh.api.identity.v1 import principal_pb2
from flowmesh.gateway.bodies import identity_answers as answers
from flowmesh.gateway.bodies import identity_requests as bodies
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Route
from flowmesh.gateway.routes.common import PAGING
from flowmesh.gateway.routes.rpc_route import rpc_route


@dataclass(frozen=True, slots=True)
class _Level:
    """A level of the hierarchy, and its place in paths and operation ids."""

    number: principal_pb2.Level.ValueType
    path: str
    parameter: str
    word: str
    text: str


_LEVELS = (
    _Level(principal_pb2.LEVEL_UNSPECIFIED, "", "", "installation", "the installation"),
    _Level(
        principal_pb2.LEVEL_COMPANY, "/companies/{companyId}", "companyId", "company", "a company"
    ),
    _Level(
        principal_pb2.LEVEL_ORGANIZATION,
        "/organizations/{organizationId}",
        "organizationId",
        "organization",
        "an organization",
    ),
    _Level(
        principal_pb2.LEVEL_PROJECT, "/projects/{projectId}", "projectId", "project", "a project"
    ),
)


def _at(level: _Level, prefix: str = "") -> dict[str, Any]:
    """Return the place of the level in a request: of the path, and fixed."""
    return {
        "fixed": {f"{prefix}level": level.number},
        "names": {level.parameter: f"{prefix}level_id"},
    }


def _member_routes(level: _Level) -> Iterator[Route]:
    members = f"/api/v1{level.path}/members"
    yield rpc_route(
        "GET",
        members,
        pb.ListMembersRequest,
        name=f"list_{level.word}_members",
        **_at(level),
        tag=ADMINISTER,
        summary=f"List the members of {level.text} and of the levels above",
        query=PAGING,
        answers=(Answer(200, "Sorted by email address.", answers.MemberList),),
    )
    yield rpc_route(
        "GET",
        f"{members}/{{userId}}",
        pb.GetMemberRequest,
        name=f"get_{level.word}_member",
        **_at(level),
        part="member",
        tag=ADMINISTER,
        summary=f"Get a member of {level.text}",
        answers=(Answer(200, "The user with its nearest role.", answers.MemberValue),),
    )
    yield rpc_route(
        "PUT",
        f"{members}/{{userId}}",
        pb.SetMemberRequest,
        name=f"set_{level.word}_member",
        **_at(level, "grant."),
        into="grant",
        tag=ADMINISTER,
        summary=f"Give a user a role on {level.text}",
        body=Body(bodies.RoleRequest),
        answers=(Answer(204, "The role is set."),),
        errors=(404, 409),
    )
    yield rpc_route(
        "DELETE",
        f"{members}/{{userId}}",
        pb.SetMemberRequest,
        name=f"remove_{level.word}_member",
        **_at(level, "grant."),
        tag=ADMINISTER,
        summary=f"Remove the role of a user on {level.text}",
        answers=(Answer(204, "The user has no role on this level."),),
        errors=(404, 409),
    )


def _invitation_routes(level: _Level) -> Iterator[Route]:
    invitations = f"/api/v1{level.path}/invitations"
    yield rpc_route(
        "POST",
        invitations,
        pb.CreateInvitationRequest,
        name=f"create_{level.word}_invitation",
        **_at(level, "grant."),
        into="grant",
        part="invitation",
        secret=True,
        tag=ADMINISTER,
        summary=f"Invite a person to {level.text}; the token is shown once",
        body=Body(bodies.InviteRequest),
        answers=(Answer(201, "Valid for seven days.", answers.CreatedInvitation),),
    )
    yield rpc_route(
        "GET",
        invitations,
        pb.ListInvitationsRequest,
        name=f"list_{level.word}_invitations",
        **_at(level),
        tag=ADMINISTER,
        summary=f"List the open invitations to {level.text}",
        answers=(Answer(200, "Open invitations.", answers.InvitationList),),
    )


def _switch(summary: str) -> dict[str, Any]:
    answers = (Answer(204, "Done."),)
    return {"tag": ADMINISTER, "summary": summary, "answers": answers, "errors": (404,)}


ROUTES = (
    *(route for level in _LEVELS for route in _member_routes(level)),
    *(route for level in _LEVELS for route in _invitation_routes(level)),
    rpc_route(
        "GET",
        "/api/v1/invitations/{invitationId}",
        pb.GetInvitationRequest,
        part="invitation",
        tag=ADMINISTER,
        summary="Get an invitation",
        answers=(Answer(200, "Found, without its token.", answers.InvitationValue),),
    ),
    rpc_route(
        "DELETE",
        "/api/v1/invitations/{invitationId}",
        pb.DeleteInvitationRequest,
        tag=ADMINISTER,
        summary="Withdraw an invitation",
        answers=(Answer(204, "Its token is invalid."),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        "/api/v1/companies/{companyId}/users",
        pb.ListUsersRequest,
        tag=ADMINISTER,
        summary="List the users of a company",
        query=PAGING,
        answers=(Answer(200, "Sorted by email address.", answers.UserList),),
    ),
    rpc_route(
        "POST",
        "/api/v1/users/{userId}:disable",
        pb.SetUserDisabledRequest,
        name="disable_user",
        fixed={"disabled": True},
        **_switch("Disable a user and end its sessions"),
    ),
    rpc_route(
        "POST",
        "/api/v1/users/{userId}:enable",
        pb.SetUserDisabledRequest,
        name="enable_user",
        fixed={"disabled": False},
        **_switch("Enable a user"),
    ),
)
