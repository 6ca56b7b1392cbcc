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
    Tenant,
)
from flowmesh.identity.storage.tenants import T, TenantStore
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
        company = Company(id=_new_id(Company), slug=slug, name=name or slug)
        created, is_new = await self._create(company, request_id)
        if is_new and principal.kind == "user":
            owner = Grant(Level.COMPANY, created.id, Role.OWNER)
            await self._users.set_grant(principal.id, owner, principal.id)
            await self._revocations.announce(principal.id)
        return created

    async def create_organization(
        self, company: str, slug: str, name: str, request_id: str
    ) -> Organization:
        await self._permissions.tenant(Company, company, MANAGE)
        organization = Organization(
            id=_new_id(Organization), company=company, slug=slug, name=name or slug
        )
        return (await self._create(organization, request_id, company=company))[0]

    async def create_project(
        self, organization: str, slug: str, name: str, namespace: str, request_id: str
    ) -> Project:
        """Create a project; its namespace is its slug unless another one is asked for."""
        parent = await self._permissions.tenant(Organization, organization, MANAGE)
        check_names(slug, name)
        namespace = namespace or slug
        _check_slug("namespace", namespace)
        project = Project(
            id=_new_id(Project),
            organization=organization,
            company=parent.company,
            slug=slug,
            name=name or slug,
            namespace=namespace,
        )
        created, is_new = await self._create(project, request_id, organization=organization)
        if is_new:
            # The members of the levels above have permissions in the new namespace.
            await self._revocations.refresh()
        return created

    async def get(self, kind: type[T], id: str) -> T:
        return await self._permissions.tenant(kind, id, READ)

    async def companies(self, after: str, count: int) -> list[Company]:
        """Return the companies in which the caller has a role."""
        principal = caller()
        user_id = None if principal.everywhere & READ else principal.id
        return await self._store.list(Company, after, count, user_id=user_id)

    async def organizations(self, company: str, after: str, count: int) -> list[Organization]:
        await self._permissions.tenant(Company, company, READ)
        return await self._store.list(Organization, after, count, company=company)

    async def projects(self, organization: str, after: str, count: int) -> list[Project]:
        await self._permissions.tenant(Organization, organization, READ)
        return await self._store.list(Project, after, count, organization=organization)

    async def update(self, kind: type[T], id: str, slug: str, name: str, etag: str) -> T:
        found = await self._permissions.tenant(kind, id, MANAGE)
        check_names(slug or found.slug, name)
        changed = await self._store.update(kind, id, slug, name, etag_number(etag))
        if changed is None:
            raise _mismatch(found, etag)
        return changed

    async def delete(self, kind: type[Tenant], id: str, etag: str) -> None:
        found = await self._permissions.tenant(kind, id, OWN)
        if not await self._store.delete(kind, id, etag_number(etag)):
            raise _mismatch(found, etag)
        await self._revocations.announce_all()

    async def _create(self, tenant: T, request_id: str, **above: str) -> tuple[T, bool]:
        """Return a new tenant, or that of an earlier call with the request id, and which it is."""
        check_names(tenant.slug, tenant.name)
        request_id = f"{caller().id}/{request_id}" if request_id else ""
        created = await self._store.insert(tenant, request_id)
        if created is not None:
            return created, True
        repeated = await self._store.of_request(type(tenant), request_id, **above)
        if repeated is not None:
            return repeated, False
        if isinstance(tenant, Project) and await self._store.namespace_is_taken(tenant.namespace):
            text = f"another project has the namespace `{tenant.namespace}`; name another one"
            raise Conflict("NAMESPACE_TAKEN", text)
        raise Conflict("SLUG_TAKEN", f"the slug `{tenant.slug}` is taken; choose another one")


def _new_id(kind: type[Tenant]) -> str:
    return f"{kind.prefix}_{secrets.token_hex(8)}"


def etag_number(text: str) -> int | None:
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


def _mismatch(found: Tenant, stated: str) -> FlowmeshError:
    text = (
        f"the {found.kind} changed since it was read: its etag is {found.etag}, not {stated[:20]}"
    )
    return WrongState("ETAG_MISMATCH", text)
