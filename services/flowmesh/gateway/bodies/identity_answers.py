"""Responses about users, sessions, tenants and API keys."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from flowmesh.access.roles import GROUP_NAMES
from flowmesh.api.identity.v1 import (
    auth_service_pb2,
)
from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.records import Source, reader

LevelWord = Literal["installation", "company", "organization", "project"]
Level = Annotated[LevelWord, Source(empty="installation")]
Secret = Annotated[str, Meta(description="Shown in this response only.")]


class GrantValue(Answer, kw_only=True):
    """A role on a level of the hierarchy; `levelId` is absent for the whole installation."""

    level: Level
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
    roles: Annotated[list[GrantValue], Source("grants")] | UnsetType = UNSET


class TokensValue(Answer, kw_only=True):
    """Tokens of a session; absent where they are set as cookies."""

    access_token: Secret | UnsetType = UNSET
    access_expires_at: Instant
    refresh_token: Secret | UnsetType = UNSET
    refresh_expires_at: Instant


class SessionAnswer(TokensValue, kw_only=True):
    """A new session and its user."""

    user: UserValue


class LogoutAnswer(Answer, kw_only=True):
    """The page at which the identity provider ends its own session."""

    provider_logout_url: str


class SessionValue(Answer, kw_only=True):
    """An open session; `provider` is the name of the identity provider of its login."""

    id: str
    created_at: Instant
    last_used_at: Instant | UnsetType = UNSET
    address: str
    provider: str | UnsetType = UNSET
    current: bool


class SessionList(Answer, kw_only=True):
    """Open sessions of the caller, newest first."""

    sessions: list[SessionValue]


def _permissions(bits: int) -> list[str]:
    return [name for bit, name in GROUP_NAMES.items() if bits & bit]


def _namespaces(bits: Mapping[str, int]) -> dict[str, list[str]]:
    return {name: _permissions(each) for name, each in bits.items()}


class MeAnswer(Answer, kw_only=True):
    """The caller. `namespaces` are its permissions by namespace, `everywhere` those in all."""

    id: Annotated[str, Source("principal.id")]
    kind: Annotated[str, Source("principal.kind")]
    name: Annotated[str, Source("principal.name")]
    everywhere: Annotated[list[str], Source("principal.everywhere", _permissions)]
    namespaces: Annotated[dict[str, list[str]], Source("principal.namespaces", _namespaces)]
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
    level: Level


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


me_answer = reader(MeAnswer, auth_service_pb2.GetMeResponse)
user_value = reader(UserValue, auth_service_pb2.User)
