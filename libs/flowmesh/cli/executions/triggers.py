"""`trigger`, `publish`, `hooks` and `backfill`: what starts executions from outside."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, FileName, JsonText, WorkflowId
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import file_text, json_value, read_value
from flowmesh.cli.executions.executions import pairs
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Trigger
    from flowmesh.sdk.workflows.backfill import Backfill, BackfillItem

CONCURRENCY = 10
PROGRESS_EVERY_S = 1.0
ABOUT_CHARACTERS_MAX = 32
Time = Annotated[datetime | None, Parameter()]


def list_triggers(workflow: WorkflowId = "", /, *, common: Common = COMMON) -> int:
    """List triggers with when they fire next and what they did last.

    Parameters
    ----------
    workflow
        Only those of this workflow.
    """

    async def work(client: "Client") -> int:
        found = [trigger async for trigger in client.triggers(workflow)]
        if common.structured:
            output.document([_json(trigger) for trigger in found])
            return exit_codes.DONE
        if not found:
            output.nothing("No triggers found.")
        for trigger in found:
            _show(trigger)
        return exit_codes.DONE

    return run(common, work)


def pause(workflow: WorkflowId, trigger: str, /, *, common: Common = COMMON) -> int:
    """Let a trigger start nothing until it is resumed.

    Parameters
    ----------
    workflow
        Id of the workflow.
    trigger
        Id of the trigger.
    """

    async def work(client: "Client") -> int:
        return _changed(common, await client.pause_trigger(workflow, trigger))

    return run(common, work)


def resume(workflow: WorkflowId, trigger: str, /, *, common: Common = COMMON) -> int:
    """Let a paused trigger go on.

    Parameters
    ----------
    workflow
        Id of the workflow.
    trigger
        Id of the trigger.
    """

    async def work(client: "Client") -> int:
        return _changed(common, await client.resume_trigger(workflow, trigger))

    return run(common, work)


def fire(
    workflow: WorkflowId,
    trigger: str,
    /,
    *,
    input: JsonText = "null",
    request_id: str = "",
    common: Common = COMMON,
) -> int:
    """Start an execution as if a trigger had fired now.

    Parameters
    ----------
    workflow
        Id of the workflow.
    trigger
        Id of the trigger.
    input
        JSON, @file, or - for standard input; a schedule makes its own without one.
    request_id
        Again with the same one starts nothing.
    """

    def read_and_run() -> int:
        value = read_value(input, "--input")

        async def work(client: "Client") -> int:
            fired = await client.fire_trigger(workflow, trigger, value, request_id=request_id)
            if common.structured:
                output.document({"executionId": fired.execution_id, "created": fired.created})
            else:
                output.line(fired.execution_id)
            return exit_codes.DONE

        return run(common, work)

    return guarded(common, read_and_run)


def publish(
    type: str,
    /,
    *,
    data: JsonText = "null",
    source: str = "",
    id: str = "",
    subject: str = "",
    extension: Annotated[list[str] | None, Parameter(negative="")] = None,
    common: Common = COMMON,
) -> int:
    """Publish an event; it starts the workflows that wait for such.

    Parameters
    ----------
    type
        What happened, such as order.paid.
    data
        JSON, @file, or - for standard input.
    source
        Where it happened.
    id
        Again with the same source and id does nothing.
    subject
        What it happened to.
    extension
        A further attribute, as name=value; may be repeated.
    """

    def read_and_run() -> int:
        value = read_value(data, "--data")
        extensions = {name: _scalar(text) for name, text in pairs(extension or ()).items()}

        async def work(client: "Client") -> int:
            done = await client.publish(
                type, value, source=source, id=id, subject=subject, extensions=extensions
            )
            if common.structured:
                output.document({"id": done.id, "created": done.created, "triggers": done.triggers})
            elif done.created:
                output.line(f"{done.id}: {done.triggers} triggers fire")
            else:
                output.line(f"{done.id}: was there already")
            return exit_codes.DONE

        return run(common, work)

    return guarded(common, read_and_run)


def _scalar(text: str) -> str | int | bool:
    """A whole number, true or false, where it reads as one."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, int) else text


def hooks(execution: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Show the URLs that tasks of an execution wait for a call of.

    Parameters
    ----------
    execution
        Id of the execution.
    """

    async def work(client: "Client") -> int:
        found = await client.hooks(execution)
        if common.structured:
            output.document([{"taskId": each.node, "url": each.url} for each in found])
            return exit_codes.DONE
        if not found:
            output.nothing("No callback URLs found.")
        for each in found:
            output.line(f"{each.node}  {each.url}")
        return exit_codes.DONE

    return run(common, work)


def backfill(
    workflow: WorkflowId,
    inputs: FileName = "",
    /,
    *,
    trigger: str = "",
    since: Time = None,
    until: Time = None,
    concurrency: int = CONCURRENCY,
    id: str = "",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Start many executions, some at a time: of inputs, or of what a trigger missed.

    Run again, it goes on where it was: nothing is started twice.

    Parameters
    ----------
    workflow
        Id of the workflow.
    inputs
        A file with one JSON value a line; - for standard input.
    trigger
        Id of a schedule or event trigger, in place of a file.
    since
        From this time on, with --trigger; in UTC unless it says otherwise.
    until
        Before this time; now if left out.
    concurrency
        How many run at a time, at most 1,000.
    id
        Names this backfill: another one starts the same again.
    dry_run
        Only count.
    """

    def read_and_run() -> int:
        from flowmesh.sdk.workflows.backfill import CONCURRENCY_MAX

        if bool(inputs) == bool(trigger):
            raise Refused("give a file of inputs, or --trigger", code=exit_codes.USAGE)
        if bool(trigger) != bool(since):
            raise Refused("--trigger and --since go together", code=exit_codes.USAGE)
        if not 1 <= concurrency <= CONCURRENCY_MAX:
            message = f"--concurrency must be from 1 to {CONCURRENCY_MAX}"
            raise Refused(message, code=exit_codes.USAGE)
        # All of it is read first: a wrong line starts nothing.
        values = list(_values(inputs)) if inputs else []

        async def work(client: "Client") -> int:
            work = _Work(client, workflow, trigger, _utc(since), _utc(until), values, id)
            if dry_run:
                return await work.count(common)
            return await work.run(common, concurrency)

        return run(common, work)

    return guarded(common, read_and_run)


class _Work:
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
            output.line(f"{total:,} executions of {self._workflow}; nothing was started")
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
            for name, why in state.refusals:
                output.problem(f"{name}: {why}")
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
    """A line on standard error now and then, for who waits."""

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
        yield json_value(line, f"line {number} of {name}", "one JSON value a line")


def _utc(at: datetime | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _backfill_json(state: "Backfill") -> dict[str, Any]:
    return {
        "total": state.total,
        "started": state.started,
        "repeated": state.repeated,
        "joined": state.joined,
        "completed": state.completed,
        "failed": state.failed,
        "refused": state.refused,
        "refusals": [{"name": name, "why": why} for name, why in state.refusals],
    }


def _backfill_line(state: "Backfill") -> str:
    counts = (
        (state.completed, "completed"),
        (state.failed, "failed"),
        (state.refused, "refused"),
        (state.repeated, "started before"),
        (state.joined, "answered with the execution of another start"),
    )
    told = ", ".join(f"{count:,} {word}" for count, word in counts if count)
    return f"{state.ended:,} of {state.total:,} ended{': ' if told else ''}{told}"


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
    counts = (
        (trigger.refused, "refused"),
        (trigger.joined, "joined"),
        (trigger.missed, "missed"),
    )
    parts += [f"{word} {count}" for count, word in counts if count]
    output.line("  " + ", ".join(parts))
    if trigger.last_error:
        output.line(f"  last {output.moment(trigger.last_at)} refused: {trigger.last_error}")
    elif trigger.last_execution_id:
        output.line(f"  last {output.moment(trigger.last_at)} {trigger.last_execution_id}")


def _changed(common: Common, trigger: "Trigger") -> int:
    if common.structured:
        output.document(_json(trigger))
    else:
        _show(trigger)
    return exit_codes.DONE


def _json(trigger: "Trigger") -> dict[str, Any]:
    return {
        "workflow": trigger.workflow_id,
        "id": trigger.id,
        "kind": trigger.kind,
        "version": trigger.version,
        "about": trigger.about,
        "paused": trigger.paused,
        "nextAt": output.iso(trigger.next_at),
        "lastAt": output.iso(trigger.last_at),
        "lastExecutionId": trigger.last_execution_id,
        "lastError": trigger.last_error,
        "fired": trigger.fired,
        "missed": trigger.missed,
        "refused": trigger.refused,
        "joined": trigger.joined,
    }
