"""Large payloads: stored once by content, read through a small cache."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import NotFound, WrongState
from flowmesh.orchestrator.model.ids import is_digest
from flowmesh.orchestrator.model.payload_checks import check_encoding, check_integers, too_large
from flowmesh.orchestrator.storage.stores.payload_store import PayloadStore
from flowmesh.rpc import namespace_of

STORED_BYTES_MAX = 64 << 20
CHUNK_BYTES = 1 << 20
CACHE_BYTES_MAX = 64 << 20
RENEWED_MAX = 1_000


class Payloads:
    """The stored payloads of all namespaces."""

    def __init__(self, *, store: PayloadStore) -> None:
        self._store = store
        self._cache: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._cached_bytes = 0

    def require_keys(self, namespace: str) -> None:
        """Raise DATA_UNREADABLE if the data keys of a namespace were destroyed."""
        self._store.keys.require(namespace)

    async def put(self, namespace: str, encoding: str, data: bytes) -> payload_pb2.Payload:
        """Store bytes and return a reference; the same bytes are stored once."""
        if len(data) > STORED_BYTES_MAX:
            raise too_large("payload", len(data), STORED_BYTES_MAX)
        digest = hashlib.sha256(data).hexdigest()
        await self._store.put(namespace, digest, encoding, data)
        reference = payload_pb2.PayloadReference(digest=digest, size_bytes=len(data))
        return payload_pb2.Payload(encoding=encoding, reference=reference)

    async def receive(self, chunks: AsyncIterator[pb.PutPayloadRequest]) -> payload_pb2.Payload:
        """Store the content of a stream of chunks; refuse it as soon as it is too large."""
        namespace, encoding = "default", ""
        data = bytearray()
        first = True
        async for chunk in chunks:
            if first:
                namespace, encoding, first = namespace_of(chunk), chunk.encoding, False
                check_encoding(encoding)
            data += chunk.chunk
            if len(data) > STORED_BYTES_MAX:
                raise too_large("payload", len(data), STORED_BYTES_MAX)
        content = bytes(data)
        check_integers(encoding, content, "value")
        return await self.put(namespace, encoding, content)

    async def get(self, namespace: str, digest: str) -> tuple[str, bytes]:
        """Return the encoding and the bytes of a stored payload."""
        stored = await self._store.get(namespace, digest) if is_digest(digest) else None
        if stored is None:
            raise NotFound("PAYLOAD_NOT_FOUND", f"no payload {digest[:64]!r} in this namespace")
        return stored.encoding, stored.data

    async def require(self, namespace: str, *given: payload_pb2.Payload) -> None:
        """Keep referenced payloads for another day, long enough to commit the reference.

        Raises PAYLOAD_MISSING if one is not stored any more, even if it is cached.
        """
        for payload in given:
            if not payload.HasField("reference"):
                continue
            digest = payload.reference.digest
            if not await self._store.renew(namespace, digest):
                message = f"payload {digest[:64]!r} is not stored; put it again"
                raise WrongState("PAYLOAD_MISSING", message)

    async def renew(self, namespace: str, digests: Iterable[str]) -> list[str]:
        """Keep payloads for another day; return the digests of those that are not stored."""
        wanted = sorted(set(digests))
        if len(wanted) > RENEWED_MAX:
            raise too_large("digests", len(wanted), RENEWED_MAX)
        stored = await self._store.renew_all(namespace, wanted)
        return [digest for digest in wanted if digest not in stored]

    async def given(self, namespace: str, payload: payload_pb2.Payload) -> bytes:
        """Return the bytes that a caller sends or refers to. Raises PAYLOAD_MISSING."""
        await self.require(namespace, payload)
        return await self.content(namespace, payload)

    async def content(self, namespace: str, payload: payload_pb2.Payload) -> bytes:
        """Return the bytes of a payload, inline or stored."""
        if not payload.HasField("reference"):
            return payload.data
        return await self.read(namespace, payload.reference.digest)

    async def read(self, namespace: str, digest: str) -> bytes:
        """Return the bytes of a stored payload, from the cache if possible."""
        key = (namespace, digest)
        if key not in self._cache:
            _, data = await self.get(namespace, digest)
            self._cache[key] = data
            self._cached_bytes += len(data)
            while self._cached_bytes > CACHE_BYTES_MAX and len(self._cache) > 1:
                self._cached_bytes -= len(self._cache.popitem(last=False)[1])
        self._cache.move_to_end(key)
        return self._cache[key]

    def forget(self, namespace: str, digests: Iterable[str]) -> None:
        """Remove erased payloads from the cache."""
        for digest in digests:
            self._cached_bytes -= len(self._cache.pop((namespace, digest), b""))
