"""`identity users`, `members`, `invite`, `set-role`: users, their roles and invitations."""

from typing import TYPE_CHECKING, Any, Literal

from flowmesh.api.identity.v1 import member_service_pb2 as pb
from flowmesh.api.identity.v1.member_service_pb2_grpc import MemberServiceStub
from flowmesh.api.identity.v1.principal_pb2 import Grant, Level
from flowmesh.cli import output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import LEVEL, PAGE_SIZE, LevelOptions, Tenants, pages
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

MemberRole = Literal["viewer", "editor", "admin", "owner"]


@command
async def list_users(*, company: str = "", common: Common = COMMON) -> None:
    """List the users of a company.

    Args:
        company: Id or slug of the company; not needed if there is one only.
    """
    async with connected(common) as client:
        found = await _users(client, (await Tenants(client).company(company)).id)
        output.table(
            found,
            document_of,
            "EMAIL NAME ID STATE LAST_LOGIN=last_login_at_us CREATED=created_at_us",
            none="The company has no users that you may see.",
            STATE=lambda each: "disabled" if each.disabled else "enabled",
        )


@command
async def list_members(*, level: LevelOptions = LEVEL, common: Common = COMMON) -> None:
    """List the users with a role on a level or above it; by default on the namespace's project."""
    async with connected(common) as client:
        chosen = await Tenants(client).level(level)
        request = pb.ListMembersRequest(level=chosen.kind, level_id=chosen.id, page_size=PAGE_SIZE)
        method = _stub(client).ListMembers
        found = [each async for each in pages(client, method, request, "members")]
        output.table(
            found,
            document_of,
            "EMAIL ROLE LEVEL ID",
            none="There are no members.",
            EMAIL=lambda each: each.user.email,
            LEVEL=lambda each: _level(each.level),
            ID=lambda each: each.user.id,
        )


@command
async def invite(
    email: str, role: MemberRole, /, *, level: LevelOptions = LEVEL, common: Common = COMMON
) -> None:
    """Invite a person; print the token of the invitation, which is shown this once.

    Args:
        email: Email address of the person.
        role: Role that the invitation gives.
    """
    async with connected(common) as client:
        chosen = await Tenants(client).level(level)
        grant = Grant(level=chosen.kind, level_id=chosen.id, role=role)
        request = pb.CreateInvitationRequest(email=email, grant=grant)
        answer = await client.caller.call(_stub(client).CreateInvitation, request)
        if common.structured:
            output.document(document_of(answer.invitation) | {"token": answer.token})
            return
        rows = [("id", answer.invitation.id), ("token", answer.token)]
        output.columns(("email", answer.invitation.email), rows)
        output.problem("flowmesh: `flowmesh identity register --invitation` takes the token")


@command
async def set_role(
    user: str,
    role: Literal["viewer", "editor", "admin", "owner", "none"],
    /,
    *,
    level: LevelOptions = LEVEL,
    common: Common = COMMON,
) -> None:
    """Set the role of a user on a level; by default on the project of the namespace.

    Args:
        user: Email address or id of the user.
        role: The role; none removes it.
    """
    async with connected(common) as client:
        chosen = await Tenants(client).level(level)
        user_id = user if "@" not in user else await _user_id(client, user, chosen.company_id)
        granted = "" if role == "none" else role
        grant = Grant(level=chosen.kind, level_id=chosen.id, role=granted)
        request = pb.SetMemberRequest(user_id=user_id, grant=grant)
        await client.caller.call(_stub(client).SetMember, request)
        output.result(
            {"userId": user_id, "grant": document_of(grant)},
            f"{user} is {role} of {_level(chosen.kind)} {chosen.id}".rstrip(),
        )


async def _user_id(client: "Client", email: str, company_id: str) -> str:
    """Return the id of a user of a company, or of the only one."""
    company = company_id or (await Tenants(client).company()).id
    for each in await _users(client, company):
        if each.email == email.lower():
            return str(each.id)
    raise Refused(f"no user of the company has the address {email}", "`flowmesh identity users`")


async def _users(client: "Client", company_id: str) -> list[Any]:
    request = pb.ListUsersRequest(company_id=company_id, page_size=PAGE_SIZE)
    return [each async for each in pages(client, _stub(client).ListUsers, request, "users")]


def _stub(client: "Client") -> Any:
    return MemberServiceStub(client.caller.channel)


def _level(level: Level.ValueType) -> str:
    return Level.Name(level).removeprefix("LEVEL_").lower().replace("unspecified", "installation")
