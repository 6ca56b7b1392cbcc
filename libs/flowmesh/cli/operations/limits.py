"""`limits`, `stop-dispatch`, `start-dispatch`, `queues`, `workers`, `dead-letters`, `breakers`."""

from typing import TYPE_CHECKING, Any, Literal

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ChangeReason, WorkflowId
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk.client.parts.dispatch import Limits, Queue

LINE_MAX = 80
KindWord = Literal["namespace", "workflow", "task_type", "node", "upstream", "queue"]


@command
async def set_limit(
    kind: KindWord,
    subject: str = "",
    /,
    *,
    concurrency: int = 0,
    rate: float = 0.0,
    burst: int = 0,
    weight: int = 0,
    max_size: int = 0,
    retries: float = 0.0,
    reason: ChangeReason = "",
    common: Common = COMMON,
) -> int:
    """Set a limit; it replaces an earlier one, and the limits of definitions.

    Args:
        kind: Kind of the limited object.
        subject: Name of the object: a workflow, a task type, workflow/node, a host, or a queue.
        concurrency: Maximum number of tasks that run at workers; 0 is no limit.
        rate: Tasks that may start per second; 0 is no limit.
        burst: Tasks that may start at once after a pause; 0 is the number of one second.
        weight: Of a namespace: its share relative to other namespaces.
        max_size: Of a queue: waiting tasks at which starts of workflows that use it are rejected.
        retries: Of a workflow or an upstream: maximum ratio of retries to started tasks; 0 is no
            limit.
    """
    async with connected(common) as client:
        unreachable = await client.set_limit(
            kind,
            subject,
            concurrency=concurrency,
            rate=rate,
            burst=burst,
            weight=weight,
            max_size=max_size,
            retries=retries,
            reason=reason,
        )
        return _show_change(common, unreachable, {"kind": kind, "subject": subject})


@command
async def remove_limit(
    kind: KindWord, subject: str = "", /, *, reason: ChangeReason = "", common: Common = COMMON
) -> int:
    """Remove a limit; the limits of definitions apply again.

    Args:
        kind: Kind of the limited object.
        subject: Name of the object.
    """
    async with connected(common) as client:
        deleted = await client.delete_limit(kind, subject, reason=reason)
        if common.structured:
            output.document({"deleted": deleted})
        elif not deleted:
            output.problem(f"flowmesh: there is no limit of {kind} {subject}".rstrip())
        return exit_codes.DONE if deleted else exit_codes.FAILED


@command
async def list_limits(*, common: Common = COMMON) -> None:
    """List the limits with their use, and the stops."""
    async with connected(common) as client:
        found = await client.limits()
        if common.structured:
            output.document(output.members(found))
            return
        _show(found)


def _show(found: "Limits") -> None:
    for stop in found.stops:
        scope = f"workflow {stop.workflow}" if stop.workflow else "the whole namespace"
        reason = f": {stop.reason}" if stop.reason else ""
        output.line(f"STOPPED  {scope}, {counted(stop.waiting, 'waiting task')}{reason}")
    used = {(use.kind, use.subject) for use in found.uses}
    sizes = {(each.kind, each.subject): each.max_size for each in found.limits}
    rows = [
        (use.kind, use.subject, use.key, str(use.in_use), str(use.waiting), *_numbers(use, sizes))
        for use in found.uses
    ]
    rows += [
        (each.kind, each.subject, "", "0", "0", *_numbers(each, sizes))
        for each in found.limits
        if (each.kind, each.subject) not in used
    ]
    header = ("KIND", "SUBJECT", "KEY", "IN USE", "WAITING", "LIMIT", "PER SECOND", "MAX SIZE")
    output.columns(header, sorted(rows), none="No limits found.")


def _numbers(each: Any, sizes: dict[tuple[str, str], int]) -> tuple[str, str, str]:
    size = sizes.get((each.kind, each.subject))
    return str(each.concurrency or "-"), f"{each.rate:g}" if each.rate else "-", str(size or "-")


@command
async def limit_changes(*, limit: int = 20, common: Common = COMMON) -> None:
    """List the changes of limits and stops with actor, time and reason, newest first.

    Args:
        limit: Maximum length of the list.
    """
    async with connected(common) as client:
        found = await client.limit_changes(size=limit)
        output.table(
            found,
            output.members,
            "TIME=at CHANGE=action SUBJECT ACTOR REASON",
            none="No changes found.",
        )


@command
async def stop_dispatch(
    *, workflow: WorkflowId = "", reason: ChangeReason = "", common: Common = COMMON
) -> int:
    """Stop dispatching tasks of a workflow or of the whole namespace.

    Running tasks continue. `flowmesh start-dispatch` starts the dispatch again.

    Args:
        workflow: Only this workflow; the whole namespace by default.
    """
    async with connected(common) as client:
        unreachable = await client.stop_dispatch(workflow, reason=reason)
        return _show_change(common, unreachable, {"workflow": workflow, "stopped": True})


@command
async def start_dispatch(
    *, workflow: WorkflowId = "", reason: ChangeReason = "", common: Common = COMMON
) -> int:
    """Start dispatching tasks again after a stop.

    Args:
        workflow: Only this workflow; the whole namespace by default.
    """
    async with connected(common) as client:
        unreachable = await client.start_dispatch(workflow, reason=reason)
        return _show_change(common, unreachable, {"workflow": workflow, "stopped": False})


@command
async def queues(*, common: Common = COMMON) -> None:
    """Show the queues with their waiting and running tasks and the recommended size."""
    async with connected(common) as client:
        found = await client.queues()
        output.table(
            found,
            output.members,
            "QUEUE TYPE=task_type READY HELD RUNNING OLDEST FAILED WORKERS=worker_sets",
            none="No queues found.",
            QUEUE=lambda each: each.queue + (f" [{each.requires}]" if each.requires else ""),
            READY=lambda each: f"{each.ready}{'+' if each.overflowed else ''}",
            HELD=lambda each: str(each.waiting_for_limits + each.stopped),
            OLDEST=lambda each: output.duration(each.oldest_ms) if each.ready else "-",
        )
        for each in () if common.structured else found:
            for line in _size_lines(each):
                output.line(line)


def _size_lines(queue: "Queue") -> list[str]:
    """Return the maximum size, and the slots and size that the last minute required."""
    name = f"{queue.queue}/{queue.task_type}"
    lines = []
    if queue.max_size:
        lines.append(f"{name}: at most {queue.max_size:,} waiting tasks")
    if queue.recommended_slots:
        load = f"{queue.arrivals_per_second:.1f} tasks/s, {queue.service_ms:,.0f} ms each"
        size = f"{queue.recommended_slots:,} slots and a queue size of {queue.recommended_size:,}"
        lines.append(f"{name}: {load}; recommended: {size}")
    return lines


@command
async def dead_letters(*, filter: str = "", limit: int = 50, common: Common = COMMON) -> None:
    """List tasks whose last attempt failed their execution, newest first.

    Args:
        filter: Only of executions that match, as in `flowmesh search`.
        limit: Maximum length of the list.
    """
    async with connected(common) as client:
        found = await collect(client.dead_letters(filter=filter), limit)
        if common.structured:
            output.document([output.members(each) for each in found])
            return
        if not found:
            output.nothing("No dead letters found.")
        for each in found:
            attempts = f"{each.queue}/{each.task_type} x{each.attempts}"
            output.line(f"{output.age(each.failed_at)}  {each.execution_id}  {each.node}")
            output.line(f"  {attempts}  {each.error_class}: {each.message}"[:LINE_MAX])


@command
async def discard_dead_letters(
    executions: list[str], /, *, reason: ChangeReason = "", common: Common = COMMON
) -> None:
    """Take the dead letters of failed executions off the list; the executions stay as they are.

    Args:
        executions: Ids of up to 200 executions.
    """
    async with connected(common) as client:
        changed = await client.discard_dead_letters(*executions, reason=reason)
    output.result(
        {"changed": changed}, f"the dead letters of {counted(changed, 'execution')} are discarded"
    )


@command
async def restore_dead_letters(
    executions: list[str], /, *, reason: ChangeReason = "", common: Common = COMMON
) -> None:
    """Put the discarded dead letters of executions back on the list.

    Args:
        executions: Ids of up to 200 executions.
    """
    async with connected(common) as client:
        changed = await client.restore_dead_letters(*executions, reason=reason)
    output.result(
        {"changed": changed}, f"the dead letters of {counted(changed, 'execution')} are listed"
    )


@command
async def workers(*, common: Common = COMMON) -> None:
    """List the attached workers with their slots and tasks, then the built-in executors.

    With learned routing, also the expected duration of tasks at each, and why it is used or not.
    """
    async with connected(common) as client:
        found = await client.workers()
        output.table(
            found,
            output.members,
            "WORKER=worker_id TASKS SINCE=attached_at VERSION=version? QUEUES TYPES",
            none="No workers found.",
            TASKS=lambda each: f"{each.running}/{each.slots}",
            QUEUES=lambda each: "all" if each.builtin else " ".join(each.queues),
            TYPES=lambda each: "built in" if each.builtin else " ".join(each.task_types),
        )
        for each in () if common.structured else found:
            for route in each.routing:
                kind = f"{each.worker_id} {route.queue}/{route.task_type}"
                expected = f"{route.expected_ms:,.0f} ms expected of {route.results} results"
                output.line(f"{kind}: {expected}; {route.reason}")


@command
async def breakers(*, common: Common = COMMON) -> None:
    """List circuit breakers that are not closed."""
    async with connected(common) as client:
        found = await client.breakers()
        output.table(
            found,
            output.members,
            "UPSTREAM STATE RETRY_IN FAILED WORKER_SERVICE",
            none="No open circuit breakers found.",
            RETRY_IN=lambda each: output.duration(each.retry_after_ms),
            FAILED=lambda each: f"{each.failures}/{each.calls}",
        )


def _show_change(common: Common, unreachable: tuple[str, ...], change: dict[str, Any]) -> int:
    if common.structured:
        output.document({**change, "unreachable": list(unreachable)})
    for address in unreachable:
        output.problem(f"flowmesh: no response from {address}; it applies the change within 1 s")
    return exit_codes.DONE
