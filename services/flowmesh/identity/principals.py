"""Credentials and ids become principals with the permissions that they have now."""

import ipaddress

from flowmesh.access.principal import EVERY_BIT
from flowmesh.access.roles import EDIT, PERMISSIONS, WORK
from flowmesh.api.identity.v1 import principal_pb2
from flowmesh.errors import Unauthenticated
from flowmesh.identity.credentials import api_keys
from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.records import Level, LiveKey
from flowmesh.identity.storage.sessions import SessionStore
from flowmesh.identity.storage.users import UserStore

# The ids of API keys begin with it.
KEY = "key_"
# Those of users.
USER = "usr_"


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
        found = await self.of_id(claims.user_id, claims.session)
        found.expires_us = claims.expires_us
        return found

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
        return await self._key_principal(found)

    async def _of_key(self, credential: str, address: str) -> principal_pb2.Principal:
        text = api_keys.parsed(credential)
        if text is None:
            raise _invalid("the API key is malformed")
        digest = api_keys.digest(text.secret, self._pepper)
        found = await self._keys.of_secret(f"key_{text.id}", digest)
        if found is None:
            raise _invalid("the API key is unknown, deleted or expired")
        if not _is_within(address, found.key.networks):
            raise _invalid("the API key may not be used from this address")
        await self._keys.note_use(found.key.id)
        return await self._key_principal(found)

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

    async def _key_principal(self, found: LiveKey) -> principal_pb2.Principal:
        """Return a key with the rights of its role that its maker has now."""
        key = found.key
        bits = PERMISSIONS[key.role] & await self._bits(found.maker, found.namespace)
        if found.app and bits & EDIT:
            # What may define tasks of its queues may take them.
            bits |= WORK
        if not bits:
            raise _invalid("the member that made the API key has no longer the rights of its role")
        return principal_pb2.Principal(
            id=key.id,
            kind="key",
            name=key.name,
            namespaces={found.namespace: bits},
            permissions=key.permissions,
            queues=key.queues,
            task_types=key.task_types,
            shared=await self._users.shared(project=key.project),
            expires_us=found.ends_us,
            maker_id=found.maker,
        )

    async def _bits(self, maker: str, namespace: str) -> int:
        """Return the permissions of a user in a namespace; makers that are no users have all."""
        if not maker.startswith(USER):
            return EVERY_BIT
        user = await self._users.user(maker)
        if user is None or user.disabled:
            return 0
        found = await self._user_principal(maker, "")
        return found.everywhere | found.namespaces[namespace]


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
