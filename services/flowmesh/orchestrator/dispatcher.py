"""Hands ready tasks to worker services, as late as possible: when one has credit for them.

The ready queues and leases live in memory and can be lost: open tasks are part of the committed
state. This is the one admission point, where priority is decided and limits will be.
"""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.engine import DeliveryLost, NodeState, State, TaskEnded, TaskRuns
from flowmesh.expressions import RenderError
from flowmesh.orchestrator.attached import Attached, WorkerSet
from flowmesh.orchestrator.failures import failure
from flowmesh.orchestrator.ids import parse_token, partition_of, token_of
from flowmesh.orchestrator.leases import Lease, Leases
from flowmesh.orchestrator.metrics import OrchestratorMetrics
from flowmesh.orchestrator.ownership import Ownership
from flowmesh.orchestrator.payloads import INLINE_BYTES_MAX
from flowmesh.orchestrator.ready import Key, ReadyQueues, ReadyTask, key_of
from flowmesh.orchestrator.states import States
from flowmesh.orchestrator.works import Answer, Reply, Work, no_reply
from flowmesh.plan import NotAtHand, PlanNode, render_input
from flowmesh.runtime import Clock

MARK_RUNNING_AFTER_MS = 50
"""A task that is still out so long after dispatch gets its TaskStarted in the next batch."""

PREPARING_MAX = 64
"""Tasks whose execution or payloads are being fetched at a time."""

TASK_BYTES = 300
"""What a task weighs in a frame beside its input, about."""

TIMEOUT_GRACE_MS = 1_000
"""The worker ends an attempt at its timeout; the orchestrator so much later, if it does not."""


class Dispatcher:
    """Ready queues on one side, attached worker services on the other."""

    def __init__(
        self,
        *,
        states: States,
        ownership: Ownership,
        clock: Clock,
        metrics: OrchestratorMetrics,
        submit: Callable[[Work], None],
        draw: Callable[[], float],
        prepare: Callable[[ReadyTask], None],
        refill: Callable[[set[tuple[Key, int]]], None],
        verify: Callable[[set[str]], None],
    ) -> None:
        self._states = states
        self._ownership = ownership
        self._clock = clock
        self.submit = submit
        self._draw = draw
        self._prepare = prepare
        self._refill = refill
        self._verify = verify
        self._attached: list[Attached] = []
        self._fresh: deque[Lease] = deque()
        self._deadlines: list[tuple[float, str]] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._sweep_at_ms = math.inf
        self._turn = 0
        self._claims: list[tuple[dict[Attached, set[int]], asyncio.Event]] = []
        self._ending: set[str] = set()
        self._preparing = 0
        self.ready = ReadyQueues()
        self.leases = Leases(clock=clock, lost=self._delivery_lost)
        metrics.tasks_ready.set_function(lambda: self.ready.count)
        metrics.tasks_out.set_function(lambda: len(self.leases))

    # --- tasks in ---

    def add(self, state: State, node: NodeState, partition: int) -> None:
        """Queues the current attempt of a node whose scheduling has been committed."""
        key = key_of(state.plan, node.planned)
        priority = node.planned.priority
        task = ReadyTask(state.execution_id, node.id, node.attempt, partition, key, priority)
        if self.ready.push(task):
            for stream in self._attached:
                stream.know(key)

    def cancel(self, execution_id: str, node_id: str, attempt: int) -> None:
        """Tells the worker that has an attempt to stop it."""
        lease = self.leases.pop(token_of(execution_id, node_id, attempt))
        if lease is not None and lease.stream is not None:
            lease.stream.out.cancels.append(lease.token)
            lease.stream.flush_soon()

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        self.leases.drop_partitions(gone)
        self.ready.drop_partitions(gone)
        for stream in self._attached:
            stream.report_backlog(self.ready)

    # --- out ---

    def pump(self) -> None:
        """Sends what credit allows, the highest priority first, in turn to the worker sets."""
        if not self._ownership.lease_valid:
            return
        if self.ready.count:
            self._pump()
        drained = self.ready.take_drained()
        if drained:
            self._refill(drained)

    def _pump(self) -> None:
        sets = [s for stream in self._attached for s in stream.sets.values() if s.credit]
        if sets:
            self._turn += 1
            start = self._turn % len(sets)
            sets = sets[start:] + sets[:start]
            while sets and self.ready.count:
                share = max(1, self.ready.count // len(sets))
                sets = [one for one in sets if self._serve(one, share)]
        for stream in self._attached:
            stream.report_backlog(self.ready)

    def _serve(self, worker_set: WorkerSet, share: int) -> bool:
        """Sends at most `share` tasks; False when the set can take no more now."""
        for _ in range(min(share, worker_set.credit)):
            worker_set.turn += 1
            task = self.ready.pop(worker_set.keys, worker_set.turn)
            if task is None or not self._send(task, worker_set):
                return False
        return worker_set.credit > 0

    def _bring_to_hand(self, task: ReadyTask) -> bool:
        """Has what a task needs fetched, some at a time; False if it must wait for its turn."""
        if self._preparing >= PREPARING_MAX:
            self.ready.push_front(task)
            return False
        self._preparing += 1
        self._prepare(task)
        return True

    def prepared(self, task: ReadyTask | None) -> None:
        """A task has what it needs, or is not to be sent any more."""
        self._preparing -= 1
        if task is not None:
            self.ready.push_front(task)
        self.pump()

    def _send(self, task: ReadyTask, worker_set: WorkerSet) -> bool:
        """Sends a task if it is still to be sent; False if nothing can be sent for now."""
        epoch = self._ownership.epochs.get(task.partition)
        token = token_of(task.execution_id, task.node_id, task.attempt)
        if epoch is None or token in self.leases or token in self._ending:
            return True
        entry = self._states.get(task.execution_id)
        if entry is None:
            return self._bring_to_hand(task)
        state = entry.state
        node = state.at_workers.get(task.node_id)
        if node is None or node.attempt != task.attempt or state.paused:
            return True
        try:
            payload = task.rendered or render_input(state, node)
        except NotAtHand:
            return self._bring_to_hand(task)
        except RenderError as error:
            self.render_failed(task, str(error))
            return True
        if len(payload.data) > INLINE_BYTES_MAX:
            return self._bring_to_hand(task)
        self._send_rendered(task, worker_set, state, node.planned, payload, token, epoch)
        return True

    def _send_rendered(
        self,
        task: ReadyTask,
        worker_set: WorkerSet,
        state: State,
        node: PlanNode,
        payload: payload_pb2.Payload,
        token: str,
        epoch: int,
    ) -> None:
        spec = node.spec
        assert spec is not None
        stream = worker_set.stream
        stream.send_spec(spec)
        stream.out.tasks.add(
            set_id=worker_set.set_id,
            task=task_pb2.Task(
                token=token,
                namespace=state.plan.namespace,
                execution_id=task.execution_id,
                workflow_id=state.plan.workflow_id,
                node=task.node_id,
                attempt=task.attempt,
                task_type=spec.task_type,
                spec_digest=spec.digest,
                input=payload,
                idempotency_key=f"{task.execution_id}/{task.node_id}",
                timeout_ms=node.timeout_ms,
                heartbeat_timeout_ms=node.heartbeat_timeout_ms,
                partition=task.partition,
                epoch=epoch,
                traceparent=state.traceparent,
                queue=node.queue,
            ),
        )
        stream.grew(len(payload.data) + TASK_BYTES)
        stream.flush_soon()
        worker_set.credit -= 1
        lease = Lease(
            token,
            task.execution_id,
            task.node_id,
            task.attempt,
            task.partition,
            stream,
            worker_set.worker_id,
            self._clock.monotonic_ms(),
            self._ownership.now_us(),
            node.timeout_ms,
            node.heartbeat_timeout_ms,
        )
        self.leases.put(lease)
        self._fresh.append(lease)
        self._sweep_by(lease.sent_at_ms + MARK_RUNNING_AFTER_MS)

    def render_failed(self, task: ReadyTask, message: str) -> None:
        command = TaskEnded(
            task.node_id,
            task.attempt,
            failure=failure("ValidationError", f"input of {task.node_id}: {message}"),
            started_at_us=self._ownership.now_us(),
        )
        self.submit(Work(task.execution_id, task.partition, command))

    # --- what runs long ---

    def _sweep_by(self, at_ms: float) -> None:
        """Looks at what runs long at this time, or earlier if that is planned already."""
        if self._sweep is not None:
            if self._sweep_at_ms <= at_ms:
                return
            self._sweep.cancel()
        self._sweep_at_ms = at_ms
        delay_s = max(at_ms - self._clock.monotonic_ms(), 1) / 1000
        self._sweep = asyncio.get_running_loop().call_later(delay_s, self._swept)

    def _swept(self) -> None:
        """Marks what still runs as started, and ends attempts that are over their time."""
        self._sweep = None
        now_ms = self._clock.monotonic_ms()
        while self._fresh and self._fresh[0].sent_at_ms <= now_ms - MARK_RUNNING_AFTER_MS:
            lease = self._fresh.popleft()
            if self.leases.get(lease.token) is lease:
                self._mark_running(lease)
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, token = heapq.heappop(self._deadlines)
            self._check_deadline(token, now_ms)
        waits = []
        if self._fresh:
            waits.append(self._fresh[0].sent_at_ms + MARK_RUNNING_AFTER_MS - now_ms)
        if self._deadlines:
            waits.append(self._deadlines[0][0] - now_ms)
        if waits:
            self._sweep_by(now_ms + min(waits))

    def watch(self, lease: Lease, node: PlanNode) -> None:
        """Bounds an adopted task by the limits of its node, counted from now."""
        if lease.timeout_ms or lease.heartbeat_timeout_ms:
            return
        lease.timeout_ms = node.timeout_ms
        lease.heartbeat_timeout_ms = node.heartbeat_timeout_ms
        deadline = lease.deadline_ms(TIMEOUT_GRACE_MS)
        if deadline:
            heapq.heappush(self._deadlines, (deadline, lease.token))
            self._sweep_by(deadline)

    def _mark_running(self, lease: Lease) -> None:
        command = TaskRuns(lease.node_id, lease.attempt, lease.worker_id, lease.sent_at_us)
        self.submit(Work(lease.execution_id, lease.partition, command))
        deadline = lease.deadline_ms(TIMEOUT_GRACE_MS)
        if deadline:
            heapq.heappush(self._deadlines, (deadline, lease.token))

    def _check_deadline(self, token: str, now_ms: float) -> None:
        lease = self.leases.get(token)
        if lease is None:
            return
        deadline = lease.deadline_ms(TIMEOUT_GRACE_MS)
        if deadline > now_ms:
            heapq.heappush(self._deadlines, (deadline, token))
            return
        self.cancel(lease.execution_id, lease.node_id, lease.attempt)
        command = TaskEnded(
            lease.node_id,
            lease.attempt,
            failure=failure("Timeout", "the attempt took longer than it may"),
            worker_id=lease.worker_id,
            started_at_us=lease.sent_at_us,
            draw=self._draw(),
        )
        reply = self._end(token, no_reply)
        self.submit(Work(lease.execution_id, lease.partition, command, reply))

    # --- from worker services ---

    def attach(self, stream: Attached, hello: pb.AttachHello) -> None:
        """A worker service is there (again): what it holds stays with it, the rest goes out anew.

        A later hello on the same stream only adds what a worker that came back holds.
        """
        self._adopt(stream, hello.held)
        if stream in self._attached:
            return
        stream.worker_service_id = hello.worker_service_id
        self._attached.append(stream)
        self.leases.reattached(hello.worker_service_id)

    def detach(self, stream: Attached) -> None:
        if stream in self._attached:
            self._attached.remove(stream)
            self.leases.orphan(stream)
            self._claim_answered(stream)

    def claim(self, partitions: Iterable[int]) -> asyncio.Event:
        """Asks every attached worker service what it holds; the event says that all answered."""
        answered = asyncio.Event()
        epochs = self._ownership.epochs
        mine = [partition for partition in partitions if partition in epochs]
        for stream in self._attached:
            stream.out.claim_partitions.extend(mine)
            stream.out.claim_epochs.extend(epochs[partition] for partition in mine)
            stream.flush_soon()
        waiting = {stream: set(mine) for stream in self._attached} if mine else {}
        if waiting:
            self._claims.append((waiting, answered))
        else:
            answered.set()
        return answered

    def held(self, stream: Attached, answers: Iterable[pb.HeldTasks]) -> None:
        partitions = set()
        for answer in answers:
            partitions.add(answer.partition)
            self._adopt(stream, answer.tasks)
        self._claim_answered(stream, partitions)

    def _claim_answered(self, stream: Attached, partitions: set[int] | None = None) -> None:
        """A stream has answered for these partitions, or is gone and answers for none.

        Partitions are handed over one by one: the answer about one says nothing of the next.
        """
        for waiting, answered in self._claims:
            if stream in waiting:
                waiting[stream] -= waiting[stream] if partitions is None else partitions
                if not waiting[stream]:
                    del waiting[stream]
            if not waiting:
                answered.set()
        self._claims = [claim for claim in self._claims if claim[0]]

    def _adopt(self, stream: Attached, held: Iterable[pb.HeldTask]) -> None:
        cold: set[str] = set()
        for task in held:
            parsed = parse_token(task.token)
            if parsed is None:
                continue
            partition = partition_of(parsed[0])
            if partition is None or partition not in self._ownership.epochs:
                continue
            if task.token in self._ending or self._known_as_over(*parsed):
                # A lease of it would never end.
                continue
            lease = self.leases.get(task.token)
            if lease is None:
                now_us = self._ownership.now_us()
                lease = Lease(
                    task.token, *parsed, partition, stream, task.worker_id,
                    self._clock.monotonic_ms(), now_us, 0, 0,
                )  # fmt: skip
            self.leases.adopt(lease, stream, task.worker_id)
            if self._states.get(lease.execution_id) is None:
                cold.add(lease.execution_id)
        if cold:
            self._verify(cold)

    def drop_what_is_over(self, execution_ids: set[str]) -> None:
        """Lets go of leases that were made of tasks which had ended, under whatever owner."""
        for lease in self.leases.of(execution_ids):
            if self._known_as_over(lease.execution_id, lease.node_id, lease.attempt):
                self.leases.pop(lease.token)

    def _known_as_over(self, execution_id: str, node_id: str, attempt: int) -> bool:
        """Whether an attempt is not open any more, as far as memory has its execution."""
        entry = self._states.get(execution_id)
        if entry is None:
            return False
        node = entry.state.at_workers.get(node_id)
        return node is None or node.attempt != attempt

    def grant(self, stream: Attached, grants: Iterable[pb.Grant]) -> None:
        for grant in grants:
            stream.grant(grant, self.ready.keys)

    def recall(self, stream: Attached, set_ids: Iterable[str]) -> None:
        """The worker service wants unused credit back: says how much was left."""
        for set_id in set_ids:
            worker_set = stream.sets.get(set_id)
            left = worker_set.credit if worker_set is not None else 0
            if worker_set is not None:
                worker_set.credit = 0
            stream.out.recalled.add(set_id=set_id, slots=left)
            stream.flush_soon()

    def result(self, result: task_pb2.TaskResult, reply: Reply) -> None:
        """Submits a result; the reply follows its commit."""
        parsed = parse_token(result.token)
        partition = partition_of(parsed[0]) if parsed is not None else None
        if parsed is None or partition is None:
            reply(ValueError("not a token"))
            return
        execution_id, node_id, attempt = parsed
        lease = self.leases.pop(result.token)
        failed = result.WhichOneof("outcome") == "failure"
        command = TaskEnded(
            node_id,
            attempt,
            output=None if failed else result.output,
            failure=result.failure if failed else None,
            metadata=result.metadata,
            worker_id=result.worker_id or (lease.worker_id if lease is not None else ""),
            started_at_us=lease.sent_at_us if lease is not None else 0,
            draw=self._draw() if failed else 0.0,
        )
        self.submit(Work(execution_id, partition, command, self._end(result.token, reply)))

    def _end(self, token: str, reply: Reply) -> Reply:
        """A task whose end waits for its commit has no lease any more, and must not go out again.

        Whoever looks for open tasks meanwhile still finds it in its execution's state.
        """
        self._ending.add(token)

        def ended(answer: Answer | Exception) -> None:
            self._ending.discard(token)
            reply(answer)

        return ended

    def heartbeat(self, heartbeats: Iterable[task_pb2.Heartbeat]) -> None:
        now_ms = self._clock.monotonic_ms()
        for heartbeat in heartbeats:
            lease = self.leases.get(heartbeat.token)
            if lease is not None:
                lease.heartbeat_at_ms = now_ms

    def lost(self, tasks: Iterable[pb.LostTask]) -> None:
        for task in tasks:
            lease = self.leases.pop(task.token)
            if lease is not None:
                self._delivery_lost(lease, task.reason or "WORKER_LOST")

    def returned(self, tokens: Iterable[str]) -> None:
        """Tasks that came back untouched go out again, without a delivery counted."""
        for token in tokens:
            lease = self.leases.pop(token)
            entry = self._states.get(lease.execution_id) if lease is not None else None
            if lease is None:
                continue
            if entry is None:
                self._delivery_lost(lease, "RETURNED")
            else:
                node = entry.state.at_workers.get(lease.node_id)
                if node is not None:
                    self.add(entry.state, node, lease.partition)

    def _delivery_lost(self, lease: Lease, reason: str) -> None:
        command = DeliveryLost(lease.node_id, lease.attempt, reason)
        self.submit(Work(lease.execution_id, lease.partition, command, no_reply))
