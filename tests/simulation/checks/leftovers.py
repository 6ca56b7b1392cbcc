"""I10 in memory: after all has ended, no process holds, awaits or owes anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flowmesh.orchestrator.model.concurrency_groups import ENDED

if TYPE_CHECKING:
    from tests.simulation.servers.hosts import OrchestratorHost, WorkerServiceHost
    from tests.simulation.servers.world import World


def leftovers(world: World) -> Iterator[str]:
    """Yield everything left in memory and in the rows of a settled world."""
    if world.tables.ready:
        yield f"I10 rows of ready are left: {list(world.tables.ready)}"
    nobodys = {execution_id for _, _, execution_id in world.tables.references}
    if nobodys := nobodys - world.tables.executions.keys():
        yield f"I10 references of executions that there are not: {sorted(nobodys)}"
    waiting = [row for row in world.tables.starts.values() if row["phase"] != ENDED]
    if waiting:
        yield f"I10 rows of starts are left: {waiting}"
    owners = [host.core.memory.piggyback for host in world.orchestrators.values()]
    answered = {one for piggyback in owners for one in piggyback.answered}
    if undelivered := world.tables.messages.keys() - answered:
        yield f"I10 undelivered messages are left: {sorted(undelivered)}"
    for host in world.orchestrators.values():
        # A paused or dead process does not keep the others from sending their messages.
        if host.process.runs and len(host.life.messenger):
            yield f"I10 orchestrator {host.address} has messages left"
    if not all(host.process.runs for host in world.processes):
        return
    for host in world.orchestrators.values():
        yield from _held(f"orchestrator {host.address}", _orchestrator(host))
    for service in world.workers.values():
        yield from _held(f"worker service {service.address}", _worker_service(service))
        yield from _credit(world, service)
    if world.events is not None and world.events.sequencer.waiting:
        yield "I10 the event service holds events back"


def _held(where: str, counts: dict[str, Any]) -> Iterator[str]:
    for name, held in counts.items():
        if held:
            yield f"I10 {where} has {name} left: {held}"


def _orchestrator(host: OrchestratorHost) -> dict[str, Any]:
    core = host.core
    return {
        "ready tasks": core.dispatch.dispatcher.ready.count,
        "leases": list(core.dispatch.dispatcher.leases._leases),
        "ending tasks": core.dispatch.dispatcher._uncommitted_ends._ends,
        "tasks being prepared": core.dispatch.dispatcher._preparing,
        "commands": len(core.memory.inbox),
        "commands set aside": len(host.life.committer._loads),
        "executions in flight": core.memory.uncommitted._executions,
        "places in a line": [
            member.execution_id
            for member in core.memory.starts.groups.entries.values()
            if member.phase != ENDED
        ],
        "starts set aside": core.memory.starts._unloaded,
        "tasks held back": list(core.dispatch.dispatcher.limiter._waiting),
        "tasks stopped": [one.key for _, one in core.dispatch.dispatcher.limiter.stopped()],
        "permits held": list(core.dispatch.permits._holdings.held),
        "permits waited for": list(core.dispatch.permits._holdings.pending),
        "permits to give back": core.dispatch.permits._exchange._releases,
        "permits given": [
            f"{counter.name}: {counter.in_use} and {counter.waiting_count} waiting"
            for ledger in core.dispatch.permits.grantor._ledgers.values()
            for counter in ledger.counters("default")
        ],
        "background tasks": len(core.memory.background._tasks),
        "callers that wait": len(core.memory.waiters),
        "commits to publish": len(core.memory.publisher._queue),
        "inherited positions": core.memory.publisher._inherited,
    }


def _worker_service(host: WorkerServiceHost) -> dict[str, Any]:
    return {
        "leases": [lease.token for lease in host.relay._leases.all()],
        "results that wait": list(host.relay._router.waiting),
        "running tasks": host.pool.running,
    }


def _credit(world: World, service: WorkerServiceHost) -> Iterator[str]:
    """No slot is taken any more, and who was granted one knows."""
    for set_id, worker_set in service.relay._sets.items():
        credit = worker_set.credit
        if credit.running:
            yield f"I10 {set_id}: {credit.running} slots are taken"
        for host in world.orchestrators.values():
            for stream in host.core.dispatch.dispatcher.services.streams:
                known = stream.sets.get(set_id)
                if known is not None and known.credit != credit.granted(host.address):
                    granted = credit.granted(host.address)
                    yield f"I10 {set_id}: {host.address} has {known.credit} of {granted} granted"
