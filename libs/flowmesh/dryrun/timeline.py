"""The timeline of each node in a dry run, from its events, for the report."""

import orjson

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract.json_value import Json
from flowmesh.dryrun.attempts import Answer
from flowmesh.dryrun.mocks import Mocks
from flowmesh.dryrun.names import is_made
from flowmesh.dryrun.report import Call, Failure, Node, PlanStep, Report
from flowmesh.engine import State
from flowmesh.plan import Graph, Plan
from flowmesh.tasktypes.builtin.conditions import CONDITION, DECISION
from flowmesh.views import EXECUTION_STATUS_WORDS


class NodeTimeline:
    """Nodes in the order of their first events."""

    def __init__(self, plan: Plan, start_us: int) -> None:
        self._plan = plan
        self._start_us = start_us
        self._nodes: dict[str, Node] = {}
        self._path: list[str] = []
        self._calls: list[Call] = []

    def attempt_started(self, node_id: str, answer: Answer) -> None:
        """Record the input, the source of the output and the calls of an attempt."""
        node = self._nodes[node_id]
        node.input = answer.input
        node.output_from = answer.source
        self._calls += answer.calls

    def add(self, event: history.HistoryEvent) -> None:
        kind = event.WhichOneof("event") or ""
        body = getattr(event, kind)
        name = getattr(body, "node", "")
        if not name or kind.startswith("workflow_"):
            return
        at_ms = (event.at_us - self._start_us) / 1000
        node = self._node(name)
        match kind:
            case "task_scheduled" | "timer_started":
                self._began(node, at_ms)
                node.attempts = getattr(body, "attempt", 0) or 1
            case "task_completed":
                node.status, node.ended_ms = "completed", at_ms
                node.output = _value(body.output.data)
            case "task_failed":
                node.status, node.ended_ms = "failed", at_ms
                node.error = failure_of(body.failure)
            case "task_skipped":
                node.status, node.because_of = "skipped", body.because_of
            case "task_canceled":
                node.status, node.ended_ms = "canceled", at_ms

    def _node(self, name: str) -> Node:
        node = self._nodes.get(name)
        if node is None:
            kind = _KINDS.get(self._plan.at(name).kind, "node")
            node = self._nodes[name] = Node(id=name, kind=kind, status="pending", attempts=0)
        return node

    def _began(self, node: Node, at_ms: float) -> None:
        if node.status == "pending":
            node.status, node.started_ms = "running", at_ms
            self._path.append(node.id)

    def report(self, state: State, mocks: Mocks) -> Report:
        ended_us = state.ended_at_us or state.started_at_us
        seen = [node for node in self._nodes.values() if not is_made(node.id)]
        report = Report(
            workflow=self._plan.workflow_id,
            version=self._plan.version,
            status=EXECUTION_STATUS_WORDS[state.status],
            output=_value(state.output.data) if state.output is not None else None,
            duration_ms=(ended_us - self._start_us) / 1000,
            path=[name for name in self._path if not is_made(name)],
            skipped=[node.id for node in seen if node.status == "skipped"],
            nodes=list(self._nodes.values()),
            calls=self._calls,
            plan=planned(self._plan),
            waiting_for=[node.id for node in seen if node.status == "running"],
            unused_mocks=mocks.unused,
        )
        if state.failure is not None:
            report.error = failure_of(state.failure)
        return report


_KINDS = {
    value: name.removeprefix("NODE_KIND_").lower()
    for name, value in plan_pb2.NodeKind.items()
    if value
}


def failure_of(failure: failure_pb2.Failure) -> Failure:
    found = Failure(class_=getattr(failure, "class"), message=failure.message)
    if failure.node:
        found.task_id = failure.node
    if failure.state:
        found.state = failure.state
    return found


def _value(data: bytes) -> Json:
    return orjson.loads(data) if data else None


def planned(graph: Graph) -> list[PlanStep]:
    """Return the planned nodes of a graph."""
    steps = []
    for node in graph.nodes:
        step = PlanStep(
            id=node.id,
            kind=_KINDS.get(node.kind, "node"),
            depends_on=[graph.nodes[index].id for index in node.dependencies],
        )
        if node.spec is not None:
            step.type = node.spec.task_type
            step.timeout_ms = node.timeout_ms
            step.max_attempts = node.retry.max_attempts
            step.queue = node.queue
            if node.spec.task_name:
                step.task = node.spec.task_name
            if branches := _branches(node.spec):
                step.branches = branches
        if not node.critical:
            step.critical = False
        if node.body is not None:
            step.body = planned(node.body)
        steps.append(step)
    return steps


def _branches(spec: plan_pb2.TaskSpec) -> list[str]:
    """Return the outcomes of a condition or decision."""
    if spec.task_type == CONDITION.name:
        return ["true", "false"]
    if spec.task_type != DECISION.name:
        return []
    config = orjson.loads(spec.config)
    named = [str(each["id"]) for each in config["conditions"]]
    return list(dict.fromkeys([*named, *(config["default"] or [NONE])]))


def branches_of(output: Json) -> list[str]:
    """Return the outcomes that the output of a condition or decision names."""
    if isinstance(output, bool):
        return [str(output).lower()]
    return [str(each) for each in output] or [NONE] if isinstance(output, list) else []


NONE = "none"
"""The outcome of a decision without a true condition."""
