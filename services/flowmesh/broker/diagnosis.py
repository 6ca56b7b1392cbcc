"""The reasons why messages of a queue are not processed."""

from collections.abc import Iterator
from dataclasses import dataclass

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.api.broker.v1 import message_pb2, topology_pb2
from flowmesh.broker.consuming.sessions import Sessions
from flowmesh.broker.contents import Contents
from flowmesh.broker.routing.misses import Misses
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.streams import QueueStreams
from flowmesh.broker.topology import Topologies, Topology
from flowmesh.contract.nouns import counted

SHOWN_MAX = 3
DEAD_LETTERS_READ_MAX = 500


@dataclass(frozen=True, slots=True)
class _Facts:
    queue: StoredQueue
    topology: Topology
    state: topology_pb2.QueueState
    consumers: int
    credit: int
    reasons: str


class Diagnosis:
    """Explains a queue from its state, its bindings and the counters of this instance."""

    def __init__(
        self,
        *,
        topologies: Topologies,
        contents: Contents,
        streams: QueueStreams,
        sessions: Sessions,
        misses: Misses,
    ) -> None:
        self._topologies = topologies
        self._contents = contents
        self._streams = streams
        self._sessions = sessions
        self._misses = misses

    async def of(self, namespace: str, name: str) -> pb.DiagnoseQueueResponse:
        queue = await self._topologies.queue(namespace, name)
        state = await self._contents.state_with_dead_letters(queue)
        sessions = self._sessions.open.get(queue.id, {})
        facts = _Facts(
            queue=queue,
            topology=await self._topologies.of(namespace),
            state=state,
            consumers=max(len(sessions), state.consumers),
            credit=sum(max(0, session.free) for session in sessions),
            reasons=await self._reasons(queue, state),
        )
        findings = [*self._findings(facts)]
        return pb.DiagnoseQueueResponse(findings=findings, state=state)

    def _findings(self, facts: _Facts) -> Iterator[pb.Finding]:
        yield from self._routing(facts)
        yield from _consumers(facts)
        yield from _outcomes(facts)

    def _routing(self, facts: _Facts) -> Iterator[pb.Finding]:
        """Causes for which messages do not reach the queue."""
        name, counters = facts.queue.name, facts.state.counters
        bindings = facts.topology.routes.bindings_of(name)
        if facts.state.depth or counters.published:
            return
        if not bindings:
            yield pb.Finding(
                cause="NO_BINDING",
                explanation=f"No exchange leads to {name!r}; only messages that name it reach it.",
                remedy=f"flowmesh queue bind {name} EXCHANGE KEY",
            )
        missed = [
            f"{key!r} to {exchange!r}"
            for exchange in {each.source for each in bindings}
            for key in self._misses.of(facts.queue.namespace, exchange)
        ]
        if missed:
            patterns = ", ".join(repr(each.key) for each in bindings[:SHOWN_MAX])
            yield pb.Finding(
                cause="NO_MATCH",
                explanation=(
                    f"No binding matched what was published: {', '.join(missed[:SHOWN_MAX])};"
                    f" the bindings of {name!r} are {patterns}."
                ),
                remedy="Bind with a pattern that matches, or publish with another routing key.",
            )

    async def _reasons(self, queue: StoredQueue, state: topology_pb2.QueueState) -> str:
        """Return the number of dead letters of the queue by reason."""
        if not state.dead_letters:
            return ""
        target = await self._topologies.queue(queue.namespace, queue.config.dead_letter_queue)
        counts: dict[str, int] = {}
        for stored in await self._streams.page(target, 1, DEAD_LETTERS_READ_MAX):
            death = stored.message.death
            if death.queue == queue.name:
                reason = message_pb2.DeathReason.Name(death.reason)
                word = reason.removeprefix("DEATH_REASON_").lower()
                error = f": {death.last_error}" if death.last_error else ""
                counts[f"{word}{error}"] = counts.get(f"{word}{error}", 0) + 1
        top = sorted(counts.items(), key=lambda item: -item[1])[:SHOWN_MAX]
        return ", ".join(f"{count} {word}" for word, count in top)


def _consumers(facts: _Facts) -> Iterator[pb.Finding]:
    """Causes for which stored messages are not delivered."""
    state, name = facts.state, facts.queue.name
    if state.ready and not facts.consumers:
        yield pb.Finding(
            cause="NO_CONSUMER",
            explanation=f"Nothing consumes {name!r}, with {counted(state.ready, 'message')}.",
            remedy=f"Subscribe to it, or look at one: flowmesh queue consume {name}",
        )
    elif state.ready and not facts.credit and state.in_flight:
        yield pb.Finding(
            cause="NO_CREDIT",
            explanation=(
                f"{counted(facts.consumers, 'consumer')} with all credit in use"
                f" ({counted(state.in_flight, 'unsettled message')}); waiting: {state.ready:,}."
            ),
            remedy="Settle faster, add consumers, or raise their credit.",
        )


def _outcomes(facts: _Facts) -> Iterator[pb.Finding]:
    """Causes for which delivered messages are not processed."""
    state, name = facts.state, facts.queue.name
    counters, config = state.counters, facts.queue.config
    if counters.failed and not counters.acknowledged:
        errors = sorted(counters.errors.items(), key=lambda item: -item[1])
        top = f"; most often: {errors[0][0]}" if errors else ""
        yield pb.Finding(
            cause="ALL_FAILING",
            explanation=f"Every settled delivery failed ({counters.failed:,}){top}.",
            remedy="Correct the consumer, then redrive the dead letters.",
        )
    if counters.expired and not counters.acknowledged:
        yield pb.Finding(
            cause="ALL_EXPIRED",
            explanation=f"Expired before processing: {counted(counters.expired, 'message')}.",
            remedy="Raise the time to live, or consume faster.",
        )
    if state.depth >= config.max_size or counters.rejected_full:
        yield pb.Finding(
            cause="QUEUE_FULL",
            explanation=(
                f"{name!r} holds {state.depth:,} of at most {counted(config.max_size, 'message')};"
                f" {counters.rejected_full:,} more were refused."
            ),
            remedy="Consume faster, or declare a larger queue.",
        )
    if state.dead_letters:
        dead = config.dead_letter_queue
        about = f": {facts.reasons}" if facts.reasons else ""
        yield pb.Finding(
            cause="DEAD_LETTERS",
            explanation=f"{dead!r} holds {counted(state.dead_letters, 'message')}{about}.",
            remedy=f"flowmesh queue peek {dead}, then flowmesh queue redrive {dead}",
        )
