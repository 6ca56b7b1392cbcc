"""Calls about the keys that sign approval links."""

from dataclasses import dataclass
from datetime import datetime

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.records import value_from, values_from
from flowmesh.sdk.client.stubs import ExecutionStubs
from flowmesh.sdk.transport.connection import Connection


@dataclass(frozen=True, slots=True)
class LinkKey:
    """A signing key and its creator; the newest key, which signs, has no `good_until`."""

    id: int
    created_at: datetime | None
    actor: str
    reason: str
    good_until: datetime | None


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new key and the number of revoked older keys."""

    key: LinkKey
    revoked: int


class ApprovalLinkCalls:
    """Keys that sign approval links, of all namespaces."""

    def __init__(self, connection: Connection, stubs: ExecutionStubs) -> None:
        self._connection = connection
        self._stub = stubs.control

    async def rotate_key(
        self, *, revoke: bool = False, reason: str = "", request_id: str = ""
    ) -> Rotated:
        """Create a new key; with `revoke`, links signed by older keys become invalid at once."""
        request = pb.RotateLinkKeyRequest(
            revoke=revoke,
            reason=reason,
            request_id=request_id or self._connection.new_id(),
            actor=self._connection.actor,
        )
        rotated = await self._connection.caller.call(self._stub.RotateLinkKey, request)
        return value_from(Rotated, rotated)

    async def keys(self) -> tuple[LinkKey, ...]:
        """Return the keys, newest first."""
        found = await self._connection.caller.call(
            self._stub.ListLinkKeys, pb.ListLinkKeysRequest()
        )
        return values_from(LinkKey, found.keys)
