"""Commands about queues of messages: `queue list`, `queue declare`, `queue redrive`, …."""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Flag, JsonText, Texts
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.executions.executions import parse_pairs
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import Message, QueueChanges, QueueState

BODY_CHARACTERS_MAX = 60
QueueArgument = Annotated[str, Parameter(help="Name of the queue.")]
ReasonWord = Literal["", "rejected", "expired", "max_size", "attempts"]
MatchWord = Literal["all", "any", "all-with-x", "any-with-x"]


@Parameter(name="*")
@dataclass(frozen=True)
class Kept:
    """Options about the consumers and the storage of a queue."""

    exclusive: Annotated[
        bool,
        Parameter(negative="", help="Accept one consumer, and delete the queue when it has left."),
    ] = False
    auto_delete: Annotated[
        bool, Parameter(negative="", help="Delete the queue when its last consumer has left.")
    ] = False
    single_active: Annotated[
        bool,
        Parameter(negative="", help="Deliver to one of several consumers; the next takes over."),
    ] = False
    encrypt: Annotated[bool, Parameter(negative="", help="Encrypt bodies at rest.")] = False


KEPT = Kept()


@command
async def list_queues(*, common: Common = COMMON) -> None:
    """List queues of messages with their depths."""
    async with connected(common) as client:
        found = await collect(client.broker.queues(), 0)
    output.listing(found, _json, lambda each: output.line(_line(each)), none="No queues found.")


@command
async def show(queue: QueueArgument, /, *, common: Common = COMMON) -> int:
    """Show a queue, its content and its bindings."""
    async with connected(common) as client:
        state = await client.broker.queue(queue)
        bindings = await client.broker.bindings(queue=queue)
    if common.structured:
        bound = [output.members(each, "exchange=source key") for each in bindings]
        output.document(_json(state) | {"bindings": bound})
        return exit_codes.DONE
    output.line(_line(state))
    durable = "durable" if state.durable else "transient"
    flags = ("exclusive", "auto_delete", "single_active", "encrypt")
    kinds = [state.kind, durable, *(each for each in flags if getattr(state, each))]
    output.line(f"  {', '.join(kinds)}, at most {state.max_size:,} messages")
    if state.oldest_at is not None:
        output.line(f"  oldest message {output.age(state.oldest_at)}, {state.bytes:,} bytes")
    for priority, depth in sorted(state.priorities.items(), reverse=True):
        if state.max_priority:
            output.line(f"  priority {priority}: {depth:,}")
    for group, pending in sorted(state.groups.items()):
        output.line(f"  group {group}: {pending:,} to read")
    if state.dead_letter_queue:
        output.line(f"  dead letters: {state.dead_letters:,} in {state.dead_letter_queue}")
    for each in bindings:
        output.line(f"  bound to {each.source} by {each.key!r}")
    return exit_codes.DONE


@command
async def declare(
    queue: QueueArgument,
    /,
    *,
    transient: Flag = False,
    stream: Flag = False,
    max_size: int = 0,
    max_bytes: int = 0,
    overflow: Literal["reject", "drop_oldest", "dead_letter"] = "reject",
    ttl: float = 0,
    on_expiry: Literal["drop", "dead_letter"] = "drop",
    max_priority: int = 0,
    attempts: int = 0,
    visibility_timeout: float = 0,
    dead_letter_queue: str = "",
    schema: JsonText = "",
    kept: Kept = KEPT,
    common: Common = COMMON,
) -> None:
    """Declare a queue; repeating it with the same options changes nothing.

    Args:
        transient: Keep the messages in memory only.
        stream: Keep the messages for all groups of consumers.
        max_size: Maximum number of messages; 0 is 100,000.
        max_bytes: Maximum size of all messages; 0 is 1 GiB.
        overflow: Treatment of a message for a full queue.
        ttl: Time to live of messages in seconds; 0 is unlimited.
        on_expiry: Treatment of expired messages.
        max_priority: Highest priority, 0 to 9.
        attempts: Deliveries of a message before it is given up; 0 is 5.
        visibility_timeout: Seconds after which an unsettled message is delivered again; 0 is 30.
        dead_letter_queue: Queue of the messages that are given up; created if it does not exist.
        schema: JSON Schema of the bodies: JSON, @file, or - for standard input.
    """
    given = read_value(schema, "--schema") if schema else None
    async with connected(common) as client:
        created = await client.broker.declare_queue(
            queue,
            durable=not transient,
            stream=stream,
            max_size=max_size,
            max_bytes=max_bytes,
            overflow=overflow,
            message_ttl=ttl,
            on_expiry=on_expiry,
            max_priority=max_priority,
            max_attempts=attempts,
            visibility_timeout=visibility_timeout,
            dead_letter_queue=dead_letter_queue,
            schema=given,
            **asdict(kept),
        )
    effect = "is created" if created else "exists already"
    output.result({"queue": queue, "created": created}, f"{queue} {effect}")


@command
async def watch(
    queues: list[str] | None = None, /, *, seconds: float = 0, common: Common = COMMON
) -> int:
    """Follow the depths of queues; without names, of all.

    Args:
        queues: Names of queues.
        seconds: Stop after this time; 0 is never.
    """
    async with connected(common) as client:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds or None):
                async for changes in client.broker.watch_queues(*(queues or ())):
                    _show_changes(changes, structured=common.structured)
    return exit_codes.DONE


def _show_changes(changes: "QueueChanges", *, structured: bool) -> None:
    for state in changes.queues:
        output.line(output.compact(_json(state)) if structured else _line(state))
    for name in changes.removed:
        removed = output.compact({"queue": name, "removed": True})
        output.line(removed if structured else f"{name}  removed")


@command
async def delete(
    queue: QueueArgument, /, *, if_empty: Flag = False, common: Common = COMMON
) -> None:
    """Delete a queue with its messages and bindings.

    Args:
        if_empty: Refuse if the queue holds messages.
    """
    async with connected(common) as client:
        await client.broker.delete_queue(queue, if_empty=if_empty)
    output.result({"queue": queue, "deleted": True}, f"{queue} is deleted")


@command
async def bind(
    queue: QueueArgument,
    exchange: str,
    key: str = "",
    /,
    *,
    header: Texts = None,
    match: MatchWord = "all",
    common: Common = COMMON,
) -> None:
    """Bind a queue to an exchange.

    Args:
        exchange: Name of the exchange.
        key: Routing key; for a topic exchange a pattern such as data.# or order.*.paid.
        header: Header that messages must have, as name=value; can be repeated.
        match: Combination of several headers.
    """
    async with connected(common) as client:
        headers = parse_pairs(header or ())
        created = await client.broker.bind(queue, exchange, key, headers=headers, match=match)
    effect = "is bound" if created else "was bound already"
    output.result({"created": created}, f"{queue} {effect} to {exchange}")


@command
async def unbind(
    queue: QueueArgument,
    exchange: str,
    key: str = "",
    /,
    *,
    header: Texts = None,
    match: MatchWord = "all",
    common: Common = COMMON,
) -> None:
    """Remove a binding of a queue.

    Args:
        exchange: Name of the exchange.
        key: Routing key or pattern of the binding.
        header: Header of the binding, as name=value; can be repeated.
        match: Combination of several headers.
    """
    async with connected(common) as client:
        headers = parse_pairs(header or ())
        removed = await client.broker.unbind(queue, exchange, key, headers=headers, match=match)
    effect = "is no longer bound" if removed else "was not bound"
    output.result({"removed": removed}, f"{queue} {effect} to {exchange}")


@command
async def peek(
    queue: QueueArgument, /, *, sequence: int = 0, limit: int = 20, common: Common = COMMON
) -> None:
    """Show messages of a queue without locking them, oldest first.

    Args:
        sequence: Position of the first message.
        limit: Maximum number of messages.
    """
    async with connected(common) as client:
        found = await client.messages.browse(queue, sequence=sequence, count=limit)
    output.listing(found, message_json, show_message, none="No messages found.")


@command
async def redrive(
    queue: QueueArgument,
    /,
    *,
    to: str = "",
    reason: ReasonWord = "",
    from_queue: str = "",
    rate: int = 0,
    common: Common = COMMON,
) -> int:
    """Move dead letters back to the queues that gave them up.

    Args:
        to: Queue that gets all of them.
        reason: Only dead letters with this reason.
        from_queue: Only dead letters of this queue.
        rate: Messages per second; 0 is unlimited.
    """
    async with connected(common) as client:
        done = await client.messages.redrive(
            queue, to=to, reason=reason, from_queue=from_queue, rate=rate
        )
    kept = f", {done.kept:,} stay: {done.error}" if done.kept else ""
    output.result(
        output.members(done),
        f"{counted(done.moved, 'message')} moved{kept}",
    )
    return exit_codes.FAILED if done.kept else exit_codes.DONE


@command
async def discard(
    queue: QueueArgument, sequences: list[int], /, *, common: Common = COMMON
) -> None:
    """Delete single messages by the positions that `queue peek` shows.

    Args:
        sequences: Positions of the messages.
    """
    async with connected(common) as client:
        count = await client.messages.discard(queue, sequences)
    output.result({"discarded": count}, f"{counted(count, 'message')} deleted")


@command
async def purge(queue: QueueArgument, /, *, common: Common = COMMON) -> None:
    """Delete all messages of a queue, including those in flight."""
    async with connected(common) as client:
        count = await client.messages.purge(queue)
    output.result({"purged": count}, f"{counted(count, 'message')} deleted")


@command
async def seek(
    queue: QueueArgument,
    group: str,
    /,
    *,
    sequence: int = 0,
    since: datetime | None = None,
    latest: Flag = False,
    common: Common = COMMON,
) -> None:
    """Move a group of a stream to a position; without options to its beginning.

    Args:
        group: Name of the group.
        sequence: Position of the next message.
        since: Instant from which messages are read.
        latest: Skip all stored messages.
    """
    async with connected(common) as client:
        await client.messages.seek(queue, group, sequence=sequence, at=since, latest=latest)
    output.result({"group": group}, f"{group} reads {queue} from there")


@command
async def diagnose(queue: QueueArgument, /, *, common: Common = COMMON) -> int:
    """Explain why the messages of a queue are not processed."""
    async with connected(common) as client:
        findings = await client.broker.diagnose(queue)
    if common.structured:
        output.document([output.members(each) for each in findings])
        return exit_codes.DONE
    if not findings:
        output.line(f"Nothing prevents the messages of {queue} from being processed.")
    for each in findings:
        output.line(f"{each.cause}: {each.explanation}")
        output.paragraph(each.remedy, "  ")
    return exit_codes.DONE


def show_message(message: "Message") -> None:
    body = message.body
    text = f"{len(body):,} bytes" if isinstance(body, bytes) else output.compact(body)
    if len(text) > BODY_CHARACTERS_MAX:
        text = f"{text[:BODY_CHARACTERS_MAX]}…"
    key = f" {message.routing_key}" if message.routing_key else ""
    output.line(f"{message.sequence}  {message.id}{key}  {text}")
    if message.death is not None:
        death = message.death
        error = f": {death.error}" if death.error else ""
        at = output.moment(death.last_at)
        output.line(f"  dead since {at}, {death.reason} by {death.queue}{error}")


def message_json(message: "Message") -> dict[str, Any]:
    shown = output.members(
        message,
        "sequence id routing_key exchange priority headers body published_at attempt death?",
    )
    shown["headers"] = {name: _in_json(value) for name, value in message.headers.items()}
    shown["body"] = _in_json(message.body)
    if message.death is not None:
        shown["death"] = output.members(message.death, "reason queue error")
    return shown


def _in_json(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _line(state: "QueueState") -> str:
    parts = [counted(state.depth, "message")]
    if state.in_flight:
        parts.append(f"{state.in_flight:,} in flight")
    counts = ((state.consumers, "consumer"), (state.dead_letters, "dead letter"))
    parts += [counted(count, noun) for count, noun in counts if count]
    return f"{state.name}  {', '.join(parts)}"


def _json(state: "QueueState") -> dict[str, Any]:
    return output.members(
        state,
        "queue=name * -max_priority -priorities -groups -exclusive -auto_delete -single_active "
        "-encrypt",
    )
