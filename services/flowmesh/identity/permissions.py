"""Permissions of the caller on tenants.

Foreign and missing tenants have the same answer. A role holds on its level and everything below.
"""

from flowmesh.access import LOCAL, Principal, current
from flowmesh.access.roles import MANAGE, PERMISSIONS, READ, Role, is_within, roles_with
from flowmesh.errors import Forbidden, NotFound
from flowmesh.identity.storage.records import (
    Company,
    Level,
    Organization,
    Place,
    Project,
    Tenant,
)
from flowmesh.identity.storage.tenants import T, TenantStore
from flowmesh.identity.storage.users import UserStore

_KINDS: dict[Level, type[Tenant]] = {
    Level.COMPANY: Company,
    Level.ORGANIZATION: Organization,
    Level.PROJECT: Project,
}


class Permissions:
    """Finds tenants for the caller, and refuses what its roles do not permit."""

    def __init__(self, *, tenants: TenantStore, users: UserStore) -> None:
        self._tenants, self._users = tenants, users

    async def tenant(self, kind: type[T], id: str, bits: int) -> T:
        found = await self._tenants.get(kind, id)
        if found is None or not await self._sees(found.place):
            raise NotFound(kind.missing, f"there is no {kind.kind} `{id}`")
        await self.require(found.place, bits)
        return found

    async def place(self, level: Level, id: str, bits: int) -> Place:
        """Return a level of the hierarchy that the caller may use."""
        if kind := _KINDS.get(level):
            return (await self.tenant(kind, id, bits)).place
        await self.require(Place(), bits)
        return Place()

    async def require(self, place: Place, bits: int) -> None:
        """Raise ROLE_REQUIRED unless the caller has one of the permissions on the level.

        A company and an organization are visible to the members of the levels below.
        """
        visible = bits == READ and place.level in (Level.COMPANY, Level.ORGANIZATION)
        if visible or await self.bits(place) & bits:
            return
        roles = " or ".join(roles_with(bits))
        where = f"`{place.id}`" if place.id else "the whole installation"
        raise Forbidden("ROLE_REQUIRED", f"the call needs the role {roles} on {where}")

    async def check_grant(self, place: Place, role: Role) -> None:
        """Raise ROLE_TOO_WIDE if the role is wider than that of the caller."""
        if not is_within(role, await self.bits(place)):
            raise Forbidden("ROLE_TOO_WIDE", f"the role {role} is wider than your own")

    async def bits(self, place: Place) -> int:
        """Return the permissions of the caller on a level."""
        principal = caller()
        found = principal.everywhere
        if principal.kind == "user":
            for role in await self._users.roles_on(principal.id, place):
                found |= PERMISSIONS[role]
        elif place.project:
            project = await self._tenants.get(Project, place.project)
            found |= principal.namespaces.get(project.namespace, 0) if project else 0
        return found

    async def _sees(self, place: Place) -> bool:
        """Return whether the caller has a role on the level, above it or below it."""
        principal = caller()
        if await self.bits(place):
            return True
        return (
            principal.kind == "user"
            and place.level is not Level.PROJECT
            and await self._users.has_role_below(principal.id, place)
        )


def caller() -> Principal:
    """Return the principal of this call; in an open installation everyone is its owner."""
    return current() or LOCAL


def may_create_companies(principal: Principal, registration: str) -> bool:
    """Return whether a principal may create a company of its own."""
    if principal.everywhere & MANAGE:
        return True
    return principal.kind == "user" and registration == "open"
