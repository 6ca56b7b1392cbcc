"""The outbox as batches of events, the same messages as the published ones."""

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.engine import State
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.orchestrator.storage.stores.outbox_store import OutboxStore

READ_BYTES_MAX = 4 << 20
"""Bytes of events in one response; a single commit may have more."""


def add_events(batch: pb.EventBatch, state: State, first_sequence: int, events: bytes) -> None:
    """Add the events of one execution in the form that subscribers get."""
    batch.rows.add(
        namespace=state.plan.namespace,
        execution_id=state.execution_id,
        workflow_id=state.plan.workflow_id,
        first_sequence=first_sequence,
        events=events,
        callbacks=state.plan.callbacks,
    )


class Outbox:
    """Reads committed batches of any incarnation that are not yet served."""

    def __init__(self, *, store: OutboxStore, executions: ExecutionStore, plans: PlanCache) -> None:
        self._store = store
        self._executions = executions
        self._plans = plans

    async def read(self, incarnation: int, after: int, positions_max: int) -> list[pb.EventBatch]:
        """Return the batches above `after` in the order of their positions."""
        rows = await self._store.read(
            incarnation, after=after, positions_max=positions_max, bytes_max=READ_BYTES_MAX
        )
        digests = {row.plan_digest for row in rows if row.plan_digest}
        await self._plans.fetch(digests, self._executions)
        batches: list[pb.EventBatch] = []
        for row in rows:
            if not batches or batches[-1].position != row.position:
                batches.append(pb.EventBatch(incarnation=incarnation, position=row.position))
                if row.after:
                    batches[-1].after.extend(pb.EventBatch.FromString(row.after).after)
            if row.events is not None:
                plan = self._plans.by_digest.get(row.plan_digest or "")
                batches[-1].rows.add(
                    namespace=row.namespace,
                    execution_id=row.execution_id,
                    workflow_id=row.workflow_id,
                    first_sequence=row.seq,
                    events=row.events,
                    callbacks=plan.callbacks if plan is not None else None,
                )
        for batch in batches:
            batch.last_part = True
        return batches
