"""The rules that find causes. `NODE_RULES` apply in order; the first finding wins.

A new kind of waiting in the engine needs a rule here and a row in `causes`.
"""

import shlex
from collections.abc import Callable, Iterator

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import NodeState, Scope, map_counts, why_final
from flowmesh.engine.state.compensation import undo_node
from flowmesh.engine.state.journal import CALL, SIGNAL, SLEEP
from flowmesh.engine.state.state import FAILED, RUNNING
from flowmesh.insight.cases import Case, listed
from flowmesh.insight.causes import Cause, Finding, finding
from flowmesh.insight.parts import execution_word, moment, moment_or_unset, node_word, type_of
from flowmesh.plan import PlanNode
from flowmesh.standards.events import LISTENING

_DENIED = "PERMISSION_DENIED"
ROUNDS_MIN = 10
STATES_MIN = 100
"""A state machine with this many states run, and this many rounds on average, is looping."""


def dependencies(scope: Scope, planned: PlanNode, before: list[PlanNode]) -> Iterator[Finding]:
    names = [scope.prefix + each.id for each in before]
    cause = Cause.JOIN if planned.join == plan_pb2.JOIN_ANY else Cause.DEPENDENCY
    yield finding(cause, scope.prefix + planned.id, because_of=names, names=listed(names))


def limited(case: Case, node_id: str) -> Iterator[Finding]:
    running = case.state.running_count
    yield finding(
        Cause.PARALLELISM, node_id, because_of=list(case.state.at_workers), running=running
    )


def at_breakpoint(case: Case, node_id: str) -> Iterator[Finding]:
    execution = case.state.execution_id
    yield finding(Cause.BREAKPOINT, node_id, execution=execution, task=node_id)


def not_undone(case: Case, node: NodeState) -> Iterator[Finding]:
    undo = undo_node(node)
    if undo is not None and undo.status == FAILED and case.state.compensating:
        yield finding(
            Cause.UNDO_FAILED,
            undo.id,
            because_of=[node.id],
            error=_error_of(undo),
            execution=case.state.execution_id,
            task=undo.id,
        )


def not_permitted(node: NodeState) -> Iterator[Finding]:
    failure = node.failure
    if node.status == FAILED and failure is not None and getattr(failure, "class") == _DENIED:
        since = moment_or_unset(node.ended_at_us)
        yield finding(Cause.PERMISSION_DENIED, node.id, since=since, reason=failure.message)


def node_ended(case: Case, node: NodeState) -> Iterator[Finding]:
    """Report the outcome of a node with its failure."""
    failed = node.status == FAILED
    error = _error_of(node) if failed else ""
    final = f" (not retried: {why_final(node)})" if failed and node.planned.is_task else ""
    yield finding(
        Cause.NODE_ENDED,
        node.id,
        since=moment_or_unset(node.ended_at_us),
        status=node_word(node.status),
        again=_again(node),
        because=f" after attempt {node.attempt}: {error}{final}" if error else "",
        helps=f"`flowmesh logs {case.state.execution_id} --task {shlex.quote(node.id)}` shows its"
        " log lines"
        if failed
        else "no action is needed",
    )


def _again(node: NodeState) -> str:
    """Say that a task was sent more than once, or that its run may be discarded."""
    if node.delivery > 1:
        return f" in delivery {node.delivery}, as a run before was lost or discarded"
    runs = node.planned.repeatable and node.status == RUNNING
    return " (repeatable: it may run again)" if runs else ""


def _error_of(node: NodeState) -> str:
    return _text_of(node.failure)


def _text_of(failure: failure_pb2.Failure | None) -> str:
    return f"{getattr(failure, 'class')}: {failure.message}" if failure is not None else ""


# --- rules of an execution ---


def _ended(case: Case) -> Iterator[Finding]:
    state = case.state
    if not state.ended:
        return
    failure = state.failure
    where = failure.node if failure is not None else ""
    node = state.node(where) if where else None
    final = f"; not retried: {why_final(node)}" if node is not None and node.planned.is_task else ""
    yield finding(
        Cause.ENDED,
        since=moment_or_unset(state.ended_at_us),
        because_of=[where] if where else None,
        status=execution_word(state.status),
        because=f", {where or 'the execution'} failed with {_text_of(failure)}{final}"
        if failure
        else "",
        helps=f"fix the cause, then `flowmesh rerun {state.execution_id} --from-failed`"
        if failure
        else f"`flowmesh get execution {state.execution_id}` shows the result",
    )


def _unowned(case: Case) -> Iterator[Finding]:
    if case.live is None and not case.state.ended:
        yield finding(Cause.PARTITION_UNOWNED, partition=case.partition)


def _paused(case: Case) -> Iterator[Finding]:
    if not case.state.paused:
        return
    pause, since_us = case.pause, 0
    by = reason = ""
    if pause is not None:
        since_us = pause.at_us
        by = f" by {pause.workflow_paused.actor}" if pause.workflow_paused.actor else ""
        reason = f" ({pause.workflow_paused.reason})" if pause.workflow_paused.reason else ""
    yield finding(
        Cause.PAUSED,
        since=moment_or_unset(since_us),
        by=by,
        reason=reason,
        execution=case.state.execution_id,
    )


def _compensating(case: Case) -> Iterator[Finding]:
    if case.state.compensating:
        yield finding(
            Cause.COMPENSATING,
            because_of=[node.id for node in case.state.undo],
            left=len(case.state.undo),
        )


def _stopping(case: Case) -> Iterator[Finding]:
    failed = case.state.scope.failed
    if case.state.stopping and failed is not None and not case.state.ended:
        yield finding(Cause.STOPPING, because_of=[failed.id], task=failed.id)


def _held(case: Case) -> Iterator[Finding]:
    hold = case.state.hold
    if hold is None:
        return
    since = moment_or_unset(case.state.started_at_us)
    key = f" with the key {hold.key!r}" if hold.key else ""
    if hold.reason == execution_pb2.HOLD_REASON_TURN:
        holders, before = case.line
        names = listed(list(holders)) or "others"
        yield finding(
            Cause.START_TURN, since=since, because_of=list(holders), key=key, names=names,
            before=before,
        )  # fmt: skip
        return
    debounces = hold.reason == execution_pb2.HOLD_REASON_DEBOUNCE
    cause = Cause.START_DEBOUNCE if debounces else Cause.START_DELAY
    yield finding(cause, since=since, until=moment_or_unset(hold.until_us), key=key)


# --- rules of a node that has begun ---


def _at_worker(case: Case, node: NodeState) -> Iterator[Finding]:
    lease = case.live.lease(case.state, node) if case.live is not None else None
    if lease is None or node.id not in case.state.at_workers:
        return
    planned, until_us = node.planned, lease.until_us
    cause = Cause.RUNNING
    if not lease.there:
        cause = Cause.WORKER_AWAY
    elif not (planned.timeout_ms or planned.heartbeat_timeout_ms or case.state.plan.timeout_us):
        cause = Cause.RUNNING_WITHOUT_LIMIT
    yield finding(
        cause,
        node.id,
        since=moment_or_unset(lease.since_us),
        until=moment_or_unset(until_us),
        attempt=node.attempt,
        worker=lease.worker_id or "a worker",
        again=_again(node),
    )


def _queued(case: Case, node: NodeState) -> Iterator[Finding]:
    state = case.state
    if node.id not in state.at_workers or state.paused or case.live is None:
        return
    queue = case.live.queue(state.plan, node.planned)
    cause = Cause.DISPATCHING
    if not queue.workers:
        cause = Cause.NO_WORKER
    elif not queue.free:
        cause = Cause.WORKERS_BUSY
    yield finding(
        cause,
        node.id,
        since=moment_or_unset(node.scheduled_at_us),
        until=moment_or_unset(node.due_at_us),
        queue=node.planned.queue,
        type=type_of(node.planned),
        workers=queue.workers,
        waiting=queue.waiting,
    )


def _limit(case: Case, node: NodeState) -> Iterator[Finding]:
    held_by = case.live.held_by(case.state, node) if case.live is not None else ""
    if held_by and node.id in case.state.at_workers:
        yield finding(
            Cause.LIMIT, node.id, since=moment_or_unset(node.scheduled_at_us), limit=held_by
        )


def _child(_case: Case, node: NodeState) -> Iterator[Finding]:
    if node.child is not None and node.child.open:
        yield finding(
            Cause.CHILD,
            node.id,
            since=moment_or_unset(node.scheduled_at_us),
            child=node.child.execution_id or "an execution that is being started",
        )


def _handler(case: Case, node: NodeState) -> Iterator[Finding]:
    journal = node.journal
    if journal is None or not journal.open or node.id in case.state.at_workers:
        return
    asked = {SLEEP: "a sleep", SIGNAL: "the signal", CALL: "the task"}
    names = [
        f"{asked[each.kind]} {each.name}".rstrip()
        for each in journal.open.values()
        if each.kind in asked
    ]
    if names:
        until = moment_or_unset(journal.due_at_us)
        yield finding(Cause.HANDLER, node.id, until=until, names=listed(names))


def _retry(case: Case, node: NodeState) -> Iterator[Finding]:
    asks = node.planned.is_task or (node.child is not None and not node.child.open)
    if not node.due_at_us or not asks or node.id in case.state.at_workers:
        return
    yield finding(
        Cause.RETRY_BACKOFF,
        node.id,
        until=moment(node.due_at_us),
        attempt=node.attempt,
        attempts=node.planned.retry.max_attempts,
        error=_error_of(node),
    )


def _timer(_case: Case, node: NodeState) -> Iterator[Finding]:
    if node.planned.kind == plan_pb2.NODE_KIND_TIMER:
        since = moment_or_unset(node.started_at_us)
        yield finding(Cause.TIMER, node.id, since=since, until=moment(node.due_at_us))


def _signal(case: Case, node: NodeState) -> Iterator[Finding]:
    # An event listener never ends by itself; the node beside it waits for the events.
    if node.planned.signal not in ("", LISTENING):
        yield finding(
            Cause.SIGNAL,
            node.id,
            since=moment_or_unset(node.scheduled_at_us),
            signal=node.planned.signal,
            execution=case.state.execution_id,
        )


def _approval(case: Case, node: NodeState) -> Iterator[Finding]:
    asked = node.approval
    if asked is not None:
        decided = {one.by for one in asked.decisions}
        left = asked.needed - sum(one.approved for one in asked.decisions)
        names = [name for name in asked.assignees if name not in decided]
        yield finding(
            Cause.APPROVAL,
            node.id,
            since=moment_or_unset(node.scheduled_at_us),
            until=moment_or_unset(asked.due_at_us),
            left=left,
            names=listed(names) or "any person",
            by=shlex.quote(names[0]) if names else '"$USER"',
            execution=case.state.execution_id,
            task=node.id,
        )


def _on_hold(case: Case, node: NodeState) -> Iterator[Finding]:
    if node.id in case.state.on_hold:
        yield finding(
            Cause.ON_HOLD,
            node.id,
            error=_error_of(node),
            execution=case.state.execution_id,
            task=node.id,
        )


def _round(_case: Case, node: NodeState) -> Iterator[Finding]:
    if goes_round(node):
        machine, body = node.machine, node.planned.body
        assert machine is not None
        assert body is not None
        names = [each.id for each in body.nodes]
        yield finding(
            Cause.GOES_ROUND,
            node.id,
            since=moment_or_unset(node.started_at_us),
            because_of=names,
            begun=machine.begun,
            states=listed(names),
        )


def goes_round(node: NodeState) -> bool:
    machine, body = node.machine, node.planned.body
    if machine is None or body is None:
        return False
    return machine.begun >= max(STATES_MIN, ROUNDS_MIN * len(body.nodes))


def _map(case: Case, node: NodeState) -> Iterator[Finding]:
    of = node.map
    if of is None or node.is_group:
        return
    total, running, left = map_counts(of)
    if left and running >= node.planned.concurrency and not node.planned.pages_max:
        yield finding(Cause.MAP_CONCURRENCY, node.id, map=node.id, left=left, running=running)
    elif left and node.id in case.state.held and not case.state.paused:
        yield from limited(case, node.id)
    elif running:
        done = total - left - running
        yield finding(Cause.BODY_RUNS, node.id, running=running, total=total, done=done)


def _body(case: Case, node: NodeState) -> Iterator[Finding]:
    if node.planned.body is None:
        return
    if node.scopes:
        yield finding(Cause.BODY_RUNS, node.id, running=1, total=1, done=0)
    elif node.id in case.state.held and not case.state.paused:
        yield from limited(case, node.id)
    elif not case.state.paused:
        yield finding(Cause.INPUT_PREPARED, node.id, since=moment(node.scheduled_at_us))


EXECUTION_RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _ended,
    _unowned,
    _paused,
    _compensating,
    _stopping,
    _held,
)
NODE_RULES: tuple[Callable[[Case, NodeState], Iterator[Finding]], ...] = (
    _on_hold,
    _at_worker,
    _limit,
    _queued,
    _handler,
    _retry,
    _timer,
    _signal,
    _child,
    _approval,
    _round,
    _map,
    _body,
)
