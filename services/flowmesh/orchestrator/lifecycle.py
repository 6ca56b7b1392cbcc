"""Composition of the committer, and of what follows the incarnation of a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from flowmesh.orchestrator.commit.committer import Committer
from flowmesh.orchestrator.commit.effects import CommitEffects
from flowmesh.orchestrator.commit.incarnation import Incarnation
from flowmesh.orchestrator.commit.messenger import (
    OUTWARD_MAX,
    PENDING_MAX,
    Messenger,
    Messengers,
    of_sender,
)
from flowmesh.orchestrator.commit.pending_loads import PendingLoads
from flowmesh.orchestrator.commit.refused_commands import RefusedCommands
from flowmesh.orchestrator.commit.renewal import RenewalTasks
from flowmesh.orchestrator.commit.takeover import PartitionTakeover
from flowmesh.orchestrator.composition import Core
from flowmesh.orchestrator.outward.deliveries import OutwardDeliveries
from flowmesh.orchestrator.outward.routes import Routes
from flowmesh.orchestrator.ownership.lease_keeper import LeaseKeeper
from flowmesh.orchestrator.signals.kept_signals import KeptSignalLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The committer, and the parts that follow the incarnation and its partitions."""

    messenger: Messengers
    keeper: LeaseKeeper
    incarnation: Incarnation
    committer: Committer
    kept_signals: KeptSignalLoop


def compose_lifecycle(
    core: Core, recovered: Sequence[Callable[[list[int]], Awaitable[None]]] = ()
) -> Lifecycle:
    """Compose the lifecycle; `recovered` are called with partitions whose tasks are known."""
    given, memory, dispatch, calls = core.given, core.memory, core.dispatch, core.calls
    ownership, background = memory.ownership, memory.background
    messenger = _messengers(core)
    takeover = _takeover(core, messenger, recovered)
    renewal = RenewalTasks(
        ownership=ownership,
        dispatcher=dispatch.dispatcher,
        permits=dispatch.permits,
        workers=dispatch.workers,
        loads=dispatch.loads,
        peers=calls.peers,
        rules=dispatch.rules,
        background=background,
        clock=given.clock,
    )
    keeper = LeaseKeeper(
        store=given.store.partitions,
        outbox=given.store.outbox,
        ownership=ownership,
        owner=takeover,
        barrier=memory.lock.barrier,
        renewed=renewal.run,
        clock=given.clock,
        log=given.log,
        address=given.address,
        data_dir_id=given.data_dir_id,
        partition_stub=given.partition_stub,
    )
    incarnation = Incarnation(
        partitions=given.store.partitions,
        history_days=given.store.history_days,
        ownership=ownership,
        keeper=keeper,
        line=memory.line,
        publisher=memory.publisher,
        rules=dispatch.rules,
        background=background,
        barrier=memory.lock.barrier,
        log=given.log,
    )
    kept_signals = KeptSignalLoop(changes=calls.changes, store=given.store.kept_signals)
    return Lifecycle(
        messenger=messenger,
        keeper=keeper,
        incarnation=incarnation,
        committer=_committer(core, messenger, keeper, incarnation, kept_signals),
        kept_signals=kept_signals,
    )


def _messengers(core: Core) -> Messengers:
    given, memory, calls = core.given, core.memory, core.calls
    store, epochs = given.store.messages, memory.ownership.epochs
    messenger = partial(
        Messenger,
        epochs=epochs,
        spawn=memory.background.spawn,
        answered=memory.piggyback.mark_answered,
        log=given.log,
    )
    outward = OutwardDeliveries(
        calls=given.project_calls,
        routes=Routes(given.clock),
        payloads=memory.payloads,
        deliveries=calls.deliveries,
        reader=calls.reader,
        epochs=epochs,
        draw=given.draw,
    )
    return Messengers(
        inside=messenger(
            load=lambda partitions: store.pending(partitions, PENDING_MAX),
            deliver=calls.deliveries.deliver,
        ),
        outward=messenger(
            load=lambda partitions: store.pending_outward(partitions, PENDING_MAX, OUTWARD_MAX),
            deliver=outward.deliver,
            share_of=of_sender,
            share_max=OUTWARD_MAX,
            in_flight_max=PENDING_MAX,
            timeout_s=None,
        ),
    )


def _takeover(
    core: Core,
    messenger: Messengers,
    recovered: Sequence[Callable[[list[int]], Awaitable[None]]],
) -> PartitionTakeover:
    given, memory, dispatch = core.given, core.memory, core.dispatch
    return PartitionTakeover(
        ownership=memory.ownership,
        states=memory.states,
        dispatcher=dispatch.dispatcher,
        recovery=dispatch.recovery,
        starts=memory.starts,
        timers=dispatch.timers,
        messenger=messenger,
        waiters=memory.waiters,
        publisher=memory.publisher,
        spawn=memory.background.spawn,
        log=given.log,
        recovered=recovered,
    )


def _committer(
    core: Core,
    messenger: Messengers,
    keeper: LeaseKeeper,
    incarnation: Incarnation,
    kept_signals: KeptSignalLoop,
) -> Committer:
    given, memory, dispatch = core.given, core.memory, core.dispatch
    effects = CommitEffects(
        ownership=memory.ownership,
        states=memory.states,
        dispatcher=dispatch.dispatcher,
        preparation=dispatch.preparation,
        timers=dispatch.timers,
        waiters=memory.waiters,
        messenger=messenger,
        publisher=memory.publisher,
        stats=memory.stats,
        metrics=given.metrics,
        telemetry=memory.telemetry,
        uncommitted=memory.uncommitted,
        quotas=memory.quotas,
        awaited=kept_signals.wake,
    )
    return Committer(
        store=given.store.starts,
        keys=given.store.keys,
        line=memory.line,
        states=memory.states,
        ownership=memory.ownership,
        inbox=memory.inbox,
        lock=memory.lock,
        starts=memory.starts,
        refused=RefusedCommands(inbox=memory.inbox, log=given.log),
        piggyback=memory.piggyback,
        loads=PendingLoads(
            states=memory.states,
            epochs=memory.ownership.epochs,
            log=given.log,
            inbox=memory.inbox,
        ),
        uncommitted=memory.uncommitted,
        ids=given.ids,
        clock=given.clock,
        metrics=given.metrics,
        log=given.log,
        effects=effects,
        lost=keeper.lost,
        incarnation_over=incarnation.over,
    )
