"""`approval-link`, `link-keys`: links by which people decide, and what they are signed with."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, NodeId
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.refusals import Refused
from flowmesh.definitions.durations import duration_ms

if TYPE_CHECKING:
    from flowmesh.sdk import Client
    from flowmesh.sdk.client.parts.approval_links import LinkKey


def approval_link(
    execution: ExecutionId,
    node: NodeId,
    by: str,
    /,
    *,
    only: Literal["any", "approve", "reject"] = "any",
    valid: str = "",
    common: Common = COMMON,
) -> int:
    """Make a link by which somebody decides what a task asks.

    Whoever has it decides in their name, until they have or it expires: at the deadline of the
    approval, or after 7 days.

    Parameters
    ----------
    execution
        Id of the execution.
    node
        Id of the task.
    by
        Who decides by it.
    only
        What the link lets them say.
    valid
        How long it can be used, such as 8h.
    """

    async def work(client: "Client") -> int:
        handle = client.handle(execution)
        made = await handle.approval_link(node, by=by, decision=only, valid=_duration(valid))
        if common.structured:
            output.document(
                {
                    "executionId": execution,
                    "node": node,
                    "by": by,
                    "url": made.url,
                    "expiresAt": output.iso(made.expires_at),
                }
            )
        else:
            output.line(made.url)
        return exit_codes.DONE

    return guarded(common, lambda: run(common, work))


def rotate_key(
    *,
    revoke: Annotated[bool, Parameter(negative="")] = False,
    reason: str = "",
    common: Common = COMMON,
) -> int:
    """Make a new key, which links of all namespaces are signed with from now on.

    Links of older keys are good until they expire.

    Parameters
    ----------
    revoke
        Links of older keys are invalid from now on.
    reason
        Why; kept with the key.
    """

    async def work(client: "Client") -> int:
        made = await client.rotate_link_key(revoke=revoke, reason=reason)
        if common.structured:
            output.document({"key": _key_json(made.key), "revoked": made.revoked})
        else:
            output.line(f"key {made.key.id} signs links; {made.revoked} older ones revoked")
        return exit_codes.DONE

    return run(common, work)


def list_keys(*, common: Common = COMMON) -> int:
    """List the keys, the newest first, without their secrets."""

    async def work(client: "Client") -> int:
        found = await client.link_keys()
        if common.structured:
            output.document([_key_json(each) for each in found])
            return exit_codes.DONE
        rows = [
            (
                str(each.id),
                output.age(each.created_at),
                output.age(each.good_until),
                each.actor or "-",
                each.reason,
            )
            for each in found
        ]
        header = ("KEY", "MADE", "LINKS GOOD UNTIL", "BY", "WHY")
        output.columns(header, rows, none="No keys found.")
        return exit_codes.DONE

    return run(common, work)


def _key_json(key: "LinkKey") -> dict[str, Any]:
    return {
        "id": key.id,
        "createdAt": output.iso(key.created_at),
        "actor": key.actor,
        "reason": key.reason,
        "goodUntil": output.iso(key.good_until),
    }


def _duration(text: str) -> timedelta | None:
    if not text:
        return None
    found = duration_ms(text)
    if not found:
        raise Refused(f"--valid {text!r} is no duration", "write it as 30m, 8h or 2d")
    return timedelta(milliseconds=found)
