"""Authentication of callers: external credentials, and tokens between services.

Verified credentials are kept for seconds, by their digest. A revocation arrives over the bus and
removes them at once; while the bus is silent nothing is kept for longer than a second. Nothing is
kept past the end of its credential.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from flowmesh.access.principal import Principal
from flowmesh.access.recent import Recent
from flowmesh.access.service_tokens import (
    INTERNAL_METADATA,
    METADATA_KEY,
    ServiceCall,
    ServiceTokens,
)
from flowmesh.errors import Unauthenticated

AUTHORIZATION = "authorization"
_BEARER = "bearer "
# In place of the name of a service, which has no such character.
ANY_SERVICE = "*"
# In place of a session; no session has this id.
_OFFLINE = "offline"
KNOWN_MAX = 10_000
# A verified credential is asked for again after this time, and sooner while the bus is silent.
KEPT_S = 30.0
KEPT_UNHEARD_S = 1.0
UNHEARD_AFTER_S = 3.0
CREDENTIAL_BYTES_MAX = 8_192

# The digest of a credential and its address, or the id of a principal and its session.
_Key = tuple[bytes | str, str]
Metadata = Iterable[tuple[str, str | bytes]]
# Properties of the peer of a connection, by gRPC; empty without TLS.
PeerContext = Mapping[str, Iterable[bytes]]
# Returns the service that a peer is: the one of its certificate, ANY_SERVICE on a socket that only
# services reach; empty for every other peer.
PeerService = Callable[[PeerContext], str]
Peer = Callable[[], PeerContext]
NO_PEER: PeerContext = {}


class Resolver(Protocol):
    """The identity service, as a process asks it."""

    async def authenticate(self, credential: str, address: str) -> Principal:
        """Return the principal of a credential; raise Unauthenticated if it is not valid."""
        ...

    async def principal(self, principal_id: str, session: str) -> Principal:
        """Return a principal with its permissions now; raise Unauthenticated if it is gone."""
        ...

    async def offline(self, principal_id: str) -> Principal:
        """Return a principal that has no session, as `principal` does."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A principal, and the time at which it was resolved."""

    principal: Principal
    resolved: float


class Caller(NamedTuple):
    """The sender of a call: a service, and the principal on whose behalf, if any."""

    principal: Principal | None
    service: str = ""


class Authenticator:
    """The callers that a process knows, and the way to learn of others."""

    def __init__(
        self,
        *,
        resolver: Resolver,
        tokens: ServiceTokens,
        peer_service: PeerService,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resolver = resolver
        self._tokens = tokens
        self._peer_service = peer_service
        self._now = now
        # Of the day: credentials end at a time of it.
        self._clock = clock
        self._known: Recent[_Key, Known] = Recent(KNOWN_MAX)
        # Questions to the identity service whose answers are on their way.
        self._asking: dict[_Key, asyncio.Future[Principal]] = {}
        self._heard = now()
        self._revoked_at = 0.0

    async def caller(
        self,
        metadata: Metadata,
        address: str,
        audience: str,
        peer: Peer = lambda: NO_PEER,
    ) -> Caller:
        """Return the caller that the metadata of a call prove; raise Unauthenticated.

        `audience` is the gRPC service that is called.
        """
        call = self.service_call(metadata, audience, peer)
        if call is not None:
            return await self._on_behalf(call)
        credential = ""
        for key, value in metadata:
            if key == AUTHORIZATION and isinstance(value, str):
                credential = value
        if not credential:
            text = "the call carries no credential; send `authorization: Bearer <token or API key>`"
            raise Unauthenticated("CREDENTIALS_REQUIRED", text)
        return Caller(await self.external(credential, address))

    def service_call(
        self, metadata: Metadata, audience: str, peer: Peer = lambda: NO_PEER
    ) -> ServiceCall | None:
        """Return the content of the token of a call by a service; None for every other call.

        Raises Unauthenticated for a call from outside with metadata of services.
        """
        stated = {key: value for key, value in metadata if key in INTERNAL_METADATA}
        if not stated:
            return None
        sender = self._peer_service(peer())
        if not sender:
            text = f"`{min(stated)}` counts only with the certificate of a service"
            raise Unauthenticated("SERVICE_CERTIFICATE_REQUIRED", text)
        call = self._tokens.verified(str(stated.get(METADATA_KEY, "")), audience)
        if call is None or sender not in (ANY_SERVICE, call.service):
            text = "`flowmesh-principal` is not a valid token of the sender for this service"
            raise Unauthenticated("CREDENTIALS_INVALID", text)
        return call

    async def external(self, authorization: str, address: str) -> Principal:
        """Return the principal of an `authorization` value."""
        if authorization[: len(_BEARER)].lower() != _BEARER:
            text = "`authorization` is not of the form `Bearer <token or API key>`"
            raise Unauthenticated("CREDENTIALS_INVALID", text)
        credential = authorization[len(_BEARER) :].strip()
        if len(credential) > CREDENTIAL_BYTES_MAX:
            text = f"the credential has more than {CREDENTIAL_BYTES_MAX:,} bytes"
            raise Unauthenticated("CREDENTIALS_INVALID", text)
        key = (hashlib.sha256(credential.encode()).digest(), address)
        return await self._resolved(key, lambda: self._resolver.authenticate(credential, address))

    async def offline(self, principal_id: str) -> Principal:
        """Return a principal that is not logged in, with its permissions now."""
        key = (principal_id, _OFFLINE)
        return await self._resolved(key, lambda: self._resolver.offline(principal_id))

    def revoke(self, ids: Iterable[str]) -> None:
        """Forget the principals and sessions with these ids; all of them if there are none."""
        gone = frozenset(ids)
        self._revoked_at = self._now()
        self._asking.clear()
        if not gone:
            self._known.clear()
            return
        kept = [
            (key, known)
            for key, known in self._known.items()
            if gone.isdisjoint(known.principal.ids)
        ]
        self._known.clear()
        for key, known in kept:
            self._known.put(key, known)

    def heard(self) -> None:
        """Note that the bus delivers revocations."""
        self._heard = self._now()

    async def _on_behalf(self, call: ServiceCall) -> Caller:
        if not call.principal_id:
            return Caller(None, call.service)
        principal = await self._resolved(
            (call.principal_id, call.session),
            lambda: self._resolver.principal(call.principal_id, call.session),
        )
        return Caller(principal, call.service)

    async def _resolved(self, key: _Key, ask: Callable[[], Awaitable[Principal]]) -> Principal:
        """Return the principal of a key; calls that arrive before the answer wait for it together.

        Calls after a revocation ask for themselves.
        """
        known = self._fresh(key)
        if known is not None:
            return known.principal
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key, ask))
            asking.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asking)

    async def _ask(self, key: _Key, ask: Callable[[], Awaitable[Principal]]) -> Principal:
        """Keep an answer, unless a revocation arrived while it was on its way."""
        asked = self._now()
        principal = await ask()
        if asked > self._revoked_at:
            self._known.put(key, Known(principal, asked))
        return principal

    def _answered(self, key: _Key, done: asyncio.Future[Principal]) -> None:
        """Forget a question; the calls that wait for it raise its error."""
        if self._asking.get(key) is done:
            del self._asking[key]
        if not done.cancelled():
            done.exception()

    def _fresh(self, key: _Key) -> Known | None:
        known = self._known.get(key)
        if known is None or self._has_ended(known.principal):
            return None
        now = self._now()
        silent = now - self._heard > UNHEARD_AFTER_S
        kept_s = KEPT_UNHEARD_S if silent else KEPT_S
        return known if now - known.resolved < kept_s else None

    def _has_ended(self, principal: Principal) -> bool:
        """Return whether the credential of a principal has ended."""
        return 0 < principal.expires_us <= self._clock() * 1_000_000
