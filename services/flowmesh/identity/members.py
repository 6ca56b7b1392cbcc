"""Roles of users, and invitations. No caller grants more than it has."""

import secrets

from flowmesh.access.roles import MANAGE, READ, Role
from flowmesh.errors import Forbidden, Invalid, NotFound, WrongState
from flowmesh.identity.accounts import valid_email
from flowmesh.identity.credentials import one_time
from flowmesh.identity.permissions import Permissions, caller
from flowmesh.identity.revocations import Revocations
from flowmesh.identity.storage.records import (
    Company,
    Grant,
    Invitation,
    Level,
    Member,
    Place,
    User,
)
from flowmesh.identity.storage.users import UserStore

_ROLES = ", ".join(role.value for role in Role)


class Members:
    """Changes of roles on behalf of the caller."""

    def __init__(
        self, *, users: UserStore, permissions: Permissions, revocations: Revocations
    ) -> None:
        self._users = users
        self._permissions = permissions
        self._revocations = revocations

    async def members(
        self, level: Level, id: str, after_email: str, after_level: int, count: int
    ) -> list[Member]:
        """Return the users with a role on a level or above it."""
        place = await self._permissions.place(level, id, READ)
        return await self._users.members(place, after_email, after_level, count)

    async def member(self, level: Level, id: str, user_id: str) -> Member:
        """Return a user with its nearest role on a level or above it."""
        place = await self._permissions.place(level, id, READ)
        roles = {
            grant.level: grant.role
            for grant in await self._users.grants(user_id)
            if place.holds(grant.level, grant.level_id)
        }
        user = await self._users.user(user_id) if roles else None
        if user is None:
            raise NotFound("USER_NOT_FOUND", f"there is no user `{user_id}` with a role here")
        return Member(user, roles[max(roles)], max(roles))

    async def users(self, company: str, after: str, count: int) -> list[tuple[User, list[Grant]]]:
        """Return the users of a company with their roles in it, by email address."""
        await self._permissions.tenant(Company, company, MANAGE)
        found = await self._users.of_company(company, after, count)
        grants = await self._users.grants_in_company(found, company)
        return [(user, grants[user.id]) for user in found]

    async def set_member(self, user_id: str, level: Level, id: str, role: str) -> None:
        """Give a user a role on a level, or take it away with an empty role."""
        place = await self._permissions.place(level, id, MANAGE)
        if role:
            await self._permissions.check_grant(place, known_role(role))
        async with self._users.changing() as users:
            await users.lock_level(level, place.id)
            if not await _knows(users, place, user_id):
                raise NotFound("USER_NOT_FOUND", f"there is no user `{user_id}`")
            await self._check_owner(users, user_id, place, role)
            if role:
                grant = Grant(level, place.id, known_role(role))
                await users.set_grant(user_id, grant, caller().id)
            else:
                await users.delete_grant(user_id, level, place.id)
        await self._revocations.announce(user_id)

    async def invite(self, email: str, level: Level, id: str, role: str) -> tuple[Invitation, str]:
        """Return an invitation and its token."""
        place = await self._permissions.place(level, id, MANAGE)
        await self._permissions.check_grant(place, known_role(role))
        token = one_time.new_token()
        invitation = await self._users.invitations.insert(
            f"inv_{secrets.token_hex(8)}",
            one_time.digest(token),
            valid_email(email),
            Grant(level, place.id, known_role(role)),
            caller().id,
        )
        return invitation, token

    async def invitations(self, level: Level, id: str) -> list[Invitation]:
        place = await self._permissions.place(level, id, MANAGE)
        return await self._users.invitations.of_level(level, place.id)

    async def invitation(self, id: str) -> Invitation:
        """Return an invitation; foreign and missing ones are the same."""
        found = await self._users.invitations.invitation(id)
        missing = NotFound("INVITATION_NOT_FOUND", f"there is no invitation `{id}`")
        if found is None:
            raise missing
        try:
            await self._permissions.place(found.grant.level, found.grant.level_id, MANAGE)
        except (NotFound, Forbidden):
            raise missing from None
        return found

    async def delete_invitation(self, id: str) -> None:
        found = await self.invitation(id)
        await self._users.invitations.delete(found.id)

    async def _check_owner(self, users: UserStore, user_id: str, place: Place, role: str) -> None:
        """Refuse a change that takes the only owner, or an owner's role by a lesser caller."""
        former = [
            grant.role
            for grant in await users.grants(user_id)
            if (grant.level, grant.level_id) == (place.level, place.id)
        ]
        if Role.OWNER not in former or role == Role.OWNER:
            return
        await self._permissions.check_grant(place, Role.OWNER)
        if not await users.other_owners(place.level, place.id, user_id):
            text = f"`{user_id}` is the only owner; make another user an owner first"
            raise WrongState("LAST_OWNER", text)


async def _knows(users: UserStore, place: Place, user_id: str) -> bool:
    """Return whether the caller may know of a user: one of the company of the level.

    Others join a company by invitation, or through an admin of the installation.
    """
    if caller().everywhere & MANAGE:
        return await users.user(user_id) is not None
    return await users.is_in_company(user_id, place.company)


def known_role(text: str) -> Role:
    """Return a role by its name; raise REQUEST_INVALID for another one."""
    try:
        return Role(text)
    except ValueError:
        text = f"{text[:50]!r} is no role; the roles are {_ROLES}"
        raise Invalid("REQUEST_INVALID", text) from None
