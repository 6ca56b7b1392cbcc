"""`subscription list|show|create|delete|pause|resume|rotate|test|log|resend`."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import JsonText, Texts
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.executions.executions import parse_pairs
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk.client.parts.subscriptions import (
        Alert,
        Notification,
        Policy,
        QueueSink,
        SubscriptionState,
        Webhook,
    )

SubscriptionArgument = Annotated[str, Parameter(help="Name of the subscription.")]
MetricWord = Literal["executions", "queue_depth", "dead_letters"]
StatusWord = Literal["", "pending", "delivered", "dead", "counted"]


def _option(text: str) -> Parameter:
    return Parameter(help=text)


@Parameter(name="*")
@dataclass(frozen=True)
class SinkOptions:
    """The webhook or the queue that gets the events."""

    url: Annotated[str, _option("Webhook that gets the events.")] = ""
    mode: Annotated[Literal["structured", "binary"], _option("Content mode of CloudEvents.")] = (
        "structured"
    )
    header: Annotated[
        list[str] | None,
        Parameter(help="Header of requests, as name=value; can be repeated.", negative=""),
    ] = None
    secret_ref: Annotated[str, _option("Reference secret://name to the signing secret.")] = ""
    queue: Annotated[str, _option("Queue of messages, in place of a webhook.")] = ""
    exchange: Annotated[str, _option("Exchange; --queue is then the routing key.")] = ""

    def value(self) -> "Webhook | QueueSink":
        from flowmesh.sdk.client.parts.subscriptions import QueueSink, Webhook

        if bool(self.url) == bool(self.queue or self.exchange):
            raise Refused("give --url, or --queue or --exchange", code=exit_codes.USAGE)
        if self.url:
            headers = parse_pairs(self.header or ())
            return Webhook(self.url, self.mode, self.secret_ref, headers)
        return QueueSink(self.queue, self.exchange)


@Parameter(name="*")
@dataclass(frozen=True)
class AttemptOptions:
    """Attempts of a notification, and the circuit breaker."""

    attempts: Annotated[int, _option("Attempts of a notification; 0 is 25.")] = 0
    max_delay: Annotated[float, _option("Longest delay in seconds; 0 is an hour.")] = 0
    breaker_failures: Annotated[
        int, _option("Failed attempts in a row that open the breaker; 0 is 5.")
    ] = 0
    breaker_open: Annotated[float, _option("Seconds until an open breaker is tried; 0 is 30.")] = 0

    def value(self) -> "Policy":
        from flowmesh.sdk.client.parts.subscriptions import Policy

        return Policy(
            max_attempts=self.attempts,
            max_delay=self.max_delay,
            breaker_failures=self.breaker_failures,
            breaker_open=self.breaker_open,
        )


@Parameter(name="*")
@dataclass(frozen=True)
class RuleOptions:
    """The rule of an alert; without one of these, events are sent one by one."""

    count: Annotated[int, _option("Alert at this number of events within the window.")] = 0
    window: Annotated[float, _option("Seconds of the window of an alert; 0 is 300.")] = 0
    metric: Annotated[MetricWord | None, _option("Alert by this metric, in place of events.")] = (
        None
    )
    above: Annotated[float, _option("Threshold of the metric.")] = 0
    metric_queue: Annotated[str, _option("Queue of queue_depth and dead_letters.")] = ""
    metric_filter: Annotated[str, _option("Filter of executions.")] = ""

    def value(self) -> "Alert | None":
        from flowmesh.sdk.client.parts.subscriptions import Alert

        if not self.count and self.metric is None:
            return None
        return Alert(
            count=self.count,
            window=self.window,
            metric=self.metric,
            above=self.above,
            queue=self.metric_queue,
            filter=self.metric_filter,
        )


SINK, ATTEMPTS, RULE = SinkOptions(), AttemptOptions(), RuleOptions()


@command
async def list_subscriptions(*, common: Common = COMMON) -> None:
    """List durable subscriptions and alert rules."""
    async with connected(common) as client:
        found = await collect(client.subscriptions.list(), 0)
    output.listing(
        found, _json, lambda each: output.line(_line(each)), none="No subscriptions found."
    )


@command
async def show(name: SubscriptionArgument, /, *, common: Common = COMMON) -> int:
    """Show a subscription and its state."""
    async with connected(common) as client:
        state = await client.subscriptions.get(name)
    if common.structured:
        output.document(_json(state))
        return exit_codes.DONE
    output.line(_line(state))
    output.line(f"  types: {', '.join(state.types) or 'all'}")
    for label, text in (("source", state.source), ("filter", state.filter)):
        if text:
            output.line(f"  {label}: {text}")
    if state.failing_since is not None:
        output.line(
            f"  {state.failures:,} failed attempts since {output.moment(state.failing_since)}"
        )
    if state.open_until is not None:
        output.line(f"  next attempt {output.moment(state.open_until)}")
    if state.last_error:
        output.line(f"  last error: {state.last_error}")
    if state.dropped:
        output.line(f"  {state.dropped:,} published events dropped")
    return exit_codes.DONE


@command
async def create(
    name: SubscriptionArgument,
    /,
    *,
    type: Texts = None,
    source: str = "",
    filter: str = "",
    template: JsonText = "",
    description: str = "",
    since: datetime | None = None,
    cursor: str = "",
    sink: SinkOptions = SINK,
    attempts: AttemptOptions = ATTEMPTS,
    rule: RuleOptions = RULE,
    common: Common = COMMON,
) -> None:
    """Create a durable subscription, or change the one of this name.

    Args:
        type: Type of events, or a prefix that ends with *; can be repeated.
        source: Source of events, or a prefix that ends with *.
        filter: CEL condition on event.
        template: Template of the body: JSON, @file, or - for standard input.
        description: Text for people.
        since: Instant at which a new subscription begins.
        cursor: Cursor of the event after which a new subscription begins.
    """
    async with connected(common) as client:
        state = await client.subscriptions.put(
            name,
            sink.value(),
            types=type or (),
            source=source,
            filter=filter,
            template=read_value(template, "--template") if template else None,
            description=description,
            since=since,
            cursor=cursor,
            alert=rule.value(),
            policy=attempts.value(),
        )
    effect = "is created" if state.created else "is changed"
    secret = f"; its secret, shown once: {state.secret}" if state.secret else ""
    output.result(
        _json(state) | {"created": state.created} | _secret(state), f"{name} {effect}{secret}"
    )


@command
async def delete(name: SubscriptionArgument, /, *, common: Common = COMMON) -> None:
    """Delete a subscription with its notifications."""
    async with connected(common) as client:
        await client.subscriptions.delete(name)
    output.result({"name": name, "deleted": True}, f"{name} is deleted")


@command
async def pause(name: SubscriptionArgument, /, *, common: Common = COMMON) -> None:
    """Pause a subscription; matching events are stored meanwhile."""
    async with connected(common) as client:
        state = await client.subscriptions.pause(name)
    output.result(_json(state), f"{name} is paused")


@command
async def resume(name: SubscriptionArgument, /, *, common: Common = COMMON) -> None:
    """Resume a subscription, and close its circuit breaker."""
    async with connected(common) as client:
        state = await client.subscriptions.resume(name)
    output.result(_json(state), f"{name} is active, {state.pending:,} notifications pending")


@command
async def rotate(
    name: SubscriptionArgument, /, *, overlap: float = 0, common: Common = COMMON
) -> None:
    """Replace the secret of a subscription; it is shown once.

    Args:
        overlap: Seconds for which the previous secret signs as well; 0 is a day.
    """
    async with connected(common) as client:
        secret = await client.subscriptions.rotate_secret(name, overlap=overlap)
    output.result({"name": name, "secret": secret}, f"new secret of {name}: {secret}")


@command
async def send_test(name: SubscriptionArgument, /, *, common: Common = COMMON) -> int:
    """Send a test event to the sink of a subscription."""
    async with connected(common) as client:
        done = await client.subscriptions.test(name)
    answer = f" with status {done.http_status}" if done.http_status else ""
    text = (
        f"delivered{answer} in {done.duration_ms:,} ms"
        if done.delivered
        else f"not delivered: {done.error}"
    )
    output.result(output.members(done), text)
    return exit_codes.DONE if done.delivered else exit_codes.FAILED


@command
async def log(
    name: SubscriptionArgument,
    /,
    *,
    status: StatusWord = "",
    limit: int = 20,
    common: Common = COMMON,
) -> None:
    """List the notifications of a subscription, newest first.

    Args:
        status: Only notifications with this status.
        limit: Maximum number of notifications.
    """
    async with connected(common) as client:
        found = await collect(client.subscriptions.notifications(name, status=status), limit)
    if common.structured:
        output.document([_notification_json(each) for each in found])
        return
    if not found:
        output.nothing("No notifications found.")
    for each in found:
        answer = f" {each.http_status}" if each.http_status else ""
        output.line(
            f"{each.id}  {each.status}{answer}  {counted(each.attempts, 'attempt')}"
            f"  {each.type}  {each.event_id}"
        )
        if each.last_error and each.status != "delivered":
            output.line(f"  {each.last_error}")


@command
async def resend(
    name: SubscriptionArgument,
    ids: list[str] | None = None,
    /,
    *,
    since: datetime | None = None,
    common: Common = COMMON,
) -> None:
    """Send notifications again: those named, or all dead ones.

    Args:
        ids: Ids of notifications; none are all dead ones.
        since: Only dead notifications since this instant.
    """
    async with connected(common) as client:
        count = await client.subscriptions.resend(name, ids or (), since=since)
    output.result({"count": count}, f"{count:,} notifications are sent again")


def _line(state: "SubscriptionState") -> str:
    counts = ((state.pending, "pending"), (state.delivered, "delivered"), (state.dead, "dead"))
    parts = [state.status, *(f"{count:,} {word}" for count, word in counts if count)]
    kind = "alert to " if state.is_alert else ""
    return f"{state.name}  {kind}{state.sink}  {', '.join(parts)}"


def _json(state: "SubscriptionState") -> dict[str, Any]:
    return output.members(
        state,
        "name status types source filter sink alert=is_alert pending delivered dead dropped "
        "failures last_error created_at cursor *? -description -failing_since -open_until "
        "-created -secret",
    )


def _secret(state: "SubscriptionState") -> dict[str, str]:
    return {"secret": state.secret} if state.secret else {}


def _notification_json(each: "Notification") -> dict[str, Any]:
    return output.members(each, "* -last_attempt_at")
