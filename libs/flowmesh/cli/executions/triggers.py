"""`trigger`, `publish`, `hooks` and `backfill`: external causes of executions."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import (
    ExecutionArgument,
    FileName,
    Flag,
    JsonText,
    RequestId,
    Texts,
    WorkflowArgument,
    WorkflowId,
)
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.definitions.sources import file_text, json_value, read_value
from flowmesh.cli.executions.executions import parse_pairs
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import ChangeSlot, Client, Trigger
    from flowmesh.sdk.workflows.backfill import Backfill, BackfillItem

CONCURRENCY = 10
PROGRESS_EVERY_S = 1.0
ABOUT_CHARACTERS_MAX = 32
TriggerArgument = Annotated[str, Parameter(help="Id of the trigger.")]


@command
async def list_triggers(workflow: WorkflowId = "", /, *, common: Common = COMMON) -> None:
    """List triggers with their next and last firing.

    Args:
        workflow: Only triggers of this workflow.
    """
    async with connected(common) as client:
        found = [trigger async for trigger in client.triggers(workflow)]
        output.listing(found, _json, _show, none="No triggers found.")


@command
async def pause(
    workflow: WorkflowArgument, trigger: TriggerArgument, /, *, common: Common = COMMON
) -> int:
    """Pause a trigger; it starts no execution until it is resumed."""
    async with connected(common) as client:
        changed = await client.pause_trigger(workflow, trigger)
    return _show_change(common, changed)


@command
async def resume(
    workflow: WorkflowArgument, trigger: TriggerArgument, /, *, common: Common = COMMON
) -> int:
    """Resume a paused trigger."""
    async with connected(common) as client:
        changed = await client.resume_trigger(workflow, trigger)
    return _show_change(common, changed)


@command
def fire(
    workflow: WorkflowArgument,
    trigger: TriggerArgument,
    /,
    *,
    input: JsonText = "null",
    request_id: RequestId = "",
    common: Common = COMMON,
) -> int:
    """Fire a trigger now: start its execution.

    Args:
        input: JSON, @file, or - for standard input; by default the input of a schedule.
    """
    value = read_value(input, "--input")

    async def fire_trigger(client: "Client") -> int:
        fired = await client.fire_trigger(workflow, trigger, value, request_id=request_id)
        output.result(
            {"executionId": fired.execution_id, "created": fired.created}, fired.execution_id
        )
        return exit_codes.DONE

    return run(common, fire_trigger)


@command
def publish(
    type: str,
    /,
    *,
    data: JsonText = "null",
    source: str = "",
    id: str = "",
    subject: str = "",
    extension: Texts = None,
    common: Common = COMMON,
) -> int:
    """Publish an event; it starts the workflows whose triggers match it.

    Args:
        type: Type of the event, such as order.paid.
        data: JSON, @file, or - for standard input.
        source: Source of the event.
        id: Id of the event; an event with the same source and id is published once.
        subject: Subject of the event.
        extension: Extension attribute, as name=value; can be repeated.
    """
    value = read_value(data, "--data")
    extensions = {name: _scalar(text) for name, text in parse_pairs(extension or ()).items()}

    async def publish_event(client: "Client") -> int:
        published = await client.publish(
            type, value, source=source, id=id, subject=subject, extensions=extensions
        )
        effect = (
            f"fires {counted(published.triggers, 'trigger')}"
            if published.created
            else "existed already"
        )
        document = output.members(published, "id created triggers")
        output.result(document, f"{published.id}: {effect}")
        return exit_codes.DONE

    return run(common, publish_event)


def _scalar(text: str) -> str | int | bool:
    """Return the text as an integer or a boolean if it is one, otherwise as it is."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, int) else text


@command
async def hooks(execution: ExecutionArgument, /, *, common: Common = COMMON) -> None:
    """List the callback URLs of the waiting tasks of an execution."""
    async with connected(common) as client:
        found = await client.hooks(execution)
        output.listing(
            found,
            lambda each: {"taskId": each.node, "url": each.url},
            lambda each: output.line(f"{each.node}  {each.url}"),
            none="No callback URLs found.",
        )


@command
def backfill(
    workflow: WorkflowArgument,
    inputs: FileName = "",
    /,
    *,
    trigger: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    concurrency: int = CONCURRENCY,
    id: str = "",
    dry_run: Flag = False,
    common: Common = COMMON,
) -> int:
    """Start executions with limited concurrency, from inputs or from the causes of a trigger.

    A repeated command resumes the backfill and starts no execution twice.

    Args:
        inputs: File with one JSON value per line; - for standard input.
        trigger: Id of a schedule or event trigger, instead of a file.
        since: Start of the range of --trigger; in UTC unless it has an offset.
        until: End of the range, exclusive; now by default.
        concurrency: Executions that run at a time, at most 1,000.
        id: Id of the backfill; a new id starts all executions again.
        dry_run: Only count the executions.
    """

    from flowmesh.sdk.workflows.backfill import CONCURRENCY_MAX

    if bool(inputs) == bool(trigger):
        raise Refused("give either a file of inputs or --trigger", code=exit_codes.USAGE)
    if bool(trigger) != bool(since):
        raise Refused("--trigger and --since must be used together", code=exit_codes.USAGE)
    if not 1 <= concurrency <= CONCURRENCY_MAX:
        message = f"--concurrency must be from 1 to {CONCURRENCY_MAX}"
        raise Refused(message, code=exit_codes.USAGE)
    # All lines are read first: an invalid line starts no execution.
    values = list(_values(inputs)) if inputs else []

    async def run_or_count(client: "Client") -> int:
        backfill = _Backfill(client, workflow, trigger, _utc(since), _utc(until), values, id)
        if dry_run:
            return await backfill.count(common)
        return await backfill.run(common, concurrency)

    return run(common, run_or_count)


class _Backfill:
    """One backfill of the command line."""

    def __init__(
        self,
        client: "Client",
        workflow: str,
        trigger: str,
        since: datetime,
        until: datetime,
        values: list[Any],
        backfill_id: str,
    ) -> None:
        self._client = client
        self._workflow = workflow
        self._trigger = trigger
        self._since = since
        self._until = until
        self._values = values
        self._id = backfill_id

    async def count(self, common: Common) -> int:
        total = len(self._values)
        if self._trigger:
            total = await self._client.count_causes(
                self._workflow, self._trigger, self._since, self._until
            )
        if common.structured:
            output.document({"total": total})
        else:
            output.line(f"{counted(total, 'execution')} of {self._workflow}; nothing was started")
        return exit_codes.DONE

    async def run(self, common: Common, concurrency: int) -> int:
        from flowmesh.sdk.workflows.backfill import run_backfill

        progress = _Progress(shown=not common.structured)
        state = await run_backfill(
            self._client,
            self._workflow,
            self._items(),
            concurrency=concurrency,
            on_progress=progress.show,
        )
        if common.structured:
            output.document(_backfill_json(state))
        else:
            for name, reason in state.refusals:
                output.problem(f"{name}: {reason}")
            output.line(_backfill_line(state))
        return exit_codes.DONE if state.good else exit_codes.FAILED

    async def _items(self) -> "AsyncIterator[BackfillItem]":
        from flowmesh.sdk.workflows.backfill import BackfillItem, items_of, renamed

        for item in items_of(self._values, self._id):
            yield item
        if not self._trigger:
            return
        causes = self._client.causes(self._workflow, self._trigger, self._since, self._until)
        async for cause in causes:
            item = BackfillItem(cause.name, cause.request_id, cause.input, cause.error)
            yield renamed(item, self._id)


class _Progress:
    """Progress on standard error, once a second on a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._next = 0.0

    def show(self, state: "Backfill") -> None:
        now = asyncio.get_running_loop().time()
        if self._shown and now >= self._next:
            self._next = now + PROGRESS_EVERY_S
            output.problem(_backfill_line(state))


def _values(name: str) -> Iterator[Any]:
    text = sys.stdin.read() if name == "-" else file_text(Path(name))
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        yield json_value(line, f"line {number} of {name}", "write one JSON value per line")


def _utc(at: datetime | None) -> datetime:
    if at is None:
        return output.now()
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _backfill_json(state: "Backfill") -> dict[str, Any]:
    return output.members(state, "* -refusals") | {
        "refusals": [{"name": name, "why": why} for name, why in state.refusals]
    }


def _backfill_line(state: "Backfill") -> str:
    counts = (
        (state.completed, "completed"),
        (state.failed, "failed"),
        (state.refused, "refused"),
        (state.repeated, "started before"),
        (state.joined, "joined another execution"),
    )
    summary = ", ".join(f"{count:,} {word}" for count, word in counts if count)
    return f"{state.ended:,} of {state.total:,} ended{': ' if summary else ''}{summary}"


def _show(trigger: "Trigger") -> None:
    about = trigger.about
    if trigger.kind != "webhook" and len(about) > ABOUT_CHARACTERS_MAX:
        about = f"{about[: ABOUT_CHARACTERS_MAX - 3]}..."
    output.line(f"{trigger.workflow_id} {trigger.id}  {trigger.kind}  {about}")
    parts = []
    if trigger.paused:
        parts.append("paused")
    elif trigger.next_at is not None:
        parts.append(f"next {output.moment(trigger.next_at)}")
    parts.append(f"fired {trigger.fired}")
    counts = ((trigger.refused, "refused"), (trigger.joined, "joined"), (trigger.missed, "missed"))
    parts += [f"{word} {count}" for count, word in counts if count]
    output.line("  " + ", ".join(parts))
    if trigger.last_error:
        output.line(f"  last {output.moment(trigger.last_at)} refused: {trigger.last_error}")
    elif trigger.last_execution_id:
        output.line(f"  last {output.moment(trigger.last_at)} {trigger.last_execution_id}")
    if trigger.slot is not None:
        _show_slot(trigger.slot)


def _show_slot(slot: "ChangeSlot") -> None:
    most = "without a limit" if slot.keep_bytes_max is None else f"of {slot.keep_bytes_max:,}"
    output.line(f"  slot {slot.name}, {slot.phase}, lag {slot.lag_bytes:,} bytes {most}")
    if slot.problem:
        output.line(f"  {slot.problem}")


def _show_change(common: Common, trigger: "Trigger") -> int:
    if common.structured:
        output.document(_json(trigger))
    else:
        _show(trigger)
    return exit_codes.DONE


def _json(trigger: "Trigger") -> dict[str, Any]:
    slot = trigger.slot and output.members(trigger.slot) | {"phase": trigger.slot.phase.upper()}
    return output.members(trigger, "workflow=workflow_id *") | {"slot": slot}
