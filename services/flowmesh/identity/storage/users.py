"""Users, their roles and invitations as rows."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from flowmesh.access.roles import Role
from flowmesh.identity.limits import INVITATION_DAYS
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Grant, Invitation, Level, Member, Place, User


class UserStore:
    """Reads and changes of users, grants and invitations.

    Inside `changing` all changes are one transaction.
    """

    def __init__(self, database: Database, connection: object | None = None) -> None:
        self._database = database
        self._sql = database.sql
        self._at = connection or database.pool
        self.invitations = InvitationStore(self._sql, self._at)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["UserStore"]:
        """Commit all changes of the block, or none."""
        async with self._database.transaction() as connection:
            yield UserStore(self._database, connection)

    async def insert(self, id: str, email: str, name: str, password_hash: str) -> User | None:
        """Insert a user; return None if the email address is taken."""
        row = await self._sql.insert_user(
            self._at, id=id, email=email, name=name, password_hash=password_hash
        )
        return row and User.of(row)

    async def user(self, id: str) -> User | None:
        row = await self._sql.user(self._at, id=id)
        return row and User.of(row)

    async def user_of_email(self, email: str) -> User | None:
        row = await self._sql.user_of_email(self._at, email=email)
        return row and User.of(row)

    async def of_company(self, company: str, after: str, count: int) -> list[User]:
        rows = self._sql.users_of_company(self._at, company=company, after=after, count=count)
        return [User.of(row) async for row in rows]

    async def grants_in_company(
        self, users: Iterable[User], company: str
    ) -> dict[str, list[Grant]]:
        """Return the roles of users on a company and below it, by the ids of the users."""
        ids = [each.id for each in users]
        found: dict[str, list[Grant]] = {id: [] for id in ids}
        async for row in self._sql.grants_in_company(self._at, users=ids, company=company):
            found[row["user_id"]].append(Grant.of(row))
        return found

    async def is_in_company(self, user_id: str, company: str) -> bool:
        return bool(await self._sql.is_in_company(self._at, user_id=user_id, company=company))

    async def has_role_outside(self, user_id: str, company: str) -> bool:
        """Return whether a user has a role on another company, or below one."""
        return bool(await self._sql.has_role_outside(self._at, user_id=user_id, company=company))

    async def set_password(self, id: str, password_hash: str) -> None:
        await self._sql.set_password(self._at, id=id, password_hash=password_hash)

    async def set_disabled(self, id: str, disabled: bool) -> bool:
        """Return whether there is such a user."""
        return bool(await self._sql.set_disabled(self._at, id=id, disabled=disabled))

    async def note_login(self, id: str) -> None:
        await self._sql.note_login(self._at, id=id)

    async def grants(self, user_id: str) -> list[Grant]:
        rows = self._sql.grants_of(self._at, user_id=user_id)
        return [Grant.of(row) async for row in rows]

    async def namespaces(self, user_id: str) -> list[tuple[str, Role]]:
        """Return the roles by namespace, those of the levels above included."""
        rows = self._sql.namespaces_of(self._at, user_id=user_id)
        return [(row["namespace"], Role(row["role"])) async for row in rows]

    async def shared(self, *, user_id: str = "", project: str = "") -> list[str]:
        """Return the namespaces of the companies of a user, or of the company of a project."""
        rows = self._sql.shared_namespaces(self._at, user_id=user_id, project=project)
        return [row["namespace"] async for row in rows]

    async def roles_on(self, user_id: str, place: Place) -> list[Role]:
        """Return the roles on a level and on those above it."""
        rows = self._sql.roles_on(
            self._at,
            user_id=user_id,
            company=place.company or None,
            organization=place.organization or None,
            project=place.project or None,
        )
        return [Role(row["role"]) async for row in rows]

    async def has_role_below(self, user_id: str, place: Place) -> bool:
        return bool(
            await self._sql.has_role_below(
                self._at,
                user_id=user_id,
                company=place.company,
                organization=place.organization or None,
            )
        )

    async def members(
        self, place: Place, after_email: str, after_level: int, count: int
    ) -> list[Member]:
        """Return the users with a role on a level or above it."""
        rows = self._sql.members(
            self._at,
            company=place.company or None,
            organization=place.organization or None,
            project=place.project or None,
            after_email=after_email,
            after_level=after_level,
            count=count,
        )
        return [Member.of(row) async for row in rows]

    async def lock_level(self, level: Level, level_id: str) -> None:
        """Let changes of the roles on a level wait for each other."""
        await self._sql.lock_level(self._at, key=f"flowmesh.identity.grants.{level}.{level_id}")

    async def set_grant(self, user_id: str, grant: Grant, granted_by: str) -> None:
        await self._sql.set_grant(
            self._at,
            user_id=user_id,
            level=int(grant.level),
            level_id=grant.level_id,
            role=grant.role.value,
            granted_by=granted_by,
        )

    async def delete_grant(self, user_id: str, level: Level, level_id: str) -> None:
        await self._sql.delete_grant(self._at, user_id=user_id, level=int(level), level_id=level_id)

    async def other_owners(self, level: Level, level_id: str, user_id: str) -> int:
        """Return the number of enabled owners of a level beside a user."""
        found: int = await self._sql.other_owners(
            self._at, level=int(level), level_id=level_id, user_id=user_id
        )
        return found

    async def use_bootstrap(self, digest: bytes) -> bool:
        """Use up a bootstrap token; return False if it was used before."""
        return bool(await self._sql.use_bootstrap(self._at, digest=digest))


class InvitationStore:
    """Reads and changes of invitations, on the connection of their users."""

    def __init__(self, sql: Any, at: object) -> None:
        self._sql, self._at = sql, at

    async def insert(
        self, id: str, digest: bytes, email: str, grant: Grant, created_by: str
    ) -> Invitation:
        row = await self._sql.insert_invitation(
            self._at,
            id=id,
            digest=digest,
            email=email,
            level=int(grant.level),
            level_id=grant.level_id,
            role=grant.role.value,
            created_by=created_by,
            days=INVITATION_DAYS,
        )
        return Invitation.of(row)

    async def take(self, digest: bytes, email: str) -> Invitation | None:
        """Delete and return a valid invitation."""
        row = await self._sql.take_invitation(self._at, digest=digest, email=email)
        return row and Invitation.of(row)

    async def is_valid(self, digest: bytes, email: str) -> bool:
        """Return whether `take` would find an invitation."""
        return bool(await self._sql.is_invited(self._at, digest=digest, email=email))

    async def invitation(self, id: str) -> Invitation | None:
        row = await self._sql.invitation(self._at, id=id)
        return row and Invitation.of(row)

    async def of_level(self, level: Level, level_id: str) -> list[Invitation]:
        rows = self._sql.invitations(self._at, level=int(level), level_id=level_id)
        return [Invitation.of(row) async for row in rows]

    async def delete(self, id: str) -> None:
        await self._sql.delete_invitation(self._at, id=id)
