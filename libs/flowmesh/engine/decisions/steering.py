"""What people do to a running execution: about single nodes, and where it stops."""

from __future__ import annotations

from collections import deque

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine.children import decisions as children
from flowmesh.engine.children import messages
from flowmesh.engine.decisions.ending import NULL, failure_of
from flowmesh.engine.decisions.progress import Progress
from flowmesh.engine.events.apply import hold_back
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, Scope, State
from flowmesh.engine.state.transition import Ended, NodeMissing, NodeUnfit, Unfit
from flowmesh.plan import PlanNode

_WORDS = {
    s.PENDING: "has not begun",
    s.RUNNING: "is running",
    s.COMPLETED: "has completed",
    s.FAILED: "has failed",
    s.SKIPPED: "was skipped",
    s.CANCELED: "was canceled",
}


class Steering(Progress):
    """Checks that what is asked fits, records it, and moves on."""

    __slots__ = ()

    def repeated(self, request_id: str) -> bool:
        """Whether the command was applied before; raises Ended where it cannot be any more."""
        if request_id and request_id in self.state.requests:
            return True
        if self.state.ended:
            raise Ended(self.state.status)
        return False

    def breakpoints(self, command: c.Breakpoints) -> None:
        """Sets where to stop; with none left, all that stopped goes on."""
        state = self.state
        if self.repeated(command.request_id):
            return
        stopped = list(state.stopped.values())
        self.emit(
            "breakpoints_set",
            history.BreakpointsSet(
                all=command.everywhere,
                nodes=sorted(command.nodes),
                actor=command.actor,
                request_id=command.request_id,
            ),
        )
        ended: deque[NodeState] = deque()
        if not state.stopped:
            for scope, planned in stopped:
                self.begin(scope, planned, ended)
        self.advance(ended)

    def steer(self, command: c.Steer) -> None:
        """Raises Ended, Unfit while it is paused, NodeMissing, and NodeUnfit."""
        if self.repeated(command.request_id):
            return
        if self.state.paused or self.state.hold is not None:
            raise Unfit(self.state.status)
        stopped = self.state.stopping
        if command.action == execution_pb2.NODE_ACTION_RETRY_FAILED:
            self._retry_failed(command)
        else:
            self._steer(command)
        if stopped and not self.state.stopping and self.state.status == s.EXECUTION_RUNNING:
            self._go_on_again()

    def _go_on_again(self) -> None:
        """It does not stop any more: begins what could have begun since then."""
        ended: deque[NodeState] = deque()
        hold_back(self.state, ready=True)
        self.release_all(ended)
        self.advance(ended)

    def _steer(self, command: c.Steer) -> None:
        scope, planned = self._found(command.node)
        node = scope.nodes.get(planned.index)
        ended: deque[NodeState] = deque()
        match command.action:
            case execution_pb2.NODE_ACTION_RETRY:
                self._retry(command, node, ended)
            case execution_pb2.NODE_ACTION_SKIP:
                self._skip(command, scope, planned, ended)
            case execution_pb2.NODE_ACTION_COMPLETE:
                self._complete(command, scope, planned, ended)
            case execution_pb2.NODE_ACTION_OVERRIDE:
                self._override(command, node)
            case execution_pb2.NODE_ACTION_CONTINUE:
                self._go_on(command, ended)
            case execution_pb2.NODE_ACTION_FAIL:
                self._fail(command, node, ended)
            case _:
                raise NodeUnfit("say what is to become of the node")
        self.advance(ended)

    def _found(self, node_id: str) -> tuple[Scope, PlanNode]:
        state = self.state
        cut = node_id.rfind("/") + 1
        scope = state.scopes.get(node_id[:cut]) if cut else state.scope
        planned = scope.graph.by_id.get(node_id[cut:]) if scope is not None else None
        if scope is None or planned is None:
            raise NodeMissing(node_id)
        begun = planned.index in scope.nodes
        alive = scope.owner is None or scope.owner.status == s.RUNNING
        if (planned.undoes is not None or not alive) and not begun:
            raise NodeMissing(node_id)
        if state.compensating and planned.undoes is None:
            raise NodeUnfit(f"{node_id} cannot be changed while what was done is being undone")
        return scope, planned

    def _record(
        self,
        command: c.Steer,
        reopened: list[NodeState] | None = None,
        output: payload_pb2.Payload | None = None,
    ) -> None:
        steered = history.NodeSteered(
            node=command.node,
            action=command.action,
            reason=command.reason,
            actor=command.actor,
            request_id=command.request_id,
            input=command.input,
            output=output,
            reopened=[node.id for node in reopened or ()],
        )
        self.emit("node_steered", steered)

    def _retry_failed(self, command: c.Steer) -> None:
        """As though somebody retried each node in turn; raises NodeUnfit if that fits none."""
        retried = False
        for node_id in _failed(self.state):
            ended: deque[NodeState] = deque()
            one = c.Steer(
                node_id,
                execution_pb2.NODE_ACTION_RETRY,
                reason=command.reason,
                request_id="" if retried else command.request_id,
                actor=command.actor,
            )
            try:
                scope, planned = self._found(node_id)
                self._retry(one, scope.nodes.get(planned.index), ended)
            except (NodeMissing, NodeUnfit):
                continue
            retried = True
            self.advance(ended)
        if not retried:
            raise NodeUnfit("no node of it has failed that could be tried again")

    def _retry(self, command: c.Steer, node: NodeState | None, ended: deque[NodeState]) -> None:
        state = self.state
        if node is None or (node.status != s.FAILED and node.id not in state.on_hold):
            raise NodeUnfit(f"{self._is(command.node, node)}; only one that failed is tried again")
        planned = node.planned
        below = f"{node.id}["
        if planned.body is not None and any(each.id.startswith(below) for each in state.undo):
            raise NodeUnfit(f"{node.id} holds work that would have to be undone first; rerun it")
        self._record(command, self._behind(node) if node.status == s.FAILED else [])
        if planned.body is not None:
            self.begin_body(self.scheduled(node.scope, planned), ended)
        elif planned.is_task:
            self.schedule(node.scope, planned)
        elif planned.waits:
            children.begin(self, self.scheduled(node.scope, planned), ended)
        else:
            self.begin(node.scope, planned, ended)

    def _skip(
        self, command: c.Steer, scope: Scope, planned: PlanNode, ended: deque[NodeState]
    ) -> None:
        self._decided(command, scope, planned)
        by_hand = history.SKIP_REASON_BY_HAND
        self.emit("task_skipped", history.TaskSkipped(node=command.node, reason=by_hand))
        ended.append(scope.nodes[planned.index])

    def _complete(
        self, command: c.Steer, scope: Scope, planned: PlanNode, ended: deque[NodeState]
    ) -> None:
        self._decided(command, scope, planned)
        self.complete(scope.node(planned), command.output or NULL)
        ended.append(scope.nodes[planned.index])

    def _override(self, command: c.Steer, node: NodeState | None) -> None:
        if node is None or node.status != s.COMPLETED:
            raise NodeUnfit(f"{self._is(command.node, node)}; only a completed one has an output")
        begun = next((each for each in _all_behind(node) if each.status != s.SKIPPED), None)
        if begun is not None:
            message = f"{begun.id} {_WORDS[begun.status]} with the output of {node.id}; rerun"
            raise NodeUnfit(f"{message} from {node.id} on instead")
        self._record(command, output=command.output or NULL)

    def _go_on(self, command: c.Steer, ended: deque[NodeState]) -> None:
        place = self.state.stopped.get(command.node)
        if place is None:
            raise NodeUnfit(f"{command.node} has not stopped at a breakpoint")
        self._record(command)
        self.begin(*place, ended)

    def _fail(self, command: c.Steer, node: NodeState | None, ended: deque[NodeState]) -> None:
        if node is None or node.id not in self.state.on_hold:
            raise NodeUnfit(f"{self._is(command.node, node)}; only one that is held can be failed")
        failure = node.failure or failure_of("Cancelled", command.reason)
        self._record(command)
        self.fail_node(node, failure)
        ended.append(node)

    def _decided(self, command: c.Steer, scope: Scope, planned: PlanNode) -> None:
        """Records how a node ends, of which nobody waits for another result."""
        node = self._changeable(command.node, scope, planned)
        self._record(command, self._behind(node) if node and node.status == s.FAILED else [])
        if node is not None:
            self._take_away(node)

    def _changeable(self, node_id: str, scope: Scope, planned: PlanNode) -> NodeState | None:
        """A node that has not completed; None where it has not begun."""
        node: NodeState | None = scope.nodes.get(planned.index)
        if node is not None and node.status not in (s.PENDING, s.RUNNING, s.FAILED):
            raise NodeUnfit(f"{self._is(node_id, node)}; that is not changed any more")
        if not scope.waiting and node is None:
            raise NodeUnfit(f"{self._is(node_id, node)}; it may never be its turn")
        return node

    def _take_away(self, node: NodeState) -> None:
        """Has whoever runs it stop."""
        if node.status != s.RUNNING:
            return
        self.cancel_below(node)
        if node.id in self.state.at_workers:
            self.out.cancel.append((node.id, node.attempt))
        elif node.planned.waits:
            messages.stop(self, node, f"somebody decided how {node.id} ends")

    def _behind(self, node: NodeState) -> list[NodeState]:
        """Those skipped because of it; raises NodeUnfit if another node behind it has begun."""
        behind = _all_behind(node)
        begun = next((each for each in behind if each.status != s.SKIPPED or each.by_hand), None)
        if begun is not None:
            raise NodeUnfit(f"{begun.id}, which is behind {node.id}, {_WORDS[begun.status]}")
        return behind

    def _is(self, node_id: str, node: NodeState | None) -> str:
        return f"{node_id} {_WORDS[node.status if node is not None else s.PENDING]}"


def _failed(state: State) -> list[str]:
    """The nodes that have failed or are held, where their graph still runs."""
    found: list[str] = []
    ahead = [state.scope]
    while ahead:
        for node in ahead.pop().nodes.values():
            if node.status == s.FAILED or node.id in state.on_hold:
                found.append(node.id)
            ahead.extend(node.scopes.values())
    return found


def _all_behind(node: NodeState) -> list[NodeState]:
    """What has begun or ended of the nodes that depend on it, at once or through others."""
    scope, found = node.scope, []
    seen: set[int] = set()
    ahead = list(node.planned.successors)
    while ahead:
        planned = ahead.pop()
        if planned.index in seen:
            continue
        seen.add(planned.index)
        ahead.extend(planned.successors)
        behind = scope.nodes.get(planned.index)
        if behind is not None:
            found.append(behind)
    return found
