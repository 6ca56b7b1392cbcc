"""Workers of different speed, tasks that arrive by chance, and a choice of the worker of each."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.orchestrator.dispatch.attachment import WorkerSet, WorkerStream
from flowmesh.orchestrator.dispatch.routing.router import LearnedRouter, serve_by_preference
from flowmesh.orchestrator.limits.ready_queues import Key, ReadyQueues, ReadyTask

KINDS: tuple[Key, ...] = (("shop", "packing", "pack", ""), ("shop", "packing", "weigh", ""))
Sets = list[WorkerSet]
# Duration in ms of a task of a kind at a worker with so many running tasks, the n-th of all.
Duration = Callable[[random.Random, Key, str, int, int], float]


@dataclass(slots=True)
class Outcome:
    """Times from arrival to end, and the worker of each task, in the order of sending."""

    times_ms: list[float] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def mean_ms(self) -> float:
        return sum(self.times_ms) / len(self.times_ms)

    def share(self, worker: str, first: int, last: int) -> float:
        part = self.workers[first:last]
        return part.count(worker) / len(part)


@dataclass(slots=True)
class Workshop:
    """Ready queues and worker sets of the orchestrator, without the rest of it."""

    workers: Sequence[str]
    slots: int
    duration: Duration
    seed: int
    failing: Collection[str] = ()
    router: LearnedRouter | None = None
    by_chance: bool = False
    kinds: Sequence[Key] = KINDS
    turn: int = 0

    def run(self, tasks: int, per_second: float) -> Outcome:
        """Return the outcome of so many tasks that arrive by chance."""
        rng, outcome, ready = random.Random(self.seed), Outcome(), ReadyQueues()
        sets = self._sets()
        running: list[tuple[float, int, WorkerSet, ReadyTask, float, bool]] = []
        now, number = 0.0, 0
        arrives = rng.expovariate(per_second / 1_000)
        while number < tasks or running:
            if number < tasks and (not running or arrives <= running[0][0]):
                now = arrives
                arrives += rng.expovariate(per_second / 1_000)
                ready.push(
                    ReadyTask("e", str(number), 1, 1, rng.choice(self.kinds), 0, since_ms=now)
                )
                number += 1
            else:
                now, _, one, task, sent, routed = heappop(running)
                one.credit += 1
                outcome.times_ms.append(now - task.since_ms)
                if self.router is not None:
                    failed = one.worker_id in self.failing
                    self.router.ended(
                        task.key, one.worker_id, now - sent, failed=failed, routed=routed
                    )
            for one, task in self._pumped(sets, ready, rng):
                busy = self.slots - one.credit
                took = self.duration(rng, task.key, one.worker_id, busy, len(outcome.workers))
                routed = self.router is not None and task.key in self.router.routed
                outcome.workers.append(one.worker_id)
                heappush(running, (now + took, len(outcome.workers), one, task, now, routed))
        if self.router is not None:
            outcome.reasons = [each.verdict.reason for _, each in self.router.histories()]
        return outcome

    def _sets(self) -> Sets:
        found: Sets = []
        for worker in self.workers:
            types = [each[2] for each in KINDS]
            grant = pb.Grant(set_id=worker, worker_id=worker, slots=self.slots, task_types=types)
            stream = WorkerStream()
            stream.grant(grant, KINDS, 0)
            found += stream.sets.values()
        return found

    def _pumped(
        self, sets: Sets, ready: ReadyQueues, rng: random.Random
    ) -> list[tuple[WorkerSet, ReadyTask]]:
        """Send what credit allows, as the orchestrator does, or by chance."""
        sent: list[tuple[WorkerSet, ReadyTask]] = []

        def serve(one: WorkerSet, keys: Collection[Key]) -> None:
            if one.credit and (task := ready.pop(keys)) is not None:
                one.credit -= 1
                sent.append((one, task))

        free = [each for each in sets if each.credit]
        self.turn += 1
        if self.by_chance:
            rng.shuffle(free)
        elif free:
            start = self.turn % len(free)
            free = free[start:] + free[:start]
        preferences = self.router.preferences(free, ready.counts) if self.router else ()
        serve_by_preference(free, preferences, serve, lambda: ready.count)
        return sent
