"""Triggers as protobuf messages."""

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.definitions.canonical import json_bytes
from flowmesh.definitions.triggers import (
    CATCH_UPS,
    OPERATIONS,
    PROVIDERS,
    Changes,
    Cron,
    Events,
    Messages,
    Receiver,
    Trigger,
    Webhook,
)


def receiver_message(receiver: Receiver) -> pb.Receiver:
    schema = receiver.payload_schema
    return pb.Receiver(
        provider=PROVIDERS[receiver.provider],
        secret=receiver.secret,
        payload_schema=b"" if schema is None or schema is True else json_bytes(schema),
        signature_header=receiver.signature_header,
    )


def trigger_message(trigger: Trigger) -> pb.Trigger:
    message = pb.Trigger(
        id=trigger.id, input_template=json_bytes(trigger.input) if trigger.has_input else b""
    )
    match trigger.source:
        case Cron() as cron:
            message.cron.expression = cron.expression
            message.cron.time_zone = cron.time_zone
            message.cron.catch_up = CATCH_UPS[cron.catch_up]
            message.cron.catch_up_max = cron.catch_up_max
        case Events() as events:
            message.event.SetInParent()
            message.event.type = events.type
            message.event.source = events.source
            message.event.filter = events.filter
        case Webhook() as webhook:
            message.webhook.hook = webhook.hook
            message.webhook.signal = webhook.signal
            message.webhook.receiver.CopyFrom(receiver_message(webhook.receiver))
        case Messages() as messages:
            message.queue.queue = messages.queue
            message.queue.filter = messages.filter
            message.queue.batch = messages.batch
            message.queue.batch_within_ms = messages.batch_within_ms
        case Changes() as changes:
            message.change.CopyFrom(_change_message(changes))
    return message


def _change_message(changes: Changes) -> pb.ChangeTrigger:
    return pb.ChangeTrigger(
        database=changes.database,
        table=changes.table,
        operations=[OPERATIONS[each] for each in changes.operations],
        filter=changes.filter,
        publication=changes.publication,
        signal=changes.signal,
        retain_bytes_max=changes.retain_bytes_max,
    )
