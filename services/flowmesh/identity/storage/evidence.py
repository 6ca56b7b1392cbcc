"""What an access review needs, as rows."""

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import ApiKey, micros


class ReviewedGrant(NamedTuple):
    role: str
    level: int
    level_id: str
    granted_by: str
    granted_at_us: int


@dataclass(frozen=True, slots=True)
class ReviewedUser:
    """A user with its roles in a company."""

    email: str
    name: str
    disabled: bool
    created_at_us: int
    last_login_at_us: int
    grants: tuple[ReviewedGrant, ...]


@dataclass(frozen=True, slots=True)
class ReviewedKey:
    """An API key, and the name of its project."""

    key: ApiKey
    project: str


class EvidenceStore:
    """Reads users, keys and projects of a company; of all of them for an empty one."""

    def __init__(self, database: Database) -> None:
        self._at, self._sql = database.pool, database.sql

    async def users(self, company: str) -> list[ReviewedUser]:
        rows = self._sql.reviewed_users(self._at, company=company)
        return [
            ReviewedUser(
                row["email"],
                row["name"],
                row["disabled"],
                micros(row["created_at"]),
                micros(row["last_login_at"]),
                tuple(ReviewedGrant(*each) for each in orjson.loads(row["grants"])),
            )
            async for row in rows
        ]

    async def keys(self, company: str) -> list[ReviewedKey]:
        rows = self._sql.reviewed_keys(self._at, company=company)
        return [ReviewedKey(ApiKey.of(row), row["project_slug"]) async for row in rows]

    async def projects(self, company: str) -> list[tuple[str, str]]:
        """Return the names of projects with their namespaces."""
        rows = self._sql.reviewed_projects(self._at, company=company)
        return [(row["slug"], row["namespace"]) async for row in rows]
