"""API keys of projects: created, rotated and deleted by their admins."""

import ipaddress
import re
from dataclasses import replace

from flowmesh.access.roles import MANAGE, Role
from flowmesh.errors import Forbidden, Invalid, NotFound, Violation
from flowmesh.identity.credentials import api_keys
from flowmesh.identity.limits import (
    KEY_LIST_MAX,
    KEY_OVERLAP_S,
    KEY_OVERLAP_S_MAX,
    NAME_CHARS_MAX,
)
from flowmesh.identity.members import known_role
from flowmesh.identity.permissions import Permissions
from flowmesh.identity.revocations import Revocations
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.records import ApiKey, Project
from flowmesh.runtime import Clock
from flowmesh.runtime.namespace_quotas import quota_exceeded

_LISTED = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class ApiKeys:
    """Changes of API keys on behalf of the caller."""

    def __init__(
        self,
        *,
        store: KeyStore,
        permissions: Permissions,
        revocations: Revocations,
        pepper: bytes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._permissions = permissions
        self._revocations = revocations
        self._pepper = pepper
        self._clock = clock

    async def create(self, key: ApiKey) -> tuple[ApiKey, str]:
        """Store a key for a project; return it with its text, which is shown once."""
        project = await self._permissions.tenant(Project, key.project, MANAGE)
        await self._permissions.check_grant(project.place, key.role)
        check_key(key, self._clock.now_us())
        text = api_keys.new_key(key.id.removeprefix("key_"))
        async with self._store.changing() as store:
            quota, count = await store.lock_quota(key.project)
            if quota and count >= quota:
                raise quota_exceeded("api_keys", quota, count)
            created = await store.insert(key)
            await store.insert_secret(api_keys.digest(text.secret, self._pepper), key.id)
        return created, str(text)

    async def keys(self, project: str, before_us: int | None, count: int) -> list[ApiKey]:
        """Return the keys of a project, newest first."""
        await self._permissions.tenant(Project, project, MANAGE)
        return await self._store.of_project(project, before_us, count)

    async def key(self, id: str) -> ApiKey:
        key, _ = await self._found(id)
        return key

    async def update(
        self, id: str, name: str, networks: tuple[str, ...] | None, expires_at_us: int
    ) -> ApiKey:
        """Change fields of a key; empty ones keep their value."""
        key, _ = await self._found(id)
        if expires_at_us:
            key = replace(key, expires_at_us=expires_at_us)
        key = replace(
            key, name=name or key.name, networks=key.networks if networks is None else networks
        )
        check_key(key, self._clock.now_us())
        changed = await self._store.update(key)
        if changed is None:
            raise _missing(id)
        await self._revocations.announce(id)
        return changed

    async def rotate(self, id: str, overlap_s: int) -> tuple[ApiKey, str]:
        """Add a secret to a key; the former ones end after the overlap."""
        overlap_s = check_overlap(overlap_s)
        key, _ = await self._found(id)
        text = api_keys.new_key(id.removeprefix("key_"))
        async with self._store.changing() as store:
            await store.end_secrets(id, overlap_s)
            await store.insert_secret(api_keys.digest(text.secret, self._pepper), id)
        await self._revocations.announce_end(id, self._clock.now_us() + overlap_s * 1_000_000)
        return key, str(text)

    async def delete(self, id: str) -> None:
        await self._found(id)
        await self._store.delete(id)
        await self._revocations.announce(id)

    async def _found(self, id: str) -> tuple[ApiKey, Project]:
        """Return a key that the caller may change; foreign and missing keys are the same."""
        key = await self._store.key(id)
        if key is None:
            raise _missing(id)
        try:
            return key, await self._permissions.tenant(Project, key.project, MANAGE)
        except (NotFound, Forbidden):
            raise _missing(id) from None


def _missing(id: str) -> NotFound:
    return NotFound("API_KEY_NOT_FOUND", f"there is no API key `{id}`")


def check_key(key: ApiKey, now_us: int) -> None:
    """Raise REQUEST_INVALID for a key whose fields are out of bounds."""
    if not 1 <= len(key.name) <= NAME_CHARS_MAX:
        raise _wrong("name", f"the name has not 1 to {NAME_CHARS_MAX} characters")
    for field in ("queues", "task_types", "networks", "permissions"):
        _check_listed(field, getattr(key, field))
    for network in key.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            text = f"{network!r} is no network; expected one like 10.0.0.0/8"
            raise _wrong("networks", text) from None
    if key.expires_at_us and key.expires_at_us <= now_us:
        raise _wrong("expires_at_us", "the expiry is in the past")


def check_overlap(overlap_s: int) -> int:
    """Return for how long former secrets remain valid; 0 is the default."""
    if not 0 <= overlap_s <= KEY_OVERLAP_S_MAX:
        raise _wrong("overlap_seconds", f"the overlap is not 0 to {KEY_OVERLAP_S_MAX:,} s")
    return overlap_s or KEY_OVERLAP_S


def key_role(text: str) -> Role:
    """Return the role of a key; a key owns nothing."""
    role = known_role(text)
    if role is Role.OWNER:
        raise _wrong("role", "an API key cannot be an owner; admin is the widest role")
    return role


def _check_listed(field: str, values: tuple[str, ...]) -> None:
    if len(values) > KEY_LIST_MAX:
        raise _wrong(field, f"{field} has more than {KEY_LIST_MAX} entries")
    for value in values:
        if not _LISTED.fullmatch(value):
            raise _wrong(field, f"{value[:50]!r} in {field} is not 1 to 200 printable characters")


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(
        "REQUEST_INVALID", message, violations=(Violation(field, message, "REQUEST_INVALID"),)
    )
