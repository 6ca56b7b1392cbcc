"""Work at each renewal of the lease, once a second."""

from __future__ import annotations

from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.statistics.loads import Loads
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.rule_loader import RuleLoader
from flowmesh.orchestrator.model.background import BackgroundTasks
from flowmesh.orchestrator.ownership.attached_workers import AttachedWorkers
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import Peers
from flowmesh.orchestrator.storage.stores.partition_store import Tenure
from flowmesh.runtime import Clock


class RenewalTasks:
    """Repeats unanswered permit calls, records workers and loads, and loads changed limits."""

    def __init__(
        self,
        *,
        ownership: Ownership,
        dispatcher: Dispatcher,
        permits: PermitClient,
        workers: AttachedWorkers,
        loads: Loads,
        peers: Peers,
        rules: RuleLoader,
        background: BackgroundTasks,
        clock: Clock,
    ) -> None:
        self._ownership = ownership
        self._dispatcher = dispatcher
        self._permits = permits
        self._workers = workers
        self._loads = loads
        self._peers = peers
        self._rules = rules
        self._background = background
        self._clock = clock

    def run(self, tenure: Tenure) -> None:
        self._permits.renewed()
        self._workers.note(self._dispatcher.services.workers)
        self._loads.sample(self._clock.monotonic_ms())
        self._peers.keep(self._ownership.peers())
        if tenure.limits_version != self._rules.version:
            self._background.spawn(self._rules.load())
