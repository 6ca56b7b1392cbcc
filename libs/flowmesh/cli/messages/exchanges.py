"""`exchange list|declare|delete|publish`, and `queue publish|consume`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import output
from flowmesh.cli.arguments import Flag, JsonText, Texts
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.executions.executions import parse_pairs
from flowmesh.cli.messages.queues import QueueArgument, message_json, show_message
from flowmesh.contract.nouns import counted

ExchangeArgument = Annotated[str, Parameter(help="Name of the exchange.")]
MessageId = Annotated[str, Parameter(help="Id of the message; the same id is stored once.")]
Priority = Annotated[int, Parameter(help="Priority, 0 to 9.")]
Delay = Annotated[float, Parameter(help="Seconds before its queues get the message.")]
Header = Annotated[Texts, Parameter(help="Header, as name=value; can be repeated.")]
Body = Annotated[JsonText, Parameter(help="JSON, @file, or - for standard input.")]


@command
async def list_exchanges(*, common: Common = COMMON) -> None:
    """List exchanges with their bindings."""
    async with connected(common) as client:
        found = await client.broker.exchanges()
        bindings = await client.broker.bindings()
    if common.structured:
        documents = [output.members(each, "exchange=name *") for each in found]
        for each, shown in zip(found, documents, strict=True):
            own = [b for b in bindings if b.source == each.name]
            shown["bindings"] = [output.members(b, "* -source") for b in own]
        output.document(documents)
        return
    if not found:
        output.nothing("No exchanges found.")
    for each in found:
        output.line(f"{each.name}  {each.type}")
        for b in bindings:
            if b.source == each.name:
                output.line(f"  {b.key!r} to {b.queue or f'exchange {b.exchange}'}")


@command
async def declare(
    exchange: ExchangeArgument,
    type: Literal["direct", "fanout", "topic", "headers"] = "topic",
    /,
    *,
    alternate: str = "",
    common: Common = COMMON,
) -> None:
    """Declare an exchange; repeating it with the same type changes nothing.

    Args:
        type: Rule that selects the bindings of a message.
        alternate: Exchange of the messages that match no binding.
    """
    async with connected(common) as client:
        created = await client.broker.declare_exchange(exchange, type, alternate=alternate)
    effect = "is created" if created else "exists already"
    output.result({"exchange": exchange, "created": created}, f"{exchange} {effect}")


@command
async def delete(exchange: ExchangeArgument, /, *, common: Common = COMMON) -> None:
    """Delete an exchange with its bindings."""
    async with connected(common) as client:
        await client.broker.delete_exchange(exchange)
    output.result({"exchange": exchange, "deleted": True}, f"{exchange} is deleted")


@command
async def publish(
    exchange: ExchangeArgument,
    key: str,
    body: Body,
    /,
    *,
    id: MessageId = "",
    priority: Priority = 0,
    delay: Delay = 0,
    header: Header = None,
    mandatory: Flag = False,
    common: Common = COMMON,
) -> None:
    """Publish a message to an exchange.

    Args:
        key: Routing key, such as data.raw.
        mandatory: Fail if the message leads to no queue.
    """
    value = read_value(body, "BODY")
    async with connected(common) as client:
        outcome = await client.messages.publish(
            value,
            key,
            exchange,
            id=id,
            priority=priority,
            delay=delay,
            headers=parse_pairs(header or ()),
            mandatory=mandatory,
        )
    document = {"id": outcome.id, "queues": outcome.queues, "duplicate": outcome.duplicate}
    output.result(document, f"{outcome.id} is stored in {counted(outcome.queues, 'queue')}")


@command
async def publish_to_queue(
    queue: QueueArgument,
    body: Body,
    /,
    *,
    id: MessageId = "",
    priority: Priority = 0,
    delay: Delay = 0,
    header: Header = None,
    common: Common = COMMON,
) -> None:
    """Publish a message to a queue."""
    value = read_value(body, "BODY")
    async with connected(common) as client:
        outcome = await client.messages.publish(
            value,
            queue,
            id=id,
            priority=priority,
            delay=delay,
            headers=parse_pairs(header or ()),
            mandatory=True,
        )
    document = {"id": outcome.id, "duplicate": outcome.duplicate}
    output.result(document, f"{outcome.id} is stored in {queue}")


@command
async def consume(
    queue: QueueArgument,
    /,
    *,
    limit: int = 1,
    wait: float = 5.0,
    group: str = "",
    common: Common = COMMON,
) -> None:
    """Receive messages of a queue, print and acknowledge them.

    Args:
        limit: Maximum number of messages, at most 500.
        wait: Seconds to wait for the first, at most 30.
        group: Group of a stream.
    """
    async with connected(common) as client:
        found = await client.messages.receive(queue, limit, wait=wait, group=group)
        if common.structured:
            output.document([message_json(each) for each in found])
        elif not found:
            output.nothing("No messages found.")
        else:
            for each in found:
                show_message(each)
        await client.messages.ack(*found)
