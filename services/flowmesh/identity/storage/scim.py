"""Provisioned users and groups of an identity provider as rows."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.records import Columns


@dataclass(frozen=True, slots=True)
class ScimUser(Columns):
    """A user as its provider states it."""

    user_id: str
    user_name: str
    external_id: str
    name: str
    email: str
    active: bool
    created_at_us: int = 0
    changed_at_us: int = 0


@dataclass(frozen=True, slots=True)
class ScimGroup(Columns):
    """A group without its members."""

    id: str
    display_name: str
    external_id: str
    created_at_us: int = 0
    changed_at_us: int = 0


class ScimStore:
    """Reads and changes of one provider. Inside `changing` all changes are one transaction."""

    def __init__(self, database: Database, provider: str, connection: object | None = None) -> None:
        self._database, self._provider = database, provider
        self._sql = database.sql
        self._at = connection or database.pool
        self.logins = LoginStore(database, connection)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["ScimStore"]:
        """Commit all changes of the block, or none; those of a provider wait for each other."""
        async with self._database.transaction() as connection:
            await self._sql.lock_scim(connection, provider=self._provider)
            yield ScimStore(self._database, self._provider, connection)

    async def users(
        self, user_name: str | None, external_id: str | None, offset: int, count: int
    ) -> tuple[list[ScimUser], int]:
        """Return users that match, and the number of all that do."""
        wanted = {"user_name": user_name, "external_id": external_id, "provider": self._provider}
        rows = self._sql.scim_users(self._at, start=offset, count=count, **wanted)
        found = [ScimUser.of(row) async for row in rows]
        return found, await self._sql.count_scim_users(self._at, **wanted)

    async def user(self, user_id: str) -> ScimUser | None:
        row = await self._sql.scim_user(self._at, provider=self._provider, user_id=user_id)
        return row and ScimUser.of(row)

    async def deleted_user(self, user_name: str) -> str | None:
        """Return the id of a deleted user with a name."""
        found: str | None = await self._sql.deleted_scim_user(
            self._at, provider=self._provider, user_name=user_name
        )
        return found

    async def user_of_name(self, user_name: str) -> str | None:
        """Return the id of the user with a name, also of a deleted one."""
        found: str | None = await self._sql.scim_name_user(
            self._at, provider=self._provider, user_name=user_name
        )
        return found

    async def put_user(self, user: ScimUser) -> None:
        await self._sql.put_scim_user(
            self._at,
            provider=self._provider,
            user_id=user.user_id,
            user_name=user.user_name,
            external_id=user.external_id,
            active=user.active,
        )

    async def set_profile(self, user: ScimUser) -> bool:
        """Set name and email address; return False if another user has the address."""
        return bool(
            await self._sql.set_profile(self._at, id=user.user_id, name=user.name, email=user.email)
        )

    async def set_disabled(self, user_id: str, disabled: bool) -> None:
        """Disable a user, or enable it if this provider disabled it."""
        await self._sql.set_disabled_by(
            self._at, id=user_id, disabled=disabled, disabled_by=self._provider
        )

    async def delete_user(self, user_id: str) -> None:
        await self._sql.delete_scim_user(self._at, provider=self._provider, user_id=user_id)

    async def groups(
        self, display_name: str | None, external_id: str | None, offset: int, count: int
    ) -> tuple[list[ScimGroup], int]:
        """Return groups that match, and the number of all that do."""
        wanted = {
            "display_name": display_name,
            "external_id": external_id,
            "provider": self._provider,
        }
        rows = self._sql.scim_groups(self._at, start=offset, count=count, **wanted)
        found = [ScimGroup.of(row) async for row in rows]
        return found, await self._sql.count_scim_groups(self._at, **wanted)

    async def group(self, id: str) -> ScimGroup | None:
        row = await self._sql.scim_group(self._at, provider=self._provider, id=id)
        return row and ScimGroup.of(row)

    async def put_group(self, group: ScimGroup) -> None:
        await self._sql.put_scim_group(
            self._at,
            provider=self._provider,
            id=group.id,
            display_name=group.display_name,
            external_id=group.external_id,
        )

    async def delete_group(self, id: str) -> None:
        await self._sql.delete_scim_group(self._at, id=id)

    async def members(self, groups: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return the ids and names of the members of groups."""
        found: dict[str, list[tuple[str, str]]] = {id: [] for id in groups}
        async for row in self._sql.scim_members(self._at, groups=list(groups)):
            found[row["group_id"]].append((row["user_id"], row["name"]))
        return found

    async def knows(self, users: Sequence[str]) -> bool:
        """Return whether all users are of this provider."""
        wanted = list(set(users))
        known = await self._sql.known_scim_users(self._at, provider=self._provider, users=wanted)
        return bool(known == len(wanted))

    async def add_members(self, group_id: str, users: Sequence[str]) -> list[str]:
        """Let users join a group; return those that were not in it."""
        rows = self._sql.insert_scim_members(
            self._at, group_id=group_id, provider=self._provider, users=list(users)
        )
        return [row["user_id"] async for row in rows]

    async def delete_members(self, group_id: str, users: Sequence[str] | None) -> list[str]:
        """Let users leave a group, or all; return those that were in it."""
        rows = self._sql.delete_scim_members(
            self._at, group_id=group_id, users=None if users is None else list(users)
        )
        return [row["user_id"] async for row in rows]
