"""What follows from a command. Pure: data in, events out; no clock, id or randomness of its own.

`decide` applies the events it produces to the state as it goes, because what follows from an event
depends on it; a caller that cannot commit them throws the state away and replays the history.
"""

from __future__ import annotations

from collections import deque
from typing import assert_never

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine import erasure, search_attributes, variables
from flowmesh.engine.children import commands as cc
from flowmesh.engine.children import decisions as children
from flowmesh.engine.children import joins, messages
from flowmesh.engine.decisions import durable, starting
from flowmesh.engine.decisions.approvals import Approvals
from flowmesh.engine.decisions.ending import NULL, failure_of
from flowmesh.engine.events.apply import APPLY
from flowmesh.engine.state import pages
from flowmesh.engine.state import state as s
from flowmesh.engine.state.journal import tries
from flowmesh.engine.state.state import NodeState, State
from flowmesh.engine.state.transition import Ended, Full, Transition, Unfit

DELIVERIES_MAX = 5
"""An attempt whose worker was lost this often is poison: the node fails."""

NOT_BEGUN = "ScheduleToStartTimeout"
"""The class of an attempt that waited too long for a worker."""

RETRY_AFTER_MS_MAX = 24 * 3_600_000
"""A called service may ask for a longer pause; it is not believed."""


def decide(state: State, command: c.Command, now_us: int, into: Transition) -> bool:
    """Adds to `into` what follows from the command; False if nothing follows because it is stale.

    Raises Ended where the command needs a running execution and its caller is to be told, Unfit
    where it does not fit whether that is paused, Full where there is no room for it.
    """
    step = _Step(state, now_us, into)
    had_ended = into.ended
    followed = step.decided(command)
    if state.sequence >= s.HISTORY_EVENTS_MAX:
        step.history_full()
    if into.ended and not had_ended:
        if state.link is not None:
            messages.report_to_parent(state, into)
        if state.joined_by:
            joins.resend(state, into)
    return followed


class _Step(Approvals):
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
            case c.Begin():
                return starting.turn(self)
            case c.Debounce():
                return starting.debounced(self, command.start)
            case c.DeliveryLost():
                return self.delivery_lost(command)
            case c.Signal():
                self.signal(command)
            case c.Cancel():
                self.stop(command, s.EXECUTION_CANCELED)
            case c.Pause():
                self.pause(command)
            case c.Resume():
                self.resume(command)
            case c.Terminate():
                self.stop(command, s.EXECUTION_TERMINATED)
            case c.Steer():
                self.steer(command)
            case c.Decide():
                self.decide_approval(command)
            case c.Breakpoints():
                self.breakpoints(command)
            case c.Finish():
                self.finish(command)
            case c.Expand():
                return self.expand(command)
            case c.Collect():
                return self.collect(command)
            case search_attributes.SetAttributes():
                if not self.repeated(command.request_id):
                    search_attributes.set_attributes(self, command)
            case variables.SetVariable():
                if not self.repeated(command.request_id):
                    variables.set_variable(self, command)
            case erasure.Erase():
                erasure.erase(self, command)
            case cc.Rendered():
                return children.rendered(self, command)
            case cc.ChildBegan():
                return children.began(self, command)
            case cc.ChildDone():
                return children.done(self, command)
            case cc.Join():
                return joins.join(self, command)
            case c.Record() | c.Suspend():
                asking = self.current(command.node, command.attempt)
                return asking is not None and durable.taken(self, asking, command)
            case _:
                assert_never(command)
        return True

    def start(self, command: c.Start) -> None:
        self.workflow_started(command)
        for signal in command.signals:
            received = history.SignalReceived(name=signal.name, payload=signal.payload)
            self.emit("signal_received", received)
        if command.breakpoints is not None:
            self.breakpoints(command.breakpoints)
        for name, edited in command.edits.items():
            self.emit("node_steered", history.NodeSteered(node=name, input=edited))
        for reused in command.reused:
            self.emit("result_reused", reused)
        policy = self.plan.start
        if policy is None or not starting.holds(self, policy, command):
            self.begin_all()

    def workflow_started(self, command: c.Start) -> None:
        plan, body = self.plan, self.add("workflow_started")
        body.namespace = plan.namespace
        body.workflow_id = plan.workflow_id
        body.version = plan.version
        body.plan_digest = plan.digest
        body.input.CopyFrom(command.input)
        body.request_id = command.request_id
        body.actor = command.actor
        body.traceparent = command.traceparent
        if command.origin is not None:
            body.origin.CopyFrom(command.origin)
        if command.search:
            body.search.extend(command.search)
        if command.link is not None:
            body.link.CopyFrom(command.link)
        if command.permissions:
            body.permissions.extend(command.permissions)
        APPLY["workflow_started"](self.state, body, self.now)

    def begin_all(self) -> None:
        """Begins what depends on nothing, or on nothing but results that were there before."""
        scope = self.state.scope
        ended = deque(scope.nodes.values())
        for planned in self.plan.roots:
            if planned.index not in scope.nodes:
                self.begin(scope, planned, ended)
        self.advance(ended)

    def task_ended(self, command: c.TaskEnded) -> bool:
        node = self.current(command.node, command.attempt)
        if node is None:
            return False
        if not node.delivery and command.begun:
            self.started(node, command.worker_id, 1, command.started_at_us)
        if command.failure is not None:
            self.attempt_failed(node, command.failure, command.draw, spent=command.spent)
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
        limit = state.limit_at_us
        if limit and self.now >= limit:
            self.cancel_open_nodes()
            self.fail(
                "Timeout", f"the execution took longer than {self.plan.timeout_us // 1000} ms"
            )
            return
        if state.paused or state.stopping:
            return
        if state.hold is not None:
            starting.due(self, state.hold)
            return
        ended: deque[NodeState] = deque()
        while (first := state.next_timer()) is not None and first[0] <= self.now:
            node = state.reach(first[1])
            if node.expires_at_us and self.now >= node.expires_at_us:
                self.expire(node)
                ended.append(node)
            elif node.journal is not None and (
                node.id in state.at_workers or node.journal.suspended
            ):
                durable.due(self, node)
            elif node.id in state.at_workers:
                self.not_begun(node)
            elif node.planned.is_task:
                self.schedule(node.scope, node.planned)
            elif node.planned.body is not None:
                self.ask(node)
            elif node.planned.waits:
                children.due(self, node, ended)
            elif node.approval is not None:
                self.deadline_passed(node, ended)
            else:
                self.emit("timer_fired", history.TimerFired(node=node.id))
                self.complete(node, NULL)
                ended.append(node)
        if ended:
            self.advance(ended)

    def expire(self, node: NodeState) -> None:
        """Fails a task whose attempts have taken too long together."""
        if node.id in self.state.at_workers:
            self.out.cancel.append((node.id, node.attempt))
        limit = node.planned.total_timeout_us // 1000
        self.fail_node(node, failure_of("Timeout", f"all attempts took longer than {limit} ms"))

    def not_begun(self, node: NodeState) -> None:
        """Ends an attempt that no worker has begun in its time."""
        self.out.cancel.append((node.id, node.attempt))
        limit = node.planned.start_timeout_us // 1000
        failure = failure_of(NOT_BEGUN, f"no worker began it within {limit} ms")
        self.attempt_failed(node, failure, 0.0)

    def history_full(self) -> None:
        """Ends an execution whose history is too long; all nodes having ended, it ends anyway."""
        if self.state.ended or not self.state.scope.open_count:
            return
        self.cancel_open_nodes()
        message = f"the history has {s.HISTORY_EVENTS_MAX:,} events, the limit"
        failure = failure_of("ResourceLimit", message)
        outcome = s.EXECUTION_FAILED
        self.conclude(history.CompensationStarted(outcome=outcome, failure=failure))

    def signal(self, command: c.Signal) -> None:
        state = self.state
        if command.request_id in state.requests:
            return
        if state.ended:
            raise Ended(state.status)
        if len(state.signals) >= s.SIGNALS_MAX:
            raise Full("SIGNALS_FULL", f"{s.SIGNALS_MAX:,} signals")
        if state.signals_bytes + len(command.payload.data) > s.SIGNALS_BYTES_MAX:
            raise Full("SIGNALS_FULL", f"signals of {s.SIGNALS_BYTES_MAX >> 20} MiB")
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
        if not waiting:
            return
        node = next(iter(waiting.values()))
        if node.journal is not None:
            durable.signaled(self, node, command.name)
            return
        ended: deque[NodeState] = deque()
        self.take_signal(node, ended)
        self.advance(ended)

    def stop(self, command: c.Cancel | c.Terminate, outcome: s.ExecutionStatus) -> None:
        """Ends it; what is being undone already can only be terminated, and stays as it is."""
        if self.repeated(command.request_id):
            return
        undoing = self.state.compensating
        if undoing and outcome == s.EXECUTION_CANCELED:
            raise Unfit(self.state.status)
        self.cancel_open_nodes()
        if undoing:
            command.compensate = False
        self.close(outcome=outcome, command=command)

    def pause(self, command: c.Pause) -> None:
        if self.repeated(command.request_id):
            return
        if self.state.paused or self.state.compensating:
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
        self.release_all(ended)
        self.advance(ended)

    # --- the graph moves on ---

    def current(self, node_id: str, attempt: int) -> NodeState | None:
        """The node, if this is its current attempt and that one is at a worker."""
        node = self.state.at_workers.get(node_id)
        if node is None or node.attempt != attempt or self.state.ended:
            return None
        return node

    def attempt_failed(
        self, node: NodeState, failure: failure_pb2.Failure, draw: float, *, spent: bool = False
    ) -> None:
        retry, tried = node.planned.retry, tries(node)
        asked = min(failure.retry_after_ms, RETRY_AFTER_MS_MAX) * 1000
        delay = max(retry.delay_us(tried, draw), asked)
        elapsed = self.now + delay - node.begun_at_us
        allowed = (
            tried < retry.max_attempts
            and retry.allows(getattr(failure, "class"))
            and not (retry.max_elapsed_us and elapsed > retry.max_elapsed_us)
            and not self.state.stopping
            and not spent
        )
        if allowed:
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
            if node.map is None and self.turn_page(node, command.value):
                self.emit("map_started", history.MapStarted(node=node.id, count=len(command.items)))
            if node.map is None:
                ended.append(node)
            else:
                node.map.items = command.items
                self.state.set_due(node, 0)
                self.iterate(node, ended)
        self.advance(ended)
        return True

    def turn_page(self, node: NodeState, cursor: payload_pb2.Payload | None) -> bool:
        """Notes that another page follows the one whose items a map has; False fails the map."""
        pager = pages.pager_of(node)
        if cursor is None or pager is None or pager.map is None:
            return True
        known, most = pager.map.total, pager.planned.pages_max
        if known > node.scope.item + 1:
            return True
        if known == most:
            message = f"{pager.id} has more than {most:,} pages, as many as it may"
            self.fail_node(node, failure_of("ResourceLimit", message))
        elif len(cursor.data) > pages.CURSOR_BYTES_MAX:
            message = f"a cursor of {pager.id} has {len(cursor.data):,} bytes"
            message += f", at most {pages.CURSOR_BYTES_MAX:,} are allowed"
            self.fail_node(node, failure_of("ResourceLimit", message))
        else:
            self.emit("page_turned", history.PageTurned(node=pager.id, cursor=cursor))
            return True
        return False

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
