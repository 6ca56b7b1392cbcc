"""`approval-link`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, Refused, guarded, run
from flowmesh.definitions.durations import duration_ms

if TYPE_CHECKING:
    from flowmesh.sdk import Client


def approval_link(
    execution: str,
    node: str,
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
        if common.json:
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


def _duration(text: str) -> timedelta | None:
    if not text:
        return None
    found = duration_ms(text)
    if not found:
        raise Refused(f"--valid {text!r} is no duration", "write it as 30m, 8h or 2d")
    return timedelta(milliseconds=found)
