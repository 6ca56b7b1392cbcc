"""The keys that sign links: the newest signs, older ones stay valid for links not yet expired.

Keys are read from the database for each use, so a rotation takes effect on every instance.
"""

from __future__ import annotations

from collections.abc import Callable

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.orchestrator.model.request_checks import REQUEST_ID_MAX, TEXT_MAX, check_text
from flowmesh.orchestrator.storage.stores.link_key_store import LinkKeyStore

VALID_MS_MAX = 90 * 24 * 3_600_000
KEY_BYTES = 32
LISTED_MAX = 100


class LinkKeys:
    """The keys of all namespaces."""

    def __init__(self, *, store: LinkKeyStore, new_secret: Callable[[int], bytes]) -> None:
        self._store = store
        self._new_secret = new_secret

    async def newest(self) -> tuple[int, bytes]:
        key = await self._store.newest()
        while key is None:
            await self._store.make_first(self._new_secret(KEY_BYTES))
            key = await self._store.newest()
        return key.id, key.secret

    async def secret(self, key_id: int) -> bytes | None:
        """Return the secret of a key; None if there is no such key or it is not valid any more."""
        return await self._store.secret(key_id)

    async def rotate(self, request: pb.RotateLinkKeyRequest) -> pb.RotateLinkKeyResponse:
        """Make a key, or return the one that an earlier call with this request id made."""
        check_text(request.actor, "actor", TEXT_MAX)
        check_text(request.reason, "reason", TEXT_MAX)
        check_text(request.request_id, "request_id", REQUEST_ID_MAX)
        key_id, revoked = None, 0
        while key_id is None:
            made = await self._store.rotate(
                secret=self._new_secret(KEY_BYTES),
                actor=request.actor,
                reason=request.reason,
                request_id=request.request_id,
                good_ms=0 if request.revoke else VALID_MS_MAX,
            )
            if made is not None:
                key_id, revoked = made.id, made.older if request.revoke else 0
            else:
                key_id = await self._store.id_by_request(request.request_id)
        (key,) = await self._some(key_id, 1)
        return pb.RotateLinkKeyResponse(key=key, revoked=revoked)

    async def listed(self) -> pb.ListLinkKeysResponse:
        return pb.ListLinkKeysResponse(keys=await self._some(0, LISTED_MAX))

    async def _some(self, most_id: int, rows_max: int) -> list[pb.LinkKey]:
        rows = await self._store.page(most_id=most_id, rows_max=rows_max)
        return [pb.LinkKey(**row._asdict()) for row in rows]
