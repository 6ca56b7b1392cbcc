"""Requests and responses about identity providers and logins at them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.bodies.identity_answers import GrantValue
from flowmesh.jsontext import dump_json
from flowmesh.records import Source

_Level = Annotated[Literal["company", "organization", "project"], Source(empty="company")]
_Kind = Annotated[
    str, Meta(description="The protocol.", extra_json_schema={"enum": ["oidc", "saml"]})
]


class RoleRule(Envelope, frozen=True, kw_only=True):
    """Gives a role to users whose claim has a value."""

    claim: Annotated[
        str, Meta(description="A claim, or a path such as `realm_access.roles`; empty is any user.")
    ] = ""
    equals: Annotated[str, Meta(description="The claim, or one element of it.")] = ""
    role: Annotated[
        str,
        Meta(
            description="At most the role of the caller.",
            extra_json_schema={"enum": ["viewer", "editor", "admin", "owner"]},
        ),
    ]
    level: _Level = "company"
    level_id: Annotated[
        str, Meta(description="The id of an organization or project of the company.")
    ] = ""


class IdentityProviderRequest(Envelope, frozen=True, kw_only=True):
    """An identity provider."""

    name: Annotated[str, Meta(description="Shown on the login page.")]
    kind: _Kind = "oidc"
    disabled: bool = False
    issuer: Annotated[
        str, Meta(description="The URL of the issuer, as its documents name it; SAML: entity id.")
    ]
    client_id: Annotated[
        str, Meta(description="Flowmesh as a client of the provider; SAML: as its audience.")
    ]
    client_secret: Annotated[
        str, Meta(description="Stored sealed and never shown; empty keeps the former one.")
    ] = ""
    scopes: Annotated[
        tuple[str, ...], Meta(description="Besides `openid` (default: `profile` and `email`).")
    ] = ()
    rules: tuple[RoleRule, ...] = ()
    sso_url: Annotated[str, Meta(description="SAML: the page that takes login requests.")] = ""
    slo_url: Annotated[str, Meta(description="SAML: the page that takes logout requests.")] = ""
    certificates: Annotated[
        tuple[str, ...], Meta(description="SAML: certificates in PEM that sign the answers.")
    ] = ()
    link_by_email: Annotated[
        bool,
        Meta(
            description="A user with a password becomes that of a subject with the same verified"
            " email address."
        ),
    ] = False
    hook: Annotated[
        str, Meta(description="A plugin of the kind `login`; its result is the claim `hook`.")
    ] = ""


class RuleValue(Answer, kw_only=True):
    """A rule of a provider."""

    claim: str
    equals: str
    role: str
    level: _Level
    level_id: str


class IdentityProviderValue(Answer, kw_only=True):
    """An identity provider without its secret; the `ETag` header is for `If-Match`."""

    id: str
    company_id: str
    name: Annotated[str, Source("settings.name")]
    kind: Annotated[str, Source("settings.kind")]
    disabled: Annotated[bool, Source("settings.disabled")]
    issuer: Annotated[str, Source("settings.issuer")]
    client_id: Annotated[str, Source("settings.client_id")]
    scopes: Annotated[list[str], Source("settings.scopes")]
    rules: Annotated[list[RuleValue], Source("settings.rules")]
    sso_url: Annotated[str, Source("settings.sso_url")]
    slo_url: Annotated[str, Source("settings.slo_url")]
    certificates: Annotated[list[str], Source("settings.certificates")]
    link_by_email: Annotated[bool, Source("settings.link_by_email")]
    hook: Annotated[str, Source("settings.hook")]
    has_secret: bool
    created_at: Instant
    etag: str


class IdentityProviderList(Answer, kw_only=True):
    """Identity providers of a company, sorted by name."""

    providers: list[IdentityProviderValue]


class IdentityProviderTest(Envelope, frozen=True, kw_only=True):
    """The claims of a user."""

    claims: Annotated[
        dict[str, Any],
        Meta(description="As in an ID token; nothing is verified."),
        Source("claims_json", lambda claims: dump_json(claims).decode()),
    ] = msgspec.field(default_factory=dict)


class TestedUser(Answer, kw_only=True):
    """The user that a login would be; without roles the login is refused."""

    reachable: bool
    problem: str | UnsetType = UNSET
    email: str
    name: str
    roles: Annotated[list[GrantValue], Source("grants")]


class DeviceLogin(Answer, kw_only=True):
    """The codes of a device: one that it keeps, and one that it shows."""

    device_code: str
    user_code: str
    expires_at: Instant
    interval_seconds: int
    verification_url: str | UnsetType = UNSET
    authorization_url: str | UnsetType = UNSET


class DeviceApproval(Envelope, frozen=True, kw_only=True):
    """The code that a device shows."""

    user_code: str


class DeviceRequest(Envelope, frozen=True, kw_only=True):
    """The code that a device keeps."""

    device_code: str


class LoopbackApproval(Envelope, frozen=True, kw_only=True):
    """A login of the command by a browser of the same machine (RFC 8252)."""

    client_id: Annotated[str, Meta(description="`flowmesh-cli`, the command.")]
    redirect_uri: Annotated[
        str, Meta(description="`http://127.0.0.1:<port>/callback`, or the same of `[::1]`.")
    ]
    code_challenge: Annotated[str, Meta(description="S256 of the verifier (RFC 7636).")]


class LoopbackCode(Answer, kw_only=True):
    """The code with which the command logs in, within a minute and once."""

    code: str


class LoopbackRequest(Envelope, frozen=True, kw_only=True):
    """The code that the browser brought, and the verifier that the command kept."""

    client_id: str
    redirect_uri: str
    code: str
    code_verifier: str


class LoginProviderValue(Answer, kw_only=True):
    """A provider that a company offers."""

    id: str
    name: str
    kind: str


class LoginProviderList(Answer, kw_only=True):
    """Providers that a company offers, sorted by name."""

    providers: list[LoginProviderValue]
