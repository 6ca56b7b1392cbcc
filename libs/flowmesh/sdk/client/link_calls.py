"""The client's calls about the keys that links to decide are signed with."""

from dataclasses import dataclass
from datetime import datetime

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.sdk.client.execution_calls import ExecutionCalls
from flowmesh.sdk.executions import moment


@dataclass(frozen=True, slots=True)
class LinkKey:
    """A key and who made it; without `good_until` it is the newest, which signs."""

    id: int
    created_at: datetime | None
    actor: str
    reason: str
    good_until: datetime | None


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new key, and how many older ones were revoked."""

    key: LinkKey
    revoked: int


class LinkCalls(ExecutionCalls):
    """Keys of all namespaces."""

    async def rotate_link_key(
        self, *, revoke: bool = False, reason: str = "", request_id: str = ""
    ) -> Rotated:
        """Makes a new key for links; with `revoke` those of older keys are invalid at once."""
        request = pb.RotateLinkKeyRequest(
            revoke=revoke,
            reason=reason,
            request_id=request_id or self.new_id(),
            actor=self.actor,
        )
        made = await self.caller.call(self.control.RotateLinkKey, request)
        return Rotated(_key(made.key), made.revoked)

    async def link_keys(self) -> tuple[LinkKey, ...]:
        """The newest first."""
        found = await self.caller.call(self.control.ListLinkKeys, pb.ListLinkKeysRequest())
        return tuple(_key(each) for each in found.keys)


def _key(message: pb.LinkKey) -> LinkKey:
    return LinkKey(
        id=message.id,
        created_at=moment(message.created_at_us),
        actor=message.actor,
        reason=message.reason,
        good_until=moment(message.good_until_us),
    )
