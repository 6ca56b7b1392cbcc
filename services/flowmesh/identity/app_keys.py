"""The API keys of hosted applications: one each, issued at the start of a process.

Its secret is nowhere but in the process of the application. Its rights are those of its role that
its maker has at each call.
"""

from flowmesh.access.roles import OPERATE, PERMISSIONS, Role
from flowmesh.errors import Forbidden, NotFound
from flowmesh.identity.api_keys import key_role
from flowmesh.identity.credentials import api_keys
from flowmesh.identity.limits import APP_KEY_OVERLAP_S
from flowmesh.identity.principals import Principals
from flowmesh.identity.revocations import Revocations
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.records import ApiKey
from flowmesh.runtime import Clock

# Before the names of systems that are makers of keys; no user or key has such an id.
SYSTEM = "system:"


class AppKeys:
    """Issues and revokes the keys of applications for the application host."""

    def __init__(
        self,
        *,
        store: KeyStore,
        principals: Principals,
        revocations: Revocations,
        pepper: bytes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._principals = principals
        self._revocations = revocations
        self._pepper = pepper
        self._clock = clock

    async def issue(
        self,
        namespace: str,
        app: str,
        *,
        maker: str,
        role: str,
        queues: tuple[str, ...],
        owner: str = "",
        task_types: tuple[str, ...] = (),
        permissions: tuple[str, ...] = (),
    ) -> str:
        """Return a new secret of the key; the former ones end after the overlap.

        `owner` is the system that stands in for a maker. Raises Unauthenticated if the maker is
        gone, Forbidden if it has not the rights of the role, or none to give `permissions`.
        """
        wanted = key_role(role)
        project = await self._store.project_of(namespace)
        if not project:
            raise NotFound("NAMESPACE_NOT_FOUND", f"there is no namespace `{namespace}`")
        if owner and not maker:
            if permissions:
                raise Forbidden("ROLE_REQUIRED", f"{owner} may give {app} no {permissions[0]}")
            maker = _system(app, owner, wanted, queues)
        else:
            found = await self._principals.offline(maker)
            bits = found.everywhere | found.namespaces[namespace]
            if (PERMISSIONS[wanted] | (OPERATE if permissions else 0)) & ~bits:
                problem = f"the caller that deployed {app} may not give it the role {wanted.value}"
                raise Forbidden("ROLE_REQUIRED", problem)
        key = ApiKey(
            id=f"key_{api_keys.new_id()}",
            project=project,
            name=f"application {app}",
            role=wanted,
            queues=queues,
            task_types=task_types,
            networks=(),
            permissions=permissions,
            created_by=maker,
            created_at_us=0,
            expires_at_us=0,
            last_used_at_us=0,
        )
        async with self._store.changing() as store:
            stored = await store.issue(key, app)
            text = api_keys.new_key(stored.id.removeprefix("key_"))
            await store.end_secrets(stored.id, APP_KEY_OVERLAP_S)
            await store.insert_secret(api_keys.digest(text.secret, self._pepper), stored.id)
        ends_us = self._clock.now_us() + APP_KEY_OVERLAP_S * 1_000_000
        await self._revocations.announce_end(stored.id, ends_us)
        return str(text)

    async def revoke(self, namespace: str, app: str) -> None:
        """Delete the key of an application, if it has one."""
        key_id = await self._store.delete_of_app(namespace, app)
        if key_id:
            await self._revocations.announce(key_id)


def _system(app: str, owner: str, role: Role, queues: tuple[str, ...]) -> str:
    """Return the maker of a key without a user, which takes tasks of named queues only."""
    if role is not Role.WORKER or not queues:
        problem = f"{owner} may give {app} the role worker for queues that it names, and no other"
        raise Forbidden("ROLE_REQUIRED", problem)
    return f"{SYSTEM}{owner}"
