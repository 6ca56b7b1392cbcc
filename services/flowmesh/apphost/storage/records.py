"""Rows of the host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from flowmesh.api.apphost.v1 import app_pb2 as pb

Key = tuple[str, str]


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRow:
    """An application: what callers want, and what runs."""

    namespace: str
    app: str
    wanted: int
    # The wanted release waits for its start.
    pending: bool
    release: int
    newest: int
    stopped: bool
    deleted: bool
    state: int
    problem: str
    addresses: Mapping[str, str]
    pid: int
    restarts: int
    created_at_us: int
    changed_at_us: int

    @property
    def key(self) -> Key:
        return self.namespace, self.app

    @property
    def present(self) -> int:
        """The release that starts, else the one that serves, else the newest."""
        return self.wanted if self.pending or not self.release else self.release

    @classmethod
    def of(cls, row: Any) -> "AppRow":
        return cls(
            namespace=row["namespace"],
            app=row["app"],
            wanted=row["wanted"],
            pending=row["wanted_state"] == pb.RELEASE_STATE_PENDING,
            release=row["release"],
            newest=row["newest"],
            stopped=row["stopped"],
            deleted=row["deleted"],
            state=row["state"],
            problem=row["problem"],
            addresses=dict(orjson.loads(row["addresses"])),
            pid=row["pid"],
            restarts=row["restarts"],
            created_at_us=_us(row["created_at"]),
            changed_at_us=_us(row["changed_at"]),
        )


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports that are reserved: those of an application by server, and those of all others."""

    own: Mapping[str, int] = field(default_factory=dict)
    foreign: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A place of a document that prevents its release."""

    place: str
    message: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """A release without its content."""

    app: str
    release: int
    state: int
    digest: str
    problem: str
    findings: Sequence[FindingRow]
    warnings: Sequence[str]
    files: Sequence[str]
    variables: Sequence[str]
    size_bytes: int
    created_by: str
    created_at_us: int
    # Permission bits of the callers that set its variables.
    rights: int
    # The principal that deployed it, and the role of the key of its application; empty without one.
    maker: str
    role: str

    @classmethod
    def of(cls, row: Any) -> "ReleaseRow":
        return cls(
            app=row["app"],
            release=row["release"],
            state=row["state"],
            digest=row["digest"],
            problem=row["problem"],
            findings=[FindingRow(**each) for each in orjson.loads(row["findings"])],
            warnings=list(row["warnings"]),
            files=list(row["files"]),
            variables=list(row["variables"]),
            size_bytes=row["size_bytes"],
            created_by=row["created_by"],
            created_at_us=_us(row["created_at"]),
            rights=row["rights"],
            maker=row["maker"],
            role=row["role"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of a release."""

    document: str
    files: Mapping[str, bytes]
    environment: Mapping[str, str]
    # The variables that are those of a release before.
    kept: frozenset[str] = frozenset()
    # Permission bits of the callers that set the variables.
    rights: int = 0


@dataclass(frozen=True, slots=True)
class Deployer:
    """The caller that deploys a release; without id and name in an open installation."""

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRelease:
    """A release to store; `content` and `environment` as the row holds them."""

    digest: str
    content: bytes
    environment: bytes
    files: Sequence[str]
    variables: Sequence[str]
    size_bytes: int
    deployer: Deployer
    # Permission bits of the callers that set its variables.
    rights: int
    # Role of the key of the application; empty without one.
    role: str
