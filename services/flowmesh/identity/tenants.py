"""Companies, organizations and projects: created, changed and deleted by their owners."""

import re
import secrets

from flowmesh.access.roles import MANAGE, OWN, READ, Role
from flowmesh.errors import Conflict, FlowmeshError, Forbidden, Invalid, Violation, WrongState
from flowmesh.identity.limits import NAME_CHARS_MAX, SLUG_CHARS_MAX
from flowmesh.identity.permissions import Permissions, caller, may_create_companies
from flowmesh.identity.revocations import Revocations
from flowmesh.identity.storage.records import (
    Company,
    Grant,
    Level,
    Organization,
    Project,
)
from flowmesh.identity.storage.tenants import TenantStore
from flowmesh.identity.storage.users import UserStore

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
# Words of paths and of the suite itself.
RESERVED = frozenset(
    {"admin", "api", "auth", "console", "flowmesh", "health", "metrics", "me", "new", "system"}
)


class Tenants:
    """Changes of the hierarchy on behalf of the caller."""

    def __init__(
        self,
        *,
        store: TenantStore,
        users: UserStore,
        permissions: Permissions,
        revocations: Revocations,
        registration: str,
    ) -> None:
        self._store, self._users = store, users
        self._permissions = permissions
        self._revocations = revocations
        self._registration = registration

    async def create_company(self, slug: str, name: str, request_id: str) -> Company:
        principal = caller()
        if not may_create_companies(principal, self._registration):
            text = "creating a company needs the role admin or owner on the whole installation"
            raise Forbidden("ROLE_REQUIRED", text)
        check_names(slug, name)
        created = await self._store.insert_company(
            _new_id("co"), slug, name or slug, _own(request_id)
        )
        if created is None:
            repeated = await self._store.company_of_request(_own(request_id))
            if repeated is None:
                raise _taken(slug)
            return repeated
        if principal.kind == "user":
            owner = Grant(Level.COMPANY, created.id, Role.OWNER)
            await self._users.set_grant(principal.id, owner, principal.id)
            await self._revocations.announce(principal.id)
        return created

    async def company(self, id: str) -> Company:
        return await self._permissions.company(id, READ)

    async def companies(self, after: str, count: int) -> list[Company]:
        """Return the companies in which the caller has a role."""
        principal = caller()
        everything = principal.everywhere & READ
        return await self._store.companies(None if everything else principal.id, after, count)

    async def update_company(self, id: str, slug: str, name: str, etag: str) -> Company:
        found = await self._permissions.company(id, MANAGE)
        check_names(slug or found.slug, name)
        changed = await self._store.update_company(id, slug, name, _etag(etag))
        if changed is None:
            raise _mismatch("company", found.etag, etag)
        return changed

    async def delete_company(self, id: str, etag: str) -> None:
        found = await self._permissions.company(id, OWN)
        if not await self._store.delete_company(id, _etag(etag)):
            raise _mismatch("company", found.etag, etag)
        await self._revocations.announce_all()

    async def create_organization(
        self, company: str, slug: str, name: str, request_id: str
    ) -> Organization:
        await self._permissions.company(company, MANAGE)
        check_names(slug, name)
        created = await self._store.insert_organization(
            _new_id("org"), company, slug, name or slug, _own(request_id)
        )
        if created is None:
            created = await self._store.organization_of_request(company, _own(request_id))
        if created is None:
            raise _taken(slug)
        return created

    async def organization(self, id: str) -> Organization:
        return await self._permissions.organization(id, READ)

    async def organizations(self, company: str, after: str, count: int) -> list[Organization]:
        await self._permissions.company(company, READ)
        return await self._store.organizations(company, after, count)

    async def update_organization(self, id: str, slug: str, name: str, etag: str) -> Organization:
        found = await self._permissions.organization(id, MANAGE)
        check_names(slug or found.slug, name)
        changed = await self._store.update_organization(id, slug, name, _etag(etag))
        if changed is None:
            raise _mismatch("organization", found.etag, etag)
        return changed

    async def delete_organization(self, id: str, etag: str) -> None:
        found = await self._permissions.organization(id, OWN)
        if not await self._store.delete_organization(id, _etag(etag)):
            raise _mismatch("organization", found.etag, etag)
        await self._revocations.announce_all()

    async def create_project(
        self, organization: str, slug: str, name: str, namespace: str, request_id: str
    ) -> Project:
        """Create a project; its namespace is its slug unless another one is asked for."""
        parent = await self._permissions.organization(organization, MANAGE)
        check_names(slug, name)
        namespace = namespace or slug
        _check_slug("namespace", namespace)
        project = Project(
            id=_new_id("prj"),
            organization=organization,
            company=parent.company,
            slug=slug,
            name=name or slug,
            namespace=namespace,
            etag=1,
            created_at_us=0,
        )
        created = await self._store.insert_project(project, _own(request_id))
        if created is not None:
            # The members of the levels above have permissions in the new namespace.
            await self._revocations.refresh()
            return created
        repeated = await self._store.project_of_request(organization, _own(request_id))
        if repeated is not None:
            return repeated
        if await self._store.namespace_is_taken(namespace):
            text = f"another project has the namespace `{namespace}`; name another one"
            raise Conflict("NAMESPACE_TAKEN", text)
        raise _taken(slug)

    async def project(self, id: str) -> Project:
        return await self._permissions.project(id, READ)

    async def projects(self, organization: str, after: str, count: int) -> list[Project]:
        await self._permissions.organization(organization, READ)
        return await self._store.projects(organization, after, count)

    async def update_project(self, id: str, slug: str, name: str, etag: str) -> Project:
        found = await self._permissions.project(id, MANAGE)
        check_names(slug or found.slug, name)
        changed = await self._store.update_project(id, slug, name, _etag(etag))
        if changed is None:
            raise _mismatch("project", found.etag, etag)
        return changed

    async def delete_project(self, id: str, etag: str) -> None:
        found = await self._permissions.project(id, OWN)
        if not await self._store.delete_project(id, _etag(etag)):
            raise _mismatch("project", found.etag, etag)
        await self._revocations.announce_all()


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


def _own(request_id: str) -> str:
    """Return a request id that no other caller can repeat."""
    return f"{caller().id}/{request_id}" if request_id else ""


def _etag(text: str) -> int | None:
    """Return the number of an etag; None for an empty one, 0 for one that never was."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def check_names(slug: str, name: str) -> None:
    """Raise SLUG_INVALID or REQUEST_INVALID for a slug or a name that is out of bounds."""
    _check_slug("slug", slug)
    if len(name) > NAME_CHARS_MAX:
        text = f"the name has more than {NAME_CHARS_MAX} characters"
        raise Invalid(
            "REQUEST_INVALID", text, violations=(Violation("name", text, "REQUEST_INVALID"),)
        )


def _check_slug(field: str, slug: str) -> None:
    if slug in RESERVED:
        text = f"the {field} `{slug}` is reserved; choose another one"
    elif len(slug) > SLUG_CHARS_MAX or not _SLUG.fullmatch(slug):
        text = (
            f"the {field} {slug[:100]!r} is not of 1 to {SLUG_CHARS_MAX} of a-z, 0-9 and `-`,"
            " with a letter or digit at both ends"
        )
    else:
        return
    raise Invalid("SLUG_INVALID", text, violations=(Violation(field, text, "SLUG_INVALID"),))


def _taken(slug: str) -> FlowmeshError:
    return Conflict("SLUG_TAKEN", f"the slug `{slug}` is taken; choose another one")


def _mismatch(kind: str, current: int, stated: str) -> FlowmeshError:
    text = f"the {kind} changed since it was read: its etag is {current}, not {stated[:20]}"
    return WrongState("ETAG_MISMATCH", text)
