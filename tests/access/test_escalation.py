"""No caller comes to more rights than it was given."""

from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from flowmesh.access import Role
from flowmesh.api.common.v1.access_pb2 import IdKind
from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.identity.v1 import (
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
    tenant_service_pb2,
)
from tests.access.crossing import Pair
from tests.access.tenants import SAME, Tenant, member
from tests.features.closed import Caller, Closed

pytestmark = [pytest.mark.feature("S1-111")]
PROJECT, COMPANY = principal_pb2.LEVEL_PROJECT, principal_pb2.LEVEL_COMPANY


@dataclass(frozen=True)
class User:
    id: str
    caller: Caller


async def joined(closed: Closed, tenant: Tenant, role: Role, *, at: int = PROJECT) -> User:
    """Register a user with a role in a tenant."""
    level_id = tenant.ids[IdKind.ID_KIND_PROJECT if at == PROJECT else IdKind.ID_KIND_COMPANY]
    email = f"{role.value}-{at}@{tenant.canary}.example"
    made = await member(closed, email, at, level_id, role)
    return User(made.user.id, closed.caller(made.tokens.access_token))


async def refusal(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return f"{refused.value.code().name}: {refused.value.details()}"


def grant(user: str, tenant: Tenant, role: str, *, at: int = PROJECT) -> Any:
    kind = IdKind.ID_KIND_PROJECT if at == PROJECT else IdKind.ID_KIND_COMPANY
    made = principal_pb2.Grant(
        level=principal_pb2.Level.ValueType(at), level_id=tenant.ids[kind], role=role
    )
    return member_service_pb2.SetMemberRequest(user_id=user, grant=made)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.ADMIN])
async def test_a_role_cannot_grant_itself_a_wider_one(
    closed: Closed, pair: Pair, role: Role
) -> None:
    """Neither by membership, nor by an invitation, nor by an API key."""
    tenant = pair.caller
    user = await joined(closed, tenant, role)
    wider = {Role.VIEWER: "editor", Role.EDITOR: "admin", Role.ADMIN: "owner"}[role]
    by_membership = await refusal(user.caller.members.SetMember(grant(user.id, tenant, wider)))
    assert by_membership.startswith("PERMISSION_DENIED")
    invitation = member_service_pb2.CreateInvitationRequest(
        email="another@self.example", grant=grant("", tenant, wider).grant
    )
    by_invitation = await refusal(user.caller.members.CreateInvitation(invitation))
    assert by_invitation.startswith("PERMISSION_DENIED")
    key = key_service_pb2.CreateApiKeyRequest(
        project_id=tenant.ids[IdKind.ID_KIND_PROJECT], name="wider", role=wider
    )
    by_key = await refusal(user.caller.keys.CreateApiKey(key))
    assert by_key.startswith(("PERMISSION_DENIED", "INVALID_ARGUMENT: an API key cannot be"))
    if role is Role.ADMIN:
        assert "wider than your own" in by_membership
        assert "wider than your own" in by_invitation


async def test_an_admin_of_a_project_is_none_of_its_company(closed: Closed, pair: Pair) -> None:
    """It reads the levels above, and changes neither them nor the projects beside its own."""
    tenant = pair.other
    user = await joined(closed, tenant, Role.ADMIN)
    company = tenant.ids[IdKind.ID_KIND_COMPANY]
    tenants, members = user.caller.tenants, user.caller.members
    await tenants.GetCompany(tenant_service_pb2.GetCompanyRequest(company_id=company))
    calls = (
        tenants.UpdateCompany(
            tenant_service_pb2.UpdateCompanyRequest(company_id=company, name="mine")
        ),
        tenants.CreateOrganization(
            tenant_service_pb2.CreateOrganizationRequest(company_id=company, slug="mine")
        ),
        tenants.CreateProject(
            tenant_service_pb2.CreateProjectRequest(
                organization_id=tenant.ids[IdKind.ID_KIND_ORGANIZATION], slug="mine"
            )
        ),
        members.SetMember(grant(user.id, tenant, "admin", at=COMPANY)),
        members.ListUsers(member_service_pb2.ListUsersRequest(company_id=company)),
    )
    for call in calls:
        assert (await refusal(call)).startswith("PERMISSION_DENIED: the call needs the role")


async def test_the_last_owner_cannot_leave(closed: Closed, pair: Pair) -> None:
    """Neither by giving the role up nor by taking a lesser one; with a second owner it may."""
    tenant = pair.caller
    owner = tenant.keys[Role.OWNER]
    # Its creator is an owner of the company as well.
    creator = closed.session.user.id
    await owner.members.SetMember(grant(creator, tenant, "", at=COMPANY))
    me = (await owner.members.ListMembers(_members(tenant))).members[0].user.id
    for role in ("", "viewer"):
        alone = await refusal(owner.members.SetMember(grant(me, tenant, role, at=COMPANY)))
        assert alone.startswith("FAILED_PRECONDITION"), alone
        assert "only owner" in alone
    admin = await joined(closed, tenant, Role.ADMIN, at=COMPANY)
    lesser = await refusal(admin.caller.members.SetMember(grant(me, tenant, "", at=COMPANY)))
    assert lesser.startswith("PERMISSION_DENIED")
    await owner.members.SetMember(grant(admin.id, tenant, "owner", at=COMPANY))
    await owner.members.SetMember(grant(admin.id, tenant, "admin", at=COMPANY))


def _members(tenant: Tenant) -> Any:
    company = tenant.ids[IdKind.ID_KIND_COMPANY]
    return member_service_pb2.ListMembersRequest(level=COMPANY, level_id=company)


def test_a_project_cannot_be_moved() -> None:
    """No field of a change names another level."""
    fields = set(tenant_service_pb2.UpdateProjectRequest.DESCRIPTOR.fields_by_name)
    assert fields == {"project_id", "slug", "name", "etag"}


@pytest.mark.feature("S4-62")
async def test_an_editor_that_lost_its_role_keeps_no_way_to_its_triggers(
    closed: Closed, pair: Pair
) -> None:
    """It fired one before; afterwards it neither fires nor pauses any."""
    tenant = pair.other
    editor = await joined(closed, tenant, Role.EDITOR, at=COMPANY)
    triggers: Any = TriggerServiceStub(editor.caller.channel)
    names: dict[str, Any] = {
        "namespace": tenant.namespace,
        "workflow_id": SAME,
        "trigger_id": "paid",
    }
    assert (await triggers.FireTrigger(trigger_service_pb2.FireTriggerRequest(**names))).created
    await closed.owner.members.SetMember(grant(editor.id, tenant, "", at=COMPANY))
    for call in (
        triggers.FireTrigger(trigger_service_pb2.FireTriggerRequest(**names)),
        triggers.PauseTrigger(trigger_service_pb2.PauseTriggerRequest(**names)),
    ):
        assert (await refusal(call)).startswith("NOT_FOUND: there is no namespace")
