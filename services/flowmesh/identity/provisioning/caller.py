"""The identity provider for which an API key provisions."""

from flowmesh.access.roles import MANAGE, PERMISSIONS
from flowmesh.errors import Forbidden
from flowmesh.identity.permissions import caller
from flowmesh.identity.principals import USER
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.records import Place, Project, Provider
from flowmesh.identity.storage.tenants import TenantStore

# The permission of a key to provision, followed by the id of the provider.
PERMISSION = "scim:"


class ProvisioningCaller:
    """Finds the provider of a caller; refuses callers that may not provision."""

    def __init__(self, *, logins: LoginStore, keys: KeyStore, tenants: TenantStore) -> None:
        self._logins, self._keys, self._tenants = logins, keys, tenants

    async def provider(self) -> Provider:
        """Return the provider that the key names, of its own company. Raise ROLE_REQUIRED."""
        principal = caller()
        named = [each for each in principal.permissions if each.startswith(PERMISSION)]
        if principal.kind == "key" and len(named) == 1:
            provider = await self._logins.provider(named[0].removeprefix(PERMISSION))
            key = await self._keys.key(principal.id)
            project = key and await self._tenants.get(Project, key.project)
            if (
                provider is not None
                and project
                and provider.company == project.company
                and await self._administers(principal.maker, provider.company)
            ):
                return provider
        text = (
            "the call needs an API key with the permission `scim:<provider id>`, made by a user "
            "that administers the company of the provider"
        )
        raise Forbidden("ROLE_REQUIRED", text)

    async def _administers(self, user_id: str, company: str) -> bool:
        if not user_id.startswith(USER):
            return False
        roles = await self._logins.users.roles_on(user_id, Place(company=company))
        return any(PERMISSIONS[role] & MANAGE for role in roles)
