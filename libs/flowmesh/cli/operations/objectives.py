"""`observe slo|slos|set-slo|delete-slo|request`: objectives of workflows, and requests as spans."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1.observe_service_pb2_grpc import ObserveServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.arguments import WorkflowArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.operations.observe import log_document, log_line

if TYPE_CHECKING:
    from flowmesh.sdk import Client

DAY_S: Final = 86_400
BAR: Final = 40
NAMES: Final = {pb.SPAN_KIND_CALL: "", pb.SPAN_KIND_EXECUTION: "  ", pb.SPAN_KIND_ATTEMPT: "    "}


@command
async def slo(
    workflow: WorkflowArgument,
    /,
    *,
    target: float = 0,
    days: float = 30,
    slower_than_ms: float = 0,
    common: Common = COMMON,
) -> int:
    """Show the state of a service level objective; the exit code is 1 if its budget is exceeded.

    Args:
        target: Percent of the ended executions that complete, such as 99.5; by default that of
            the stored objective, with its window and duration.
        days: Window up to now.
        slower_than_ms: Completed executions that took longer do not count as good.
    """
    async with connected(common) as client:
        request = pb.GetSloRequest(
            namespace=client.namespace,
            workflow_id=workflow,
            target=target,
            window_s=int(days * DAY_S),
            slower_than_ms=slower_than_ms,
        )
        found = (await client.caller.call(_stub(client).GetSlo, request)).slo
    output.result(document_of(found), _text(found))
    return exit_codes.DONE if found.budget_left >= 0 else exit_codes.FAILED


@command
async def slos(*, common: Common = COMMON) -> None:
    """List the stored objectives, with the states that are computed every minute."""
    async with connected(common) as client:
        request = pb.ListSlosRequest(namespace=client.namespace)
        answer = await client.caller.call(_stub(client).ListSlos, request)
    output.table(
        answer.slos,
        document_of,
        "WORKFLOW=workflow_id TARGET REACHED BUDGET BURN BURNING",
        none="No stored objectives.",
        TARGET=lambda each: f"{each.target:g} %",
        REACHED=lambda each: f"{each.reached:.3f} %" if each.computed_at_us else "-",
        BUDGET=lambda each: f"{each.budget_left:.1%}" if each.computed_at_us else "-",
        BURN=lambda each: f"{each.burn_rate_hour:.2f}",
        BURNING=lambda each: "yes" if each.burning else "no",
    )


@command
async def set_slo(
    workflow: WorkflowArgument,
    /,
    *,
    target: float,
    days: float = 30,
    slower_than_ms: float = 0,
    alert_burn_rate: float = 0,
    common: Common = COMMON,
) -> None:
    """Store the objective of a workflow, in place of the one before.

    Args:
        target: Percent of the ended executions that complete, such as 99.5.
        days: Window up to now.
        slower_than_ms: Completed executions that took longer do not count as good.
        alert_burn_rate: Burn rate of the last hour and of the last five minutes that raises the
            event `flowmesh.alert.budget`; by default 14.4.
    """
    async with connected(common) as client:
        request = pb.SetSloRequest(
            namespace=client.namespace,
            workflow_id=workflow,
            target=target,
            window_s=int(days * DAY_S),
            slower_than_ms=slower_than_ms,
            alert_burn_rate=alert_burn_rate,
        )
        found = (await client.caller.call(_stub(client).SetSlo, request)).slo
    output.result(document_of(found), _text(found))


@command
async def delete_slo(workflow: WorkflowArgument, /, *, common: Common = COMMON) -> None:
    """Delete the stored objective of a workflow."""
    async with connected(common) as client:
        request = pb.DeleteSloRequest(namespace=client.namespace, workflow_id=workflow)
        await client.caller.call(_stub(client).DeleteSlo, request)
    output.result({"workflowId": workflow, "deleted": True}, f"the objective of {workflow} is gone")


@command
async def request(
    execution: Annotated[str, Parameter(help="Id of the execution.")] = "",
    /,
    *,
    trace: str = "",
    common: Common = COMMON,
) -> None:
    """Show a request on one axis of time: calls, executions, attempts on workers, log records.

    Args:
        trace: Id of the trace, instead of an execution.
    """
    async with connected(common) as client:
        asked = pb.ListSpansRequest(
            namespace=client.namespace, execution_id=execution, trace_id=trace
        )
        found = await client.caller.call(_stub(client).ListSpans, asked)
    if common.structured:
        logs = [log_document(each) for each in found.logs]
        output.document({**document_of(found), "logs": logs})
        return
    output.columns(("SPAN", "PROCESS", "STARTED", "DURATION", ""), _rows(found.spans), none="None.")
    for each in found.logs:
        output.line(log_line(each))


def _rows(spans: Iterable[pb.Span]) -> list[tuple[str, ...]]:
    found = list(spans)
    first = min((each.start_us for each in found), default=0)
    last = max((each.start_us + each.duration_ms * 1_000 for each in found), default=0)
    length = max(1.0, last - first)
    rows: list[tuple[str, ...]] = []
    for each in found:
        before = int((each.start_us - first) / length * BAR)
        width = max(1, int(each.duration_ms * 1_000 / length * BAR))
        rows.append(
            (
                NAMES.get(each.kind, "") + output.visible(each.name),
                output.visible(each.process),
                f"+{output.duration((each.start_us - first) / 1_000)}",
                output.duration(each.duration_ms),
                " " * before + ("x" if each.failed else "=") * min(width, BAR - before + 1),
            )
        )
    return rows


def _text(found: pb.Slo) -> str:
    return (
        f"{found.workflow_id}: {found.reached:.3f} % of {found.good + found.bad:,} are good, the"
        f" target is {found.target:g} %; {found.budget_left:.1%} of the budget are left, which"
        f" burned at {found.burn_rate_hour:.2f} in the last hour and {found.burn_rate:.2f} in the"
        " window"
    )


def _stub(client: "Client") -> Any:
    return ObserveServiceStub(client.caller.channel)
