"""`observe why-slow|queue|workers|map`: questions, answered in one sentence with figures."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.api.observe.v1.observe_service_pb2_grpc import ObserveServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.arguments import WorkflowArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.contract.nouns import counted
from flowmesh.records import moment

if TYPE_CHECKING:
    from flowmesh.sdk import Client

MINUTE_US: Final = 60_000_000
Minutes = Annotated[int, Parameter(help="Length of the time up to now.")]
DIFFERENCES: Final = {
    figures.DIFFERENCE_KIND_WORKFLOW: "workflow",
    figures.DIFFERENCE_KIND_TASK: "task",
    figures.DIFFERENCE_KIND_WAIT: "wait for a worker",
    figures.DIFFERENCE_KIND_VERSION: "version",
    figures.DIFFERENCE_KIND_DATABASE: "database",
}
USERS: Final = {
    figures.QUEUE_USER_KIND_EXCHANGE: "exchange",
    figures.QUEUE_USER_KIND_PUBLISHER: "publisher",
    figures.QUEUE_USER_KIND_TRIGGER: "trigger",
}

WORDS: Final = {
    figures.SERVICE_CALLS_KIND_CALL: "kept call",
    figures.SERVICE_CALLS_KIND_WORKER: "attempt",
    figures.SERVICE_CALLS_KIND_QUEUE: "message",
    figures.SERVICE_CALLS_KIND_CONSUMERS: "message",
    figures.SERVICE_CALLS_KIND_APPLICATION: "request",
}


@command
async def why_slow(
    workflow: WorkflowArgument,
    /,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    common: Common = COMMON,
) -> None:
    """Explain why a workflow is slow since a time, beside the same length of time before.

    Args:
        since: Begin of the slow time; by default a day before its end.
        until: End of the slow time; by default now.
    """
    async with connected(common) as client:
        request = pb.ExplainSlownessRequest(
            namespace=client.namespace,
            workflow_id=workflow,
            since_us=_us(since),
            until_us=_us(until),
        )
        found = await client.caller.call(_stub(client).ExplainSlowness, request)
    _answered(found)
    if not common.structured:
        output.columns(
            ("PART", "NAME", "BEFORE", "AFTER", "COUNTED"),
            [
                (
                    DIFFERENCES.get(each.kind, "-"),
                    output.visible(each.name),
                    output.duration(each.before_ms) if each.before_count else "-",
                    output.duration(each.after_ms) if each.after_count else "-",
                    f"{each.before_count:,} / {each.after_count:,}",
                )
                for each in found.differences
            ],
        )


@command
async def queue(
    name: Annotated[str, Parameter(help="Name of the message queue.")],
    /,
    *,
    minutes: Minutes = 60,
    common: Common = COMMON,
) -> None:
    """Show who uses a message queue: rates, publishers, triggers, consumers."""
    async with connected(common) as client:
        request = pb.GetQueueUseRequest(
            namespace=client.namespace, queue=name, from_us=_ago_us(minutes)
        )
        found = await client.caller.call(_stub(client).GetQueueUse, request)
    _answered(found)
    if not common.structured:
        output.columns(
            ("USER", "NAME", "KEY, TASK OR TRIGGER"),
            [
                (USERS.get(each.kind, "-"), output.visible(each.name), output.visible(each.part))
                for each in found.users
            ],
            none="No exchange, trigger or workflow uses it.",
        )


@command
async def workers(*, minutes: Minutes = 60, common: Common = COMMON) -> int:
    """Compare workers with their peers; the exit code is 1 if an attached one is sick."""
    async with connected(common) as client:
        request = pb.CompareWorkersRequest(namespace=client.namespace, from_us=_ago_us(minutes))
        found = await client.caller.call(_stub(client).CompareWorkers, request)
    _answered(found)
    if not common.structured:
        output.columns(
            ("WORKER", "ATTACHED", "COMPLETED", "FAILED", "MEAN", "PROBLEM"),
            [
                (
                    output.visible(each.worker_id),
                    output.age(moment(each.attached_at_us)) if each.attached else "no",
                    f"{each.completed:,}",
                    f"{each.failed:,}",
                    output.duration(each.mean_ms or None),
                    output.visible(each.problem) or "-",
                )
                for each in found.workers
            ],
            none="No workers.",
        )
    sick = any(each.problem and each.attached for each in found.workers)
    return exit_codes.FAILED if sick else exit_codes.DONE


@command
async def map_services(*, minutes: Minutes = 60, common: Common = COMMON) -> None:
    """Show the services of the suite with their rates and the calls between them, for operators."""
    async with connected(common) as client:
        request = pb.GetServiceMapRequest(from_us=_ago_us(minutes))
        found = await client.caller.call(_stub(client).GetServiceMap, request)
    if common.structured:
        output.document(document_of(found))
        return
    output.columns(
        ("SERVICE", "CALLS/S", "ERRORS/S", "P95"),
        [
            (each.service, f"{each.calls:.2f}", f"{each.errors:.2f}", output.duration(each.p95_ms))
            for each in found.services
        ],
        none="No calls.",
    )
    for each in found.calls:
        noun = WORDS.get(each.kind, "call")
        output.line(
            f"{output.visible(each.caller) or 'clients'} -> {output.visible(each.service)}:"
            f" {counted(each.calls, noun)}, {counted(each.errors, 'error')}"
            + (f", p95 {output.duration(each.p95_ms)}" if each.p95_ms else "")
        )


def _answered(found: Any) -> None:
    output.result(document_of(found), found.text)


def _us(at: datetime | None) -> int:
    return int(at.timestamp() * 1_000_000) if at else 0


def _ago_us(minutes: int) -> int:
    return _us(output.now()) - minutes * MINUTE_US


def _stub(client: "Client") -> Any:
    return ObserveServiceStub(client.caller.channel)
