"""`approval-link`, `link-keys`: signed links for approvals, and the keys that sign them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from flowmesh.cli import output
from flowmesh.cli.arguments import ChangeReason, ExecutionArgument, Flag, TaskArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.contract.durations import duration_ms

if TYPE_CHECKING:
    from flowmesh.sdk.client.parts.approval_links import LinkKey


@command
async def approval_link(
    execution: ExecutionArgument,
    node: TaskArgument,
    by: str,
    /,
    *,
    only: Literal["any", "approve", "reject"] = "any",
    valid: str = "",
    common: Common = COMMON,
) -> None:
    """Create a signed link with which a person decides an approval.

    Every holder of the link decides in the name of this person. The link is valid for one decision
    and expires at the deadline of the approval, or after 7 days.

    Args:
        by: Name of the person who decides.
        only: Decision that the link allows.
        valid: Lifetime of the link, such as 8h.
    """

    async with connected(common) as client:
        handle = client.handle(execution)
        link = await handle.approval_link(node, by=by, decision=only, valid=_duration(valid))
    document = {
        "executionId": execution,
        "node": node,
        "by": by,
        "url": link.url,
        "expiresAt": output.iso(link.expires_at),
    }
    output.result(document, link.url)


@command
async def rotate_key(
    *, revoke: Flag = False, reason: ChangeReason = "", common: Common = COMMON
) -> None:
    """Create the key that signs all new links of all namespaces.

    Links signed with older keys stay valid until they expire.

    Args:
        revoke: Revoke older keys; links signed with them become invalid.
    """
    async with connected(common) as client:
        rotation = await client.rotate_link_key(revoke=revoke, reason=reason)
    output.result(
        {"key": _key_json(rotation.key), "revoked": rotation.revoked},
        f"key {rotation.key.id} signs new links; {rotation.revoked} older keys revoked",
    )


@command
async def list_keys(*, common: Common = COMMON) -> None:
    """List the keys without their secrets, the newest first."""
    async with connected(common) as client:
        found = await client.link_keys()
        output.table(
            found,
            _key_json,
            "KEY=id CREATED=created_at LINKS_VALID_UNTIL=good_until ACTOR=actor? REASON",
            none="No keys found.",
        )


def _key_json(key: "LinkKey") -> dict[str, Any]:
    return output.members(key)


def _duration(text: str) -> timedelta | None:
    if not text:
        return None
    found = duration_ms(text)
    if not found:
        raise Refused(f"--valid {text!r} is not a duration", "write it as 30m, 8h or 2d")
    return timedelta(milliseconds=found)
