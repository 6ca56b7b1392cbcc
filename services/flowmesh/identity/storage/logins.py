"""Identity providers, the users behind their subjects, and the roles that their rules give."""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from flowmesh.identity.limits import LOGIN_S
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Grant, Provider, User
from flowmesh.identity.storage.users import UserStore

_GIVEN = ("etag", "created_at_us")


@dataclass(frozen=True, slots=True)
class ApprovedDevice:
    """The user that approved a device, and the session of a provider with which its own ends."""

    user_id: str
    parent: str | None


class LoginStore:
    """Reads and changes of providers and links.

    Inside `changing` all changes are one transaction.
    """

    def __init__(self, database: Database, connection: object | None = None) -> None:
        self._database = database
        self._sql = database.sql
        self._at = connection or database.pool
        self.users = UserStore(database, connection)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["LoginStore"]:
        """Commit all changes of the block, or none."""
        async with self._database.transaction() as connection:
            yield LoginStore(self._database, connection)

    async def insert(self, provider: Provider) -> Provider:
        row = await self._sql.insert_provider(self._at, **_columns(provider))
        return Provider.of(row)

    async def provider(self, id: str) -> Provider | None:
        row = await self._sql.provider(self._at, id=id)
        return row and Provider.of(row)

    async def of_company(self, company: str) -> list[Provider]:
        return [Provider.of(row) async for row in self._sql.providers_of(self._at, company=company)]

    async def of_plugin(self, hook: str) -> list[str]:
        """Return the ids of the providers, of all companies, that call a plugin."""
        return [row["id"] async for row in self._sql.providers_of_plugin(self._at, hook=hook)]

    async def offered(self, slug: str) -> list[Provider]:
        """Return the enabled providers of a company."""
        return [Provider.of(row) async for row in self._sql.offered_providers(self._at, slug=slug)]

    async def update(self, provider: Provider, etag: int | None) -> Provider | None:
        """Replace the settings; without a sealed secret the former one stays."""
        columns = _columns(provider)
        del columns["company"]
        row = await self._sql.update_provider(self._at, **columns, etag=etag)
        return row and Provider.of(row)

    async def delete(self, id: str, etag: int | None) -> bool:
        return bool(await self._sql.delete_provider(self._at, id=id, etag=etag))

    async def linked(self, provider: Provider, subject: str) -> User | None:
        """Return the user that a subject of a provider is."""
        row = await self._sql.linked_user(
            self._at, company=provider.company, issuer=provider.issuer, subject=subject
        )
        return row and User.of(row)

    async def link(self, provider: Provider, subject: str, user_id: str) -> None:
        await self._sql.insert_link(
            self._at,
            company=provider.company,
            issuer=provider.issuer,
            subject=subject,
            user_id=user_id,
        )

    async def provisioned(self, provider: Provider, subject: str, email: str) -> User | None:
        """Return the provisioned user that a subject of a provider is."""
        row = await self._sql.provisioned_user(
            self._at, provider=provider.id, subject=subject, email=email
        )
        return row and User.of(row)

    async def groups_of(self, provider: Provider, user_id: str) -> list[str]:
        """Return the names of the provisioned groups of a user."""
        rows = self._sql.groups_of_user(self._at, provider=provider.id, user_id=user_id)
        return [row["display_name"] async for row in rows]

    async def map(
        self,
        user_id: str,
        provider: Provider,
        grants: Iterable[Grant],
        places: Collection[tuple[int, str]] | None = None,
    ) -> None:
        """Let a user have these roles by a provider, and no other ones by it, or in `places`."""
        wanted = {(each.level, each.level_id): each.role for each in grants}
        rows = self._sql.grants_by(self._at, user_id=user_id, granted_by=provider.id)
        for former in [Grant.of(row) async for row in rows]:
            place = (former.level, former.level_id)
            if place not in wanted and (places is None or place in places):
                await self.users.delete_grant(user_id, former.level, former.level_id)
        for (level, level_id), role in wanted.items():
            await self._sql.set_mapped_grant(
                self._at,
                user_id=user_id,
                level=int(level),
                level_id=level_id,
                role=role.value,
                granted_by=provider.id,
            )

    async def unmap(self, provider: str) -> list[str]:
        """Delete all roles by a provider; return the ids of the users that had some."""
        rows = self._sql.delete_grants_by(self._at, granted_by=provider)
        return [row["user_id"] async for row in rows]

    async def use(self, digest: bytes, seconds: float) -> bool:
        """Use up a login or a message; return False if it was used before."""
        return bool(await self._sql.use_login(self._at, digest=digest, seconds=seconds))

    async def is_used(self, digest: bytes) -> bool:
        return bool(await self._sql.is_used_login(self._at, digest=digest))

    async def approve_device(self, user_code: str, user_id: str, session: str) -> None:
        """Let the device with a code log in; the first approval counts."""
        await self._sql.approve_device(
            self._at, user_code=user_code, user_id=user_id, session=session
        )

    async def take_device(self, user_code: str) -> ApprovedDevice | None:
        """Delete and return the approval of a device."""
        row = await self._sql.take_device(self._at, user_code=user_code, seconds=LOGIN_S)
        return row and ApprovedDevice(**row)

    async def delete_used(self) -> None:
        """Forget what is too old to be accepted again."""
        await self._sql.delete_old_devices(self._at, seconds=LOGIN_S)
        await self._sql.delete_used_logins(self._at)


def _columns(provider: Provider) -> dict[str, object]:
    values = {name: value for name, value in asdict(provider).items() if name not in _GIVEN}
    return {name: list(each) if isinstance(each, tuple) else each for name, each in values.items()}
