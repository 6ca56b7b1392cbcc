"""Responses about users, sessions, tenants and API keys."""

from typing import Annotated, Any, Literal, cast

from msgspec import UNSET, Meta, UnsetType

from flowmesh.access.roles import GROUP_NAMES
from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
    tenant_service_pb2,
)
from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.views import instant_or_unset
from flowmesh.views import instant

LevelWord = Literal["installation", "company", "organization", "project"]
Secret = Annotated[str, Meta(description="Shown in this response only.")]


class GrantValue(Answer, kw_only=True):
    """A role on a level of the hierarchy; `levelId` is absent for the whole installation."""

    level: LevelWord
    level_id: str | UnsetType = UNSET
    role: str


class UserValue(Answer, kw_only=True):
    """A user of the installation."""

    id: str
    email: str
    name: str
    created_at: Instant | UnsetType = UNSET
    last_login_at: Instant | UnsetType = UNSET
    disabled: bool
    roles: list[GrantValue] | UnsetType = UNSET


class TokensValue(Answer, kw_only=True):
    """Tokens of a session; absent where they are set as cookies."""

    access_token: Secret | UnsetType = UNSET
    access_expires_at: Instant
    refresh_token: Secret | UnsetType = UNSET
    refresh_expires_at: Instant


class SessionAnswer(TokensValue, kw_only=True):
    """A new session and its user."""

    user: UserValue


class MeAnswer(Answer, kw_only=True):
    """The caller. `namespaces` are its permissions by namespace, `everywhere` those in all."""

    id: str
    kind: str
    name: str
    everywhere: list[str]
    namespaces: dict[str, list[str]]
    user: UserValue | UnsetType = UNSET


class KeySetAnswer(Answer, kw_only=True):
    """A JSON Web Key Set (RFC 7517) with the public keys of access tokens."""

    keys: list[dict[str, Any]]


class CompanyValue(Answer, kw_only=True):
    """A company; the `ETag` header of the response is for `If-Match`."""

    id: str
    slug: str
    name: str
    created_at: Instant
    etag: str


class OrganizationValue(CompanyValue, kw_only=True):
    """An organization of a company."""

    company_id: str


class ProjectValue(OrganizationValue, kw_only=True):
    """A project of an organization; its workflows and executions are in its namespace."""

    organization_id: str
    namespace: str


class CompanyList(Answer, kw_only=True):
    """Companies in which the caller has a role, sorted by slug."""

    companies: list[CompanyValue]
    next_page_token: str


class OrganizationList(Answer, kw_only=True):
    """Organizations of a company, sorted by slug."""

    organizations: list[OrganizationValue]
    next_page_token: str


class ProjectList(Answer, kw_only=True):
    """Projects of an organization, sorted by slug."""

    projects: list[ProjectValue]
    next_page_token: str


class MemberValue(Answer, kw_only=True):
    """A user with a role; `level` is the level on which the role was given."""

    user: UserValue
    role: str
    level: LevelWord


class MemberList(Answer, kw_only=True):
    """Users with a role on the level or above it, sorted by email address."""

    members: list[MemberValue]
    next_page_token: str


class UserList(Answer, kw_only=True):
    """Users of a company, sorted by email address."""

    users: list[UserValue]
    next_page_token: str


class InvitationValue(Answer, kw_only=True):
    """An invitation to register with a role."""

    id: str
    email: str
    grant: GrantValue
    created_at: Instant
    expires_at: Instant


class CreatedInvitation(InvitationValue, kw_only=True):
    """A new invitation with the token for `register`."""

    token: Secret


class InvitationList(Answer, kw_only=True):
    """Open invitations of a level."""

    invitations: list[InvitationValue]


class RoleValue(Answer, kw_only=True):
    """A role with its permissions."""

    name: str
    permissions: list[str]


class RoleList(Answer, kw_only=True):
    """All roles."""

    roles: list[RoleValue]


class ApiKeyValue(Answer, kw_only=True):
    """An API key without its secret; empty lists mean any."""

    id: str
    project_id: str
    name: str
    role: str
    queues: list[str]
    task_types: list[str]
    networks: list[str]
    permissions: list[str]
    created_at: Instant
    created_by: str
    expires_at: Instant | UnsetType = UNSET
    last_used_at: Instant | UnsetType = UNSET


class CreatedApiKey(ApiKeyValue, kw_only=True):
    """An API key with its secret."""

    secret: Secret


class ApiKeyList(Answer, kw_only=True):
    """API keys of a project, newest first."""

    keys: list[ApiKeyValue]
    next_page_token: str


def level_word(level: principal_pb2.Level.ValueType) -> LevelWord:
    if not level:
        return "installation"
    word = principal_pb2.Level.Name(level).removeprefix("LEVEL_").lower()
    return cast("LevelWord", word)


def grant_value(grant: principal_pb2.Grant) -> GrantValue:
    return GrantValue(
        level=level_word(grant.level), level_id=grant.level_id or UNSET, role=grant.role
    )


def user_value(user: auth_service_pb2.User) -> UserValue:
    return UserValue(
        id=user.id,
        email=user.email,
        name=user.name,
        created_at=instant_or_unset(user.created_at_us),
        last_login_at=instant_or_unset(user.last_login_at_us),
        disabled=user.disabled,
        roles=[grant_value(each) for each in user.grants] or UNSET,
    )


def me_answer(response: auth_service_pb2.GetMeResponse) -> MeAnswer:
    principal = response.principal
    return MeAnswer(
        id=principal.id,
        kind=principal.kind,
        name=principal.name,
        everywhere=_permissions(principal.everywhere),
        namespaces={name: _permissions(bits) for name, bits in principal.namespaces.items()},
        user=user_value(response.user) if response.HasField("user") else UNSET,
    )


def company_value(company: tenant_service_pb2.Company) -> CompanyValue:
    return CompanyValue(
        id=company.id,
        slug=company.slug,
        name=company.name,
        created_at=instant(company.created_at_us),
        etag=company.etag,
    )


def organization_value(organization: tenant_service_pb2.Organization) -> OrganizationValue:
    return OrganizationValue(
        id=organization.id,
        company_id=organization.company_id,
        slug=organization.slug,
        name=organization.name,
        created_at=instant(organization.created_at_us),
        etag=organization.etag,
    )


def project_value(project: tenant_service_pb2.Project) -> ProjectValue:
    return ProjectValue(
        id=project.id,
        company_id=project.company_id,
        organization_id=project.organization_id,
        slug=project.slug,
        name=project.name,
        namespace=project.namespace,
        created_at=instant(project.created_at_us),
        etag=project.etag,
    )


def member_value(member: member_service_pb2.Member) -> MemberValue:
    return MemberValue(
        user=user_value(member.user), role=member.role, level=level_word(member.level)
    )


def invitation_value(invitation: member_service_pb2.Invitation) -> InvitationValue:
    return InvitationValue(**_invitation(invitation))


def created_invitation(response: member_service_pb2.CreateInvitationResponse) -> CreatedInvitation:
    return CreatedInvitation(**_invitation(response.invitation), token=response.token)


def key_value(key: key_service_pb2.ApiKey) -> ApiKeyValue:
    return ApiKeyValue(**_key(key))


def created_key(key: key_service_pb2.ApiKey, secret: str) -> CreatedApiKey:
    return CreatedApiKey(**_key(key), secret=secret)


def _permissions(bits: int) -> list[str]:
    return [name for bit, name in GROUP_NAMES.items() if bits & bit]


def _invitation(invitation: member_service_pb2.Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "email": invitation.email,
        "grant": grant_value(invitation.grant),
        "created_at": instant(invitation.created_at_us),
        "expires_at": instant(invitation.expires_at_us),
    }


def _key(key: key_service_pb2.ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "project_id": key.project_id,
        "name": key.name,
        "role": key.role,
        "queues": list(key.queues),
        "task_types": list(key.task_types),
        "networks": list(key.networks),
        "permissions": list(key.permissions),
        "created_at": instant(key.created_at_us),
        "created_by": key.created_by,
        "expires_at": instant_or_unset(key.expires_at_us),
        "last_used_at": instant_or_unset(key.last_used_at_us),
    }
