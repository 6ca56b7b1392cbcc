"""Composition of the change triggers of the event service."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.access.encryption import DataKeys
from flowmesh.event.changes.loop import ChangeTriggerLoop
from flowmesh.event.changes.metrics import ChangeMetrics
from flowmesh.event.changes.store import ChangeStore
from flowmesh.outbox import user_databases
from flowmesh.runtime import Runtime, StartError
from flowmesh.sandbox import Sandbox

if TYPE_CHECKING:
    import asyncpg


@dataclass(frozen=True, slots=True)
class Changes:
    """The components that other parts of the service use."""

    store: ChangeStore
    loop: ChangeTriggerLoop


def change_parts(
    runtime: Runtime,
    pool: "asyncpg.Pool[asyncpg.Record]",
    *,
    keys: DataKeys,
    on_firing: Callable[[], None],
    sandbox: Sandbox,
) -> Changes:
    """Create the components and add their loop. Raises StartError for a wrong file."""
    try:
        databases = user_databases(runtime.settings.databases)
    except ValueError as error:
        raise StartError(str(error)) from error
    store = ChangeStore(pool, owner=runtime.instance_id, keys=keys)
    loop = ChangeTriggerLoop(
        store=store,
        databases=databases,
        metrics=ChangeMetrics(runtime.metrics),
        on_firing=on_firing,
        clock=runtime.clock,
        log=runtime.log,
        sandbox=sandbox,
    )
    runtime.add_loop(loop)
    runtime.on_drain(loop.drain)
    return Changes(store, loop)
