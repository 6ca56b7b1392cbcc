"""`limits`, `stop-dispatch`, `start-dispatch`, `queues`, `breakers`: what holds tasks back."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import WorkflowId
from flowmesh.cli.common import COMMON, Common, run

if TYPE_CHECKING:
    from flowmesh.sdk import Client
    from flowmesh.sdk.client.parts.dispatch import Limits, Queue

LINE_MAX = 80
KindWord = Literal["namespace", "workflow", "task_type", "node", "upstream", "queue"]


def set_limit(
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
    reason: str = "",
    common: Common = COMMON,
) -> int:
    """Set a limit, in place of what was set before and of a definition's numbers.

    Parameters
    ----------
    kind
        What is limited.
    subject
        Its name: a workflow, a task type, workflow/node, a host, a queue.
    concurrency
        Tasks at workers at once; 0 is no limit.
    rate
        Tasks that may begin in a second; 0 is no limit.
    burst
        As many at once after a pause; 0 is one second's worth.
    weight
        Of a namespace: its share beside others.
    max_size
        Of a queue: tasks that may wait in it before workflows that use it are not started.
    retries
        Of a workflow or an upstream: retries per task that began, as a share; 0 is no limit.
    reason
        Why; kept with the change.
    """

    async def work(client: "Client") -> int:
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
        return _done(common, unreachable, {"kind": kind, "subject": subject})

    return run(common, work)


def remove_limit(
    kind: KindWord, subject: str = "", /, *, reason: str = "", common: Common = COMMON
) -> int:
    """Remove a limit; that of a definition holds again.

    Parameters
    ----------
    kind
        What is limited.
    subject
        Its name.
    reason
        Why; kept with the change.
    """

    async def work(client: "Client") -> int:
        deleted = await client.delete_limit(kind, subject, reason=reason)
        if common.structured:
            output.document({"deleted": deleted})
        elif not deleted:
            output.problem(f"flowmesh: there is no limit of {kind} {subject}".rstrip())
        return exit_codes.DONE if deleted else exit_codes.FAILED

    return run(common, work)


def list_limits(*, common: Common = COMMON) -> int:
    """List limits that are set, what is in use of all, and what is stopped."""

    async def work(client: "Client") -> int:
        found = await client.limits()
        if common.structured:
            output.document(_json(asdict(found)))
            return exit_codes.DONE
        _show(found)
        return exit_codes.DONE

    return run(common, work)


def _show(found: "Limits") -> None:
    for stop in found.stops:
        what = f"workflow {stop.workflow}" if stop.workflow else "the whole namespace"
        why = f": {stop.reason}" if stop.reason else ""
        output.line(f"STOPPED  {what}, {stop.waiting} tasks wait{why}")
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
    header = ("KIND", "SUBJECT", "KEY", "IN USE", "WAITING", "LIMIT", "PER SECOND", "ROOM")
    output.columns(header, sorted(rows), none="No limits found.")


def _numbers(each: Any, sizes: dict[tuple[str, str], int]) -> tuple[str, str, str]:
    size = sizes.get((each.kind, each.subject))
    return str(each.concurrency or "-"), f"{each.rate:g}" if each.rate else "-", str(size or "-")


def limit_changes(*, limit: int = 20, common: Common = COMMON) -> int:
    """Show who changed limits or stopped dispatch, newest first.

    Parameters
    ----------
    limit
        At most so many.
    """

    async def work(client: "Client") -> int:
        found = await client.limit_changes(size=limit)
        if common.structured:
            output.document([_json(asdict(each)) for each in found])
            return exit_codes.DONE
        rows = [
            (output.age(each.at), each.action, each.subject, each.actor, each.reason)
            for each in found
        ]
        output.columns(("WHEN", "WHAT", "OF", "WHO", "WHY"), rows, none="No changes found.")
        return exit_codes.DONE

    return run(common, work)


def stop_dispatch(*, workflow: WorkflowId = "", reason: str = "", common: Common = COMMON) -> int:
    """Let no task of a workflow leave any more, or of the whole namespace.

    What is at workers goes on. `flowmesh start-dispatch` undoes it.

    Parameters
    ----------
    workflow
        Only this workflow; without it the namespace.
    reason
        Why; kept with the stop.
    """

    async def work(client: "Client") -> int:
        unreachable = await client.stop_dispatch(workflow, reason=reason)
        return _done(common, unreachable, {"workflow": workflow, "stopped": True})

    return run(common, work)


def start_dispatch(*, workflow: WorkflowId = "", reason: str = "", common: Common = COMMON) -> int:
    """Undo a stop; what waited leaves.

    Parameters
    ----------
    workflow
        Only this workflow; without it the namespace.
    reason
        Why; kept with the change.
    """

    async def work(client: "Client") -> int:
        unreachable = await client.start_dispatch(workflow, reason=reason)
        return _done(common, unreachable, {"workflow": workflow, "stopped": False})

    return run(common, work)


def queues(*, common: Common = COMMON) -> int:
    """Show how full the queues are, and why tasks wait."""

    async def work(client: "Client") -> int:
        found = await client.queues()
        if common.structured:
            output.document([_json(asdict(each)) for each in found])
            return exit_codes.DONE
        rows = [
            (
                each.queue + (f" [{each.requires}]" if each.requires else ""),
                each.task_type,
                f"{each.ready}{'+' if each.overflowed else ''}",
                str(each.waiting_for_limits + each.stopped),
                str(each.running),
                output.duration(each.oldest_ms) if each.ready else "-",
                str(each.failed),
                str(each.worker_sets),
            )
            for each in found
        ]
        header = ("QUEUE", "TYPE", "READY", "HELD", "RUNNING", "OLDEST", "FAILED", "WORKERS")
        output.columns(header, rows, none="No queues found.")
        for each in found:
            for line in _sizing(each):
                output.line(line)
        return exit_codes.DONE

    return run(common, work)


def _sizing(queue: "Queue") -> list[str]:
    """What is set of its size, and what the last minute asks for."""
    name = f"{queue.queue}/{queue.task_type}"
    lines = []
    if queue.max_size:
        lines.append(f"{name}: the queue has room for {queue.max_size:,}")
    if queue.recommended_slots:
        came = f"{queue.arrivals_per_second:.1f} came a second and took {queue.service_ms:,.0f} ms"
        slots = f"{queue.recommended_slots:,} slots do them"
        lines.append(f"{name}: {came}; {slots}, a queue of {queue.recommended_size:,} is enough")
    return lines


def dead_letters(*, limit: int = 50, common: Common = COMMON) -> int:
    """List tasks that were given up and failed their executions, newest first.

    Parameters
    ----------
    limit
        At most so many.
    """

    async def work(client: "Client") -> int:
        found = []
        async for each in client.dead_letters():
            found.append(each)
            if len(found) >= limit:
                break
        if common.structured:
            output.document([_json(asdict(each)) for each in found])
            return exit_codes.DONE
        if not found:
            output.nothing("No dead letters found.")
        for each in found:
            tried = f"{each.queue}/{each.task_type} x{each.attempts}"
            output.line(f"{output.age(each.failed_at)}  {each.execution_id}  {each.node}")
            output.line(f"  {tried}  {each.error_class}: {each.message}"[:LINE_MAX])
        return exit_codes.DONE

    return run(common, work)


def breakers(*, common: Common = COMMON) -> int:
    """List circuit breakers that are not closed."""

    async def work(client: "Client") -> int:
        found = await client.breakers()
        if common.structured:
            output.document([_json(asdict(each)) for each in found])
            return exit_codes.DONE
        rows = [
            (
                each.upstream,
                each.state,
                output.duration(each.retry_after_ms),
                f"{each.failures}/{each.calls}",
                each.worker_service,
            )
            for each in found
        ]
        header = ("UPSTREAM", "STATE", "TRIED IN", "FAILED", "WORKER SERVICE")
        output.columns(header, rows, none="No open circuit breakers found.")
        return exit_codes.DONE

    return run(common, work)


def _done(common: Common, unreachable: tuple[str, ...], said: dict[str, Any]) -> int:
    if common.structured:
        output.document({**said, "unreachable": list(unreachable)})
    for address in unreachable:
        output.problem(f"flowmesh: {address} did not answer; it follows within a second")
    return exit_codes.DONE


def _json(value: Any) -> Any:
    """A value with names as JSON has them."""
    if isinstance(value, dict):
        return {_camel(name): _json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    return output.iso(value) if isinstance(value, datetime) else value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
