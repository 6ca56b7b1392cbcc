"""What goes between orchestrators about one permit that is asked for."""

from collections.abc import Callable

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.limits.permit_ledger import Ask
from flowmesh.orchestrator.limits.ready_queues import Need


def ask_of(namespace: str, message: pb.PermitAsk, granted: Callable[[Ask], None]) -> Ask:
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
    return Ask(
        namespace,
        message.token,
        message.partition,
        message.epoch,
        needs,
        message.due_ms,
        message.fair,
        granted,
    )


def ask_message(ask: Ask) -> pb.PermitAsk:
    message = pb.PermitAsk(
        token=ask.token,
        partition=ask.partition,
        epoch=ask.epoch,
        due_ms=ask.due_ms,
        fair=ask.fair,
        limits_version=ask.version,
    )
    for need in ask.needs:
        message.needs.add(
            rule=need.rule,
            counter=need.counter,
            concurrency=need.concurrency,
            rate_per_second=need.rate,
            burst=need.burst,
        )
    return message
