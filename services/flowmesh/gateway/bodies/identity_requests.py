"""Bodies of requests about users, sessions, tenants and API keys."""

from functools import partial
from typing import Annotated

from msgspec import Meta

from flowmesh.gateway.bodies.envelopes import Envelope, RequestId
from flowmesh.gateway.http.instants import optional_us
from flowmesh.records import Source

_Password = Annotated[str, Meta(description="12 characters or more, at most 1,024 bytes.")]
_Cookie = Annotated[
    bool,
    Meta(description="Set the tokens as cookies of a browser instead of returning them."),
]
_Slug = Annotated[str, Meta(description="1 to 63 of a-z, 0-9 and `-`.")]
_Name = Annotated[str, Meta(description="A name for people (default: the slug).")]
_Role = Annotated[
    str,
    Meta(
        description="The role.",
        extra_json_schema={"enum": ["viewer", "editor", "admin", "owner", "worker"]},
    ),
]
_Names = Annotated[tuple[str, ...], Meta(description="Empty means any.")]


_EXPIRES = Source("expires_at_us", partial(optional_us, "expiresAt"))


def _values(networks: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {"values": networks}


class RegisterRequest(Envelope, frozen=True, kw_only=True):
    """A new user."""

    email: str
    password: _Password
    name: str = ""
    invitation: Annotated[str, Meta(description="The token of an invitation.")] = ""
    cookie: _Cookie = False


class BootstrapRequest(Envelope, frozen=True, kw_only=True):
    """The first owner of an installation."""

    token: Annotated[str, Meta(description="The one-time token of `flowmesh identity init`.")]
    email: str
    password: _Password
    name: str = ""
    cookie: _Cookie = False


class LoginRequest(Envelope, frozen=True, kw_only=True):
    """A login."""

    email: str
    password: str
    cookie: _Cookie = False


class RefreshRequest(Envelope, frozen=True, kw_only=True):
    """A refresh; without a token, that of the cookie is used and replaced."""

    refresh_token: str = ""


class LogoutRequest(Envelope, frozen=True, kw_only=True):
    """The end of the caller's session."""

    all_sessions: Annotated[bool, Meta(description="End all sessions of the user.")] = False


class PasswordRequest(Envelope, frozen=True, kw_only=True):
    """A change of the caller's password."""

    current_password: str
    new_password: _Password


class CreateRequest(Envelope, frozen=True, kw_only=True):
    """A new company or organization."""

    slug: _Slug
    name: _Name = ""
    request_id: RequestId = ""


class CreateProjectRequest(CreateRequest, frozen=True, kw_only=True):
    """A new project with its namespace."""

    namespace: Annotated[
        str, Meta(description="Unique in the installation (default: the slug).")
    ] = ""


class UpdateRequest(Envelope, frozen=True, kw_only=True):
    """Changed members; absent ones keep their value."""

    slug: _Slug = ""
    name: Annotated[str, Meta(description="A name for people.")] = ""


class RoleRequest(Envelope, frozen=True, kw_only=True):
    """The role of a member."""

    role: _Role


class InviteRequest(Envelope, frozen=True, kw_only=True):
    """An invitation to register with a role."""

    email: str
    role: _Role


class CreateApiKeyRequest(Envelope, frozen=True, kw_only=True):
    """A new API key."""

    name: str
    role: Annotated[
        str,
        Meta(
            description="At most the role of the caller.",
            extra_json_schema={"enum": ["viewer", "editor", "admin", "worker"]},
        ),
    ]
    queues: _Names = ()
    task_types: _Names = ()
    networks: Annotated[
        tuple[str, ...], Meta(description="Such as `10.0.0.0/8`; empty means any.")
    ] = ()
    permissions: Annotated[
        tuple[str, ...], Meta(description="Permissions that tasks may require of the starter.")
    ] = ()
    expires_at: Annotated[
        str, Meta(description="An RFC 3339 time; never, if absent."), _EXPIRES
    ] = ""


class UpdateApiKeyRequest(Envelope, frozen=True, kw_only=True):
    """Changed members of an API key; absent ones keep their value."""

    name: str = ""
    networks: Annotated[
        tuple[str, ...] | None,
        Meta(description="Replaces all networks; empty means any."),
        Source(read=_values),
    ] = None
    expires_at: Annotated[str, Meta(description="An RFC 3339 time."), _EXPIRES] = ""


class RotateApiKeyRequest(Envelope, frozen=True, kw_only=True):
    """A second secret for an API key."""

    overlap_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=30 * 86_400,
            description="Validity of the former secret from now (default: 24 hours).",
        ),
    ] = 0
