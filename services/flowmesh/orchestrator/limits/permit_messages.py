"""Permit requests and grants as the messages between orchestrators."""

from collections.abc import Callable, Iterable

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.limits.permit_ledger import PermitRequest
from flowmesh.orchestrator.limits.ready_queues import Need


def request_of(
    namespace: str, message: pb.PermitAsk, granted: Callable[[PermitRequest], None]
) -> PermitRequest:
    needs = tuple(
        Need(
            each.rule,
            each.counter,
            each.concurrency,
            each.rate_per_second,
            each.burst,
            message.limits_version,
        )
        for each in message.needs
    )
    return PermitRequest(
        namespace,
        message.token,
        message.partition,
        message.epoch,
        needs,
        message.due_ms,
        message.fair,
        granted,
    )


def request_message(request: PermitRequest) -> pb.PermitAsk:
    message = pb.PermitAsk(
        token=request.token,
        partition=request.partition,
        epoch=request.epoch,
        due_ms=request.due_ms,
        fair=request.fair,
        limits_version=request.version,
    )
    for need in request.needs:
        message.needs.add(
            rule=need.rule,
            counter=need.counter,
            concurrency=need.concurrency,
            rate_per_second=need.rate,
            burst=need.burst,
        )
    return message


def grant_of(
    address: str, namespace: str, granted: Iterable[PermitRequest]
) -> pb.GrantPermitsRequest:
    """Return the grant that the orchestrator at `address` sends for these requests."""
    requests = list(granted)
    return pb.GrantPermitsRequest(
        address=address,
        namespace=namespace,
        tokens=[each.token for each in requests],
        limits_versions=[each.version for each in requests],
    )
