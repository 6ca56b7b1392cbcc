"""Rows of the identity schema as values. Times are microseconds since 1970, 0 for none."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Self

from flowmesh.access.roles import Role

Row = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Level(IntEnum):
    """A level of the hierarchy, as the contracts number them."""

    INSTALLATION = 0
    COMPANY = 1
    ORGANIZATION = 2
    PROJECT = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A company, an organization or a project with the ids above it; all empty is everything."""

    company: str = ""
    organization: str = ""
    project: str = ""

    @property
    def level(self) -> Level:
        if self.project:
            return Level.PROJECT
        if self.organization:
            return Level.ORGANIZATION
        return Level.COMPANY if self.company else Level.INSTALLATION

    @property
    def id(self) -> str:
        return self.project or self.organization or self.company

    def holds(self, level: Level, level_id: str) -> bool:
        """Return whether a level is this place or above it; the installation is above none."""
        if level is Level.INSTALLATION:
            return self.level is level
        return level_id == (self.company, self.organization, self.project)[level - 1]


class Columns:
    """A record with a column for each field; that of `created_at_us` is `created_at`."""

    __slots__ = ()

    @classmethod
    def of(cls, row: Row) -> Self:
        names = (field.name for field in fields(cls))  # type: ignore[arg-type]
        return cls(**{name: _value(row, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant(Columns):
    """A company, an organization or a project, with the names and the reason of its kind."""

    kind: ClassVar[str]
    plural: ClassVar[str]
    prefix: ClassVar[str]
    missing: ClassVar[str]

    id: str
    slug: str
    name: str
    etag: int = 1
    created_at_us: int = 0

    @property
    def place(self) -> Place:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Company(Tenant):
    kind, plural, prefix = "company", "companies", "co"
    missing = "COMPANY_NOT_FOUND"

    @property
    def place(self) -> Place:
        return Place(company=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization(Tenant):
    kind, plural, prefix = "organization", "organizations", "org"
    missing = "ORGANIZATION_NOT_FOUND"

    company: str

    @property
    def place(self) -> Place:
        return Place(company=self.company, organization=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(Tenant):
    kind, plural, prefix = "project", "projects", "prj"
    missing = "PROJECT_NOT_FOUND"

    organization: str
    company: str
    namespace: str

    @property
    def place(self) -> Place:
        return Place(self.company, self.organization, self.id)


@dataclass(frozen=True, slots=True)
class User(Columns):
    id: str
    email: str
    name: str
    password_hash: str
    disabled: bool
    created_at_us: int
    last_login_at_us: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on one level."""

    level: Level
    level_id: str
    role: Role

    @classmethod
    def of(cls, row: Row) -> "Grant":
        return cls(Level(row["level"]), row["level_id"], Role(row["role"]))


@dataclass(frozen=True, slots=True)
class Member:
    user: User
    role: Role
    level: Level

    @classmethod
    def of(cls, row: Row) -> "Member":
        return cls(User.of(row), Role(row["granted_role"]), Level(row["granted_level"]))


@dataclass(frozen=True, slots=True)
class Invitation:
    id: str
    email: str
    grant: Grant
    created_by: str
    created_at_us: int
    expires_at_us: int

    @classmethod
    def of(cls, row: Row) -> "Invitation":
        return cls(
            row["id"],
            row["email"],
            Grant.of(row),
            row["created_by"],
            micros(row["created_at"]),
            micros(row["expires_at"]),
        )


@dataclass(frozen=True, slots=True)
class ApiKey(Columns):
    id: str
    project: str
    name: str
    role: Role
    queues: tuple[str, ...]
    task_types: tuple[str, ...]
    networks: tuple[str, ...]
    permissions: tuple[str, ...]
    created_by: str
    created_at_us: int
    expires_at_us: int
    last_used_at_us: int


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A valid API key, and what its rights depend on."""

    key: ApiKey
    namespace: str
    # The application whose key it is; empty for others.
    app: str
    # The user on whose rights its own depend.
    maker: str
    # End of the key, or of the secret that was shown; 0 if it has none.
    ends_us: int

    @classmethod
    def of(cls, row: Row) -> "LiveKey":
        return cls(
            ApiKey.of(row), row["namespace"], row["app"] or "", row["maker"], micros(row["ends_at"])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Columns):
    """An identity provider of a company. `rules` is JSON."""

    id: str
    company: str
    name: str
    kind: str
    disabled: bool
    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    rules: str
    sso_url: str
    slo_url: str
    certificates: tuple[str, ...]
    link_by_email: bool
    hook: str
    sealed_secret: bytes | None
    etag: int = 1
    created_at_us: int = 0


@dataclass(frozen=True, slots=True)
class SecretVersion(Columns):
    """A version of a secret, without its value."""

    name: str
    version: int
    created_by: str
    created_at_us: int


class Wrapped(NamedTuple):
    """A wrapped data key, and the name of the key that wrapped it, with its version."""

    by: str
    value: bytes


@dataclass(frozen=True, slots=True)
class PayloadKey(Columns):
    """A key of the values of executions; without `sealed_key` it was destroyed."""

    namespace: str
    number: int
    sealed_key: bytes
    wrapped_by: str
    created_at_us: int


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of access tokens; the private part is sealed."""

    kid: str
    public: bytes
    sealed: bytes
    signs: bool
    ends_soon: bool

    @classmethod
    def of(cls, row: Row) -> "SigningKey":
        return cls(row["kid"], row["public_key"], row["sealed_key"], row["signs"], row["ends_soon"])


@dataclass(frozen=True, slots=True)
class StoredFile(Columns):
    """A version of a workspace file."""

    path: str
    version: int
    # The row of its content.
    content: int
    size_bytes: int
    digest: bytes
    media_type: str
    created_by: str
    created_at_us: int


@dataclass(frozen=True, slots=True)
class Quota(Columns):
    """Upper bounds of a project, or its use in the same fields; 0 is unlimited."""

    starts_per_second: int = 0
    running_executions: int = 0
    executions_per_day: int = 0
    definitions: int = 0
    file_bytes: int = 0
    api_keys: int = 0


@dataclass(frozen=True, slots=True)
class Usage(Columns):
    """The executions that started in an hour."""

    hour_us: int
    started: int
    completed: int
    failed: int


def _value(row: Row, name: str) -> Any:
    if name.endswith("_us"):
        return micros(row[name.removesuffix("_us")])
    value = row[name]
    if name == "role":
        return Role(value)
    return tuple(value) if isinstance(value, list) else value


def micros(instant: datetime | None) -> int:
    """Return the microseconds since 1970; 0 for None."""
    if instant is None:
        return 0
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(us: int) -> datetime | None:
    """Return the time of microseconds since 1970; None for 0."""
    return datetime.fromtimestamp(us / 1_000_000, UTC) if us else None
