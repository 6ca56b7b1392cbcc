"""Comparison of two executions: versions, paths, and the outcome of each node.

The first divergence is the first node, in the order of the first execution, whose outcome differs
although all its dependencies agree. It is the place to look for the reason.
"""

import contextlib
from collections.abc import Iterable
from itertools import islice

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.insight.differences import Difference, differences
from flowmesh.insight.inputs import Inputs, Stored, replayed
from flowmesh.insight.parts import (
    error_part,
    execution_word,
    moment_or_unset,
    ms_between,
    node_word,
)
from flowmesh.insight.reports import (
    Comparison,
    Divergence,
    NodeComparison,
    NodeSide,
    Side,
    What,
)
from flowmesh.insight.times import History, NodeTimes, read
from flowmesh.insight.waits import prefix_of
from flowmesh.plan import PayloadNeeded, Plan, RenderError, decode
from flowmesh.views import json_value

NODES_COMPARED_MAX = 10_000
DIFFERENCES_MAX = 20
"""Differences shown per value."""


class Compared:
    """One side of a comparison."""

    def __init__(
        self,
        execution_id: str,
        plan: Plan,
        events: Iterable[pb.HistoryEvent],
        stored: Stored,
        now_us: int,
    ) -> None:
        events = list(events)
        self.execution_id, self.plan, self.stored = execution_id, plan, stored
        self.history = read(events)
        self.now_us = self.history.ended_us or now_us
        inputs = Inputs(stored)
        state = replayed(execution_id, plan, events, stored, inputs.note)
        self.inputs = inputs.by_node
        self.variables = payload_pb2.Payload(data=msgspec.json.encode(state.variables[-1]))

    def side(self) -> Side:
        history, plan = self.history, self.plan
        return Side(
            execution_id=self.execution_id,
            workflow=plan.workflow_id,
            version=plan.version,
            plan_digest=plan.digest,
            status=execution_word(history.status),
            started_at=moment_or_unset(history.started_us),
            duration_ms=ms_between(history.started_us, self.now_us),
            attempts=sum(len(node.attempts) for node in history.nodes.values()),
            error=error_part(history.failure),
        )

    def node(self, node_id: str) -> NodeSide | UnsetType:
        node = self.history.nodes.get(node_id)
        if node is None:
            return UNSET
        ended = node.ready_us and node.ended_us
        return NodeSide(
            status=node_word(node.status),
            attempts=len(node.attempts),
            duration_ms=ms_between(node.ready_us, node.ended_us) if ended else UNSET,
            error=error_part(node.failure),
        )

    def path(self) -> list[str]:
        """Return the tasks of the plan's graph that ran, in the order of their ends."""
        ran = [
            node
            for node in self.history.nodes.values()
            if node.ended_us and node.attempts and not prefix_of(node.id)
        ]
        return [node.id for node in sorted(ran, key=lambda node: node.ended_us)]

    def value(self, payload: payload_pb2.Payload) -> object:
        """Return the value of a payload, inline or fetched."""
        if payload.HasField("reference"):
            with contextlib.suppress(PayloadNeeded, RenderError):
                return decode(payload, self.stored)
        return json_value(payload)


def compare(left: Compared, right: Compared) -> Comparison:
    """Compare two executions; stored payloads that are not fetched compare by digest."""
    ids = dict.fromkeys([*left.history.nodes, *right.history.nodes])
    nodes = [_node(left, right, node_id) for node_id in islice(ids, NODES_COMPARED_MAX)]
    input_ = _payloads(left, right, left.history.input, right.history.input)
    output = _payloads(left, right, left.history.output, right.history.output)
    variables = _payloads(left, right, left.variables, right.variables)
    divergence = _first_divergence(left, right, input_, nodes)
    same_end = left.history.status == right.history.status and not output and not variables
    return Comparison(
        left=left.side(),
        right=right.side(),
        same=divergence is UNSET and same_end,
        first_divergence=divergence,
        left_path=left.path(),
        right_path=right.path(),
        input=input_,
        output=output,
        variables=variables,
        nodes=nodes,
        truncated=len(ids) > NODES_COMPARED_MAX,
    )


def _node(left: Compared, right: Compared, node_id: str) -> NodeComparison:
    one, other = left.node(node_id), right.node(node_id)
    found = NodeComparison(id=node_id, left=one, right=other, differs=[])
    if isinstance(one, UnsetType) or isinstance(other, UnsetType):
        found.differs.append("presence")
        return found
    a, b = left.history.node(node_id), right.history.node(node_id)
    if _fate(a) != _fate(b):
        found.differs.append("status")
    inputs = _payloads(left, right, left.inputs.get(node_id), right.inputs.get(node_id))
    if inputs and node_id in left.inputs and node_id in right.inputs:
        found.differs.append("nodeInput")
        found.input = inputs
    if outputs := _payloads(left, right, a.output, b.output):
        found.differs.append("output")
        found.output = outputs
    if len(a.attempts) != len(b.attempts):
        found.differs.append("attempts")
    return found


def _fate(node: NodeTimes) -> tuple[object, ...]:
    failure = node.failure
    return node.status, getattr(failure, "class") if failure is not None else ""


def _payloads(
    left: Compared,
    right: Compared,
    one: payload_pb2.Payload | None,
    other: payload_pb2.Payload | None,
) -> list[Difference]:
    if one == other or (one is not None and other is not None and one.data == other.data != b""):
        return []
    before = left.value(one) if one is not None else UNSET
    after = right.value(other) if other is not None else UNSET
    return list(islice(differences(before, after), DIFFERENCES_MAX))


def _first_divergence(
    left: Compared, right: Compared, input_: list[Difference], nodes: list[NodeComparison]
) -> Divergence | UnsetType:
    a, b = left.plan, right.plan
    if a.message.version_digest != b.message.version_digest or a.digest != b.digest:
        text = f"they run {_named(a)} and {_named(b)}"
        return Divergence(what="version", text=text)
    if input_:
        place = f"input.{input_[0].path}" if input_[0].path else "input"
        return Divergence(what="input", text=f"their inputs differ, first in {place}")
    apart = {node.id: node for node in nodes if node.differs}
    for node in nodes:
        if node.differs and not any(each in apart for each in _before(left, right, node.id)):
            what = node.differs[0]
            return Divergence(what=what, task_id=node.id, text=_parted(node, what))
    return UNSET


def _named(plan: Plan) -> str:
    return f"{plan.workflow_id} version {plan.version} (plan {plan.digest[:8]})"


def _before(left: Compared, right: Compared, node_id: str) -> list[str]:
    """Return the dependencies of a node in the execution that has it."""
    side: History = left.history if node_id in left.history.nodes else right.history
    plan = left.plan if side is left.history else right.plan
    prefix = prefix_of(node_id)
    graph = plan if not prefix else plan.at(prefix[: prefix.rfind("[")]).body
    if graph is None:
        return []
    return [prefix + graph.nodes[i].id for i in plan.at(node_id).dependencies]


def _parted(node: NodeComparison, what: What) -> str:
    if isinstance(node.left, UnsetType) or isinstance(node.right, UnsetType):
        side = "right" if isinstance(node.left, UnsetType) else "left"
        return f"only the {side} one reached {node.id}"
    texts: dict[str, str] = {
        "status": f"{node.id} is {node.left.status} left and {node.right.status} right",
        "nodeInput": f"{node.id} got another input",
        "output": f"{node.id} has another output",
        "attempts": f"{node.id} took {node.left.attempts} attempts and {node.right.attempts}",
    }
    return texts[what]
