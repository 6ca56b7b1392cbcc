"""Credentials and ids become principals with the permissions that they have now."""

import ipaddress

from flowmesh.access.roles import PERMISSIONS
from flowmesh.api.identity.v1 import principal_pb2
from flowmesh.errors import Unauthenticated
from flowmesh.identity.credentials import api_keys
from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.records import ApiKey, Level
from flowmesh.identity.storage.sessions import SessionStore
from flowmesh.identity.storage.users import UserStore

# The ids of API keys begin with it.
KEY = "key_"


class Principals:
    """Resolves credentials for every service of the installation."""

    def __init__(
        self,
        *,
        users: UserStore,
        sessions: SessionStore,
        keys: KeyStore,
        tokens: AccessTokens,
        pepper: bytes,
    ) -> None:
        self._users, self._sessions, self._keys = users, sessions, keys
        self._tokens = tokens
        self._pepper = pepper

    async def of_credential(self, credential: str, address: str) -> principal_pb2.Principal:
        """Return the principal of an access token or an API key."""
        if credential.startswith(api_keys.PREFIX):
            return await self._of_key(credential, address)
        claims = await self._tokens.verified(credential)
        if claims is None:
            raise _invalid("the access token is malformed, forged or expired")
        return await self.of_id(claims.user_id, claims.session)

    async def of_id(self, principal_id: str, session: str) -> principal_pb2.Principal:
        """Return a principal that was authenticated before."""
        if principal_id.startswith(KEY):
            return await self._of_live_key(principal_id)
        if await self._sessions.user_of(session) != principal_id:
            raise _invalid("the session has ended; log in again")
        return await self._user_principal(principal_id, session)

    async def offline(self, principal_id: str) -> principal_pb2.Principal:
        """Return an API key, or a user without a session."""
        if principal_id.startswith(KEY):
            return await self._of_live_key(principal_id)
        user = await self._users.user(principal_id)
        if user is None or user.disabled:
            raise _invalid("the user is unknown or disabled")
        return await self._user_principal(principal_id, "")

    async def _of_live_key(self, key_id: str) -> principal_pb2.Principal:
        found = await self._keys.live(key_id)
        if found is None:
            raise _invalid("the API key is deleted or expired")
        return await self._key_principal(*found)

    async def _of_key(self, credential: str, address: str) -> principal_pb2.Principal:
        text = api_keys.parsed(credential)
        if text is None:
            raise _invalid("the API key is malformed")
        digest = api_keys.digest(text.secret, self._pepper)
        found = await self._keys.of_secret(f"key_{text.id}", digest)
        if found is None:
            raise _invalid("the API key is unknown, deleted or expired")
        key, namespace = found
        if not _is_within(address, key.networks):
            raise _invalid("the API key may not be used from this address")
        await self._keys.note_use(key.id)
        return await self._key_principal(key, namespace)

    async def _user_principal(self, user_id: str, session: str) -> principal_pb2.Principal:
        user = await self._users.user(user_id)
        assert user is not None
        principal = principal_pb2.Principal(
            id=user.id, kind="user", name=user.email, session_id=session
        )
        for grant in await self._users.grants(user_id):
            principal.tenants |= PERMISSIONS[grant.role]
            if grant.level is Level.INSTALLATION:
                principal.everywhere |= PERMISSIONS[grant.role]
        for namespace, role in await self._users.namespaces(user_id):
            principal.namespaces[namespace] |= PERMISSIONS[role]
        principal.shared.extend(await self._users.shared(user_id=user_id))
        return principal

    async def _key_principal(self, key: ApiKey, namespace: str) -> principal_pb2.Principal:
        return principal_pb2.Principal(
            id=key.id,
            kind="key",
            name=key.name,
            namespaces={namespace: PERMISSIONS[key.role]},
            permissions=key.permissions,
            queues=key.queues,
            task_types=key.task_types,
            shared=await self._users.shared(project=key.project),
        )


def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Return whether an address is in one of the networks; calls within a process have none."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network) for network in networks)


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated("CREDENTIALS_INVALID", message)
