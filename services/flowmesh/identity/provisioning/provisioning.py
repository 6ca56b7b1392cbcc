"""Changes of users and groups that an identity provider provisions.

The groups of a user are its claim `groups`, so the rules of the provider give the same roles as at
a login.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from flowmesh.errors import Conflict, Invalid, NotFound, Violation
from flowmesh.identity.accounts import created, valid_email
from flowmesh.identity.limits import (
    EMAIL_CHARS_MAX,
    NAME_CHARS_MAX,
    PAGE_SIZE_MAX,
    SCIM_MEMBERS_MAX,
)
from flowmesh.identity.openid.provider_sessions import ProviderSessions
from flowmesh.identity.provisioning.caller import ProvisioningCaller
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Provider
from flowmesh.identity.storage.scim import ScimGroup, ScimStore, ScimUser

_TEXT = re.compile(r"[^\x00-\x1f\x7f]*")


class Provisioning:
    """Users and groups of the provider of the caller."""

    def __init__(
        self, *, database: Database, caller: ProvisioningCaller, sessions: ProviderSessions
    ) -> None:
        self._database, self._caller, self._sessions = database, caller, sessions

    async def users(
        self, user_name: str | None, external_id: str | None, offset: int, count: int
    ) -> tuple[list[ScimUser], int]:
        """Return users that match, and the number of all that do."""
        store = self._store(await self._caller.provider())
        return await store.users(user_name, external_id, *_page(offset, count))

    async def user(self, user_id: str) -> ScimUser:
        return await _user(self._store(await self._caller.provider()), user_id)

    async def create_user(self, user: ScimUser) -> ScimUser:
        """Create a user, or bring back a deleted one. Raise USER_EXISTS."""
        provider = await self._caller.provider()
        user = _checked(user)
        async with self._store(provider).changing() as store:
            deleted = await store.deleted_user(user.user_name)
            if deleted is None and await store.user_of_name(user.user_name):
                raise _exists(user.user_name)
            user_id = deleted or await self._new_user(store, provider, user)
            made = replace(user, user_id=user_id)
            await self._store_user(store, made)
            stored = await _user(store, user_id)
        await self._follow(provider, [user_id], ended=not user.active)
        return stored

    async def update_user(self, user_id: str, **stated: str | bool) -> ScimUser:
        """Change the stated attributes of a user. Raise USER_EXISTS."""
        provider = await self._caller.provider()
        async with self._store(provider).changing() as store:
            former = await _user(store, user_id)
            user = _checked(replace(former, **stated))  # type: ignore[arg-type]
            if await store.user_of_name(user.user_name) not in (None, user_id):
                raise _exists(user.user_name)
            await self._store_user(store, user)
            stored = await _user(store, user_id)
        await self._follow(provider, [user_id], ended=not user.active)
        return stored

    async def delete_user(self, user_id: str) -> None:
        """Disable a user and take the roles that its groups gave."""
        provider = await self._caller.provider()
        async with self._store(provider).changing() as store:
            await _user(store, user_id)
            await store.delete_user(user_id)
            await store.set_disabled(user_id, True)
            await store.logins.map(user_id, provider, ())
        await self._sessions.end_of_user(user_id)

    async def groups(
        self,
        display_name: str | None,
        external_id: str | None,
        offset: int,
        count: int,
    ) -> tuple[list[ScimGroup], int]:
        """Return groups that match, and the number of all that do."""
        store = self._store(await self._caller.provider())
        return await store.groups(display_name, external_id, *_page(offset, count))

    async def group(self, id: str) -> ScimGroup:
        return await _group(self._store(await self._caller.provider()), id)

    async def members(self, groups: Sequence[ScimGroup]) -> dict[str, list[tuple[str, str]]]:
        """Return the ids and names of the members of groups."""
        store = self._store(await self._caller.provider())
        return await store.members([each.id for each in groups])

    async def create_group(
        self, display_name: str, external_id: str, members: Sequence[str]
    ) -> ScimGroup:
        group = ScimGroup(f"grp_{secrets.token_hex(10)}", display_name, external_id)
        provider = await self._caller.provider()
        async with self._store(provider).changing() as store:
            concerned = await _put_group(store, group, (), members)
            stored = await _group(store, group.id)
        await self._follow(provider, concerned)
        return stored

    async def update_group(
        self,
        id: str,
        *,
        display_name: str | None,
        external_id: str | None,
        removed: Sequence[str],
        added: Sequence[str],
        replaces: bool,
    ) -> ScimGroup:
        """Change the stated attributes; members leave before others join."""
        provider = await self._caller.provider()
        async with self._store(provider).changing() as store:
            former = await _group(store, id)
            group = replace(
                former,
                display_name=former.display_name if display_name is None else display_name,
                external_id=former.external_id if external_id is None else external_id,
            )
            concerned = await _put_group(store, group, None if replaces else removed, added)
            if group.display_name != former.display_name:
                members = await store.members([id])
                concerned.update(user_id for user_id, _ in members[id])
            stored = await _group(store, id)
        await self._follow(provider, concerned)
        return stored

    async def delete_group(self, id: str) -> None:
        provider = await self._caller.provider()
        async with self._store(provider).changing() as store:
            await _group(store, id)
            left = await store.delete_members(id, None)
            await store.delete_group(id)
        await self._follow(provider, left)

    async def _new_user(self, store: ScimStore, provider: Provider, user: ScimUser) -> str:
        moved = await self._sessions.taken_over(store.logins, provider, user.email)
        found = moved or await created(store.logins.users, user.email, user.name, "")
        return found.id

    async def _store_user(self, store: ScimStore, user: ScimUser) -> None:
        if not await store.set_profile(user):
            raise _exists(user.email)
        await store.put_user(user)
        await store.set_disabled(user.user_id, not user.active)

    async def _follow(
        self, provider: Provider, users: Iterable[str], *, ended: bool = False
    ) -> None:
        """Let the roles of users follow their groups; end the sessions of one not active."""
        for user_id in sorted(users):
            await self._sessions.map_groups(user_id, provider)
            if ended:
                await self._sessions.end_of_user(user_id)

    def _store(self, provider: Provider) -> ScimStore:
        return ScimStore(self._database, provider.id)


async def _user(store: ScimStore, user_id: str) -> ScimUser:
    found = await store.user(user_id)
    if found is None:
        raise NotFound("USER_NOT_FOUND", f"there is no user `{user_id[:100]}`")
    return found


async def _group(store: ScimStore, id: str) -> ScimGroup:
    found = await store.group(id)
    if found is None:
        raise NotFound("GROUP_NOT_FOUND", f"there is no group `{id[:100]}`")
    return found


async def _put_group(
    store: ScimStore, group: ScimGroup, removed: Sequence[str] | None, added: Sequence[str]
) -> set[str]:
    """Store a group, and let members leave (all for None) and join; return those concerned."""
    _check_group(group, removed or (), added)
    if not await store.knows(added):
        raise _wrong("members", "a member is no user of this provider")
    await store.put_group(group)
    left = await store.delete_members(group.id, removed)
    return {*left, *await store.add_members(group.id, added)}


def _checked(user: ScimUser) -> ScimUser:
    """Return a user as it is stored. Raise REQUEST_INVALID."""
    if not user.user_name or len(user.user_name) > EMAIL_CHARS_MAX:
        raise _wrong("userName", f"the name has not 1 to {EMAIL_CHARS_MAX} characters")
    _check_texts(("userName", user.user_name), ("externalId", user.external_id))
    email = valid_email(user.email or user.user_name)
    name = user.name.strip() or email.partition("@")[0]
    _check_texts(("displayName", name))
    return replace(user, email=email, name=name)


def _check_group(group: ScimGroup, removed: Sequence[str], added: Sequence[str]) -> None:
    if not group.display_name:
        raise _wrong("displayName", "the name of the group is missing")
    _check_texts(("displayName", group.display_name), ("externalId", group.external_id))
    if max(len(removed), len(added)) > SCIM_MEMBERS_MAX:
        raise _wrong("members", f"a request changes at most {SCIM_MEMBERS_MAX:,} members")


def _check_texts(*texts: tuple[str, str]) -> None:
    for field, text in texts:
        if len(text) > max(NAME_CHARS_MAX, EMAIL_CHARS_MAX) or not _TEXT.fullmatch(text):
            raise _wrong(field, f"{field} is longer than {EMAIL_CHARS_MAX} printable characters")


def _page(offset: int, count: int) -> tuple[int, int]:
    return max(0, offset), min(max(0, count), PAGE_SIZE_MAX)


def _exists(name: str) -> Conflict:
    return Conflict("USER_EXISTS", f"the name or the email address {name} is taken")


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(
        "REQUEST_INVALID", message, violations=(Violation(field, message, "REQUEST_INVALID"),)
    )
