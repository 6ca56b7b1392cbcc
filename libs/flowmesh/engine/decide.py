"""What follows from a command. Pure: data in, events out; no clock, id or randomness of its own.

`decide` applies the events it produces to the state as it goes, because what follows from an event
depends on it; a caller that cannot commit them throws the state away and replays the history.
"""

from __future__ import annotations

from collections import deque
from typing import Any, assert_never

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine import state as s
from flowmesh.engine.progress import NULL, Progress, failure_of
from flowmesh.engine.state import NodeState, State
from flowmesh.engine.transition import Ended, SignalsFull, Transition, Unfit

DELIVERIES_MAX = 5
"""An attempt whose worker was lost this often is poison: the node fails."""

RETRY_AFTER_MS_MAX = 24 * 3_600_000
"""A called service may ask for a longer pause; it is not believed."""


def decide(state: State, command: c.Command, now_us: int, into: Transition) -> bool:
    """Adds to `into` what follows from the command; False if nothing follows because it is stale.

    Raises Ended where the command needs a running execution and its caller is to be told, Unfit
    where it does not fit whether that is paused, SignalsFull where there is no room for the signal.
    """
    step = _Step(state, now_us, into)
    followed = step.decided(command)
    if state.sequence >= s.HISTORY_EVENTS_MAX:
        step.history_full()
    return followed


class _Step(Progress):
    """One command being decided."""

    __slots__ = ()

    def decided(self, command: c.Command) -> bool:
        match command:
            case c.TaskEnded():
                return self.task_ended(command)
            case c.TaskRuns():
                return self.task_runs(command)
            case c.Start():
                self.start(command)
            case c.TimersDue():
                self.timers_due()
            case c.DeliveryLost():
                return self.delivery_lost(command)
            case c.Signal():
                self.signal(command)
            case c.Cancel():
                self.stop(command, "workflow_canceled", history.WorkflowCanceled)
            case c.Pause():
                self.pause(command)
            case c.Resume():
                self.resume(command)
            case c.Terminate():
                self.stop(command, "workflow_terminated", history.WorkflowTerminated)
            case c.Finish():
                self.finish(command)
            case c.Expand():
                return self.expand(command)
            case c.Collect():
                return self.collect(command)
            case _:
                assert_never(command)
        return True

    def start(self, command: c.Start) -> None:
        plan = self.plan
        self.emit(
            "workflow_started",
            history.WorkflowStarted(
                namespace=plan.namespace,
                workflow_id=plan.workflow_id,
                version=plan.version,
                plan_digest=plan.digest,
                input=command.input,
                request_id=command.request_id,
                actor=command.actor,
                traceparent=command.traceparent,
            ),
        )
        ended: deque[NodeState] = deque()
        for planned in plan.roots:
            self.begin(self.state.scope, planned, ended)
        self.advance(ended)

    def task_ended(self, command: c.TaskEnded) -> bool:
        node = self.current(command.node, command.attempt)
        if node is None:
            return False
        if not node.delivery:
            self.started(node, command.worker_id, 1, command.started_at_us)
        if command.failure is not None:
            self.attempt_failed(node, command.failure, command.draw)
            return True
        self.complete(node, command.output or NULL, command.metadata)
        self.advance(deque((node,)))
        return True

    def task_runs(self, command: c.TaskRuns) -> bool:
        node = self.current(command.node, command.attempt)
        if node is None or node.delivery:
            return False
        self.started(node, command.worker_id, 1, command.started_at_us)
        return True

    def delivery_lost(self, command: c.DeliveryLost) -> bool:
        node = self.current(command.node, command.attempt)
        if node is None:
            return False
        lost = max(node.delivery, 1)
        if lost >= DELIVERIES_MAX:
            failure = failure_of("POISON", f"the worker was lost {lost} times ({command.reason})")
            self.attempt_failed(node, failure, 0.0)
            return True
        self.started(node, delivery=lost + 1)
        self.out.dispatch.append(node)
        return True

    def timers_due(self) -> None:
        state = self.state
        if state.ended:
            return
        limit = self.plan.timeout_us
        if limit and self.now >= state.started_at_us + limit:
            self.cancel_open_nodes()
            self.fail("Timeout", f"the execution took longer than {limit // 1000} ms")
            return
        if state.paused:
            return
        ended: deque[NodeState] = deque()
        while (first := state.next_timer()) is not None and first[0] <= self.now:
            node = state.reach(first[1])
            if node.planned.is_task:
                self.schedule(node.scope, node.planned, node.attempt + 1)
            elif node.planned.body is not None:
                self.ask(node)
            else:
                self.emit("timer_fired", history.TimerFired(node=node.id))
                self.complete(node, NULL)
                ended.append(node)
        if ended:
            self.advance(ended)

    def history_full(self) -> None:
        """Ends an execution whose history is too long; all nodes having ended, it ends anyway."""
        if self.state.ended or not self.state.scope.open_count:
            return
        self.cancel_open_nodes()
        self.fail("ResourceLimit", f"the history has {s.HISTORY_EVENTS_MAX:,} events, the limit")

    def signal(self, command: c.Signal) -> None:
        state = self.state
        if command.request_id in state.requests:
            return
        if state.ended:
            raise Ended(state.status)
        if len(state.signals) >= s.SIGNALS_MAX:
            raise SignalsFull(f"{s.SIGNALS_MAX:,} signals")
        if state.signals_bytes + len(command.payload.data) > s.SIGNALS_BYTES_MAX:
            raise SignalsFull(f"signals of {s.SIGNALS_BYTES_MAX >> 20} MiB")
        self.emit(
            "signal_received",
            history.SignalReceived(
                name=command.name,
                payload=command.payload,
                actor=command.actor,
                request_id=command.request_id,
            ),
        )
        waiting = state.awaiting.get(command.name)
        if waiting:
            ended: deque[NodeState] = deque()
            self.take_signal(next(iter(waiting.values())), ended)
            self.advance(ended)

    def stop(self, command: c.Cancel | c.Terminate, kind: str, event: Any) -> None:
        if self.repeated(command.request_id):
            return
        self.cancel_open_nodes()
        self.emit(
            kind,
            event(reason=command.reason, actor=command.actor, request_id=command.request_id),
        )
        self.out.ended = True

    def pause(self, command: c.Pause) -> None:
        if self.repeated(command.request_id):
            return
        if self.state.paused:
            raise Unfit(self.state.status)
        self.emit(
            "workflow_paused",
            history.WorkflowPaused(
                reason=command.reason, actor=command.actor, request_id=command.request_id
            ),
        )

    def resume(self, command: c.Resume) -> None:
        """Begins what was held back, and sends again what no worker has had."""
        state = self.state
        if self.repeated(command.request_id):
            return
        if not state.paused:
            raise Unfit(state.status)
        self.emit(
            "workflow_resumed",
            history.WorkflowResumed(
                reason=command.reason, actor=command.actor, request_id=command.request_id
            ),
        )
        self.out.dispatch.extend(state.at_workers.values())
        ended: deque[NodeState] = deque()
        while state.held and not state.full:
            self.release(ended)
        self.advance(ended)

    def repeated(self, request_id: str) -> bool:
        """Whether the command was applied before; raises Ended where it cannot be any more."""
        if request_id and request_id in self.state.requests:
            return True
        if self.state.ended:
            raise Ended(self.state.status)
        return False

    # --- the graph moves on ---

    def current(self, node_id: str, attempt: int) -> NodeState | None:
        """The node, if this is its current attempt and that one is at a worker."""
        node = self.state.at_workers.get(node_id)
        if node is None or node.attempt != attempt or self.state.ended:
            return None
        return node

    def attempt_failed(self, node: NodeState, failure: failure_pb2.Failure, draw: float) -> None:
        retry = node.planned.retry
        if node.attempt < retry.max_attempts and retry.allows(getattr(failure, "class")):
            asked = min(failure.retry_after_ms, RETRY_AFTER_MS_MAX) * 1000
            delay = max(retry.delay_us(node.attempt, draw), asked)
            self.emit(
                "task_retrying",
                history.TaskRetrying(
                    node=node.id,
                    attempt=node.attempt,
                    failure=failure,
                    retry_at_us=self.now + delay,
                ),
            )
            self.out.retried.append(node)
            return
        self.fail_node(node, failure)
        self.advance(deque((node,)))

    def running_body(self, node_id: str) -> NodeState | None:
        node = self.state.node(node_id)
        if self.state.ended or node is None or node.planned.body is None:
            return None
        return node if node.status == s.RUNNING else None

    def expand(self, command: c.Expand) -> bool:
        node = self.running_body(command.node)
        known = node is not None and (node.map is not None or node.machine is not None)
        if node is None or (command.failure is not None and known):
            return False
        ended: deque[NodeState] = deque()
        if command.failure is not None:
            self.fail_node(node, command.failure)
            ended.append(node)
        elif node.planned.kind == plan_pb2.NODE_KIND_STATES:
            if node.machine is None:
                value = command.value or NULL
                self.emit("states_started", history.StatesStarted(node=node.id, value=value))
            self.iterate(node, ended)
        else:
            if node.map is None:
                self.emit("map_started", history.MapStarted(node=node.id, count=len(command.items)))
            assert node.map is not None
            node.map.items = command.items
            self.iterate(node, ended)
        self.advance(ended)
        return True

    def collect(self, command: c.Collect) -> bool:
        node = self.running_body(command.node)
        of = node.map if node is not None else None
        if node is None or of is None or of.scopes or of.failure or of.begun < of.total:
            return False
        if command.output is not None:
            self.complete(node, command.output)
        else:
            self.fail_node(node, command.failure or failure_pb2.Failure())
        self.advance(deque((node,)))
        return True
