"""Progress of an execution in its graph: the states of nodes and paths. Pure."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, cast

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_pb2, definition_service_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.contract.json_value import Json
from flowmesh.gateway.bodies.answers import Answer, ExecutionWord, StepWord
from flowmesh.gateway.bodies.graphs import AnalysisAnswer, analysis_answer
from flowmesh.gateway.bodies.views import execution_summary
from flowmesh.views import json_value, node_status

OPEN = ("pending", "running")
OUT = ("skipped", "canceled")
_PLAIN = definition_pb2.GraphEdge()


class PathProgress(Answer, kw_only=True):
    """A path from a root to a leaf; `at` is its first task that has not ended.

    It is `taken` if all of it ran, `notTaken` if an edge of it cannot be taken, else `open`.
    """

    nodes: list[str]
    status: Literal["taken", "notTaken", "open"]
    ended: int
    at: str | UnsetType = UNSET


class MapProgress(Answer, kw_only=True):
    """Progress of a map in items; `total` are known."""

    total: int
    running: int
    completed: int
    failed: int


class StateAnswer(Answer, kw_only=True):
    """The progress of an execution: its pinned version, each task, each listed path.

    `nodes` includes nodes of items in progress as `<map>[<item>]/<id>`, `maps` the progress of each
    map, `activePaths` the indexes in `paths` of paths that were or still may be taken.
    """

    execution_id: str
    workflow: str
    version: int
    plan_digest: str
    status: ExecutionWord
    last_sequence: int
    nodes: dict[str, StepWord]
    maps: dict[str, MapProgress]
    paths: list[PathProgress]
    active_paths: list[int]
    graph: AnalysisAnswer


def state_answer(
    execution: execution_pb2.Execution, analysed: definition_service_pb2.AnalyzeWorkflowResponse
) -> StateAnswer:
    summary = execution_summary(execution)
    nodes = {node.id: cast(StepWord, node_status(node.status)) for node in execution.nodes}
    paths = _paths(execution, analysed.analysis, nodes)
    return StateAnswer(
        execution_id=summary.execution_id,
        workflow=summary.workflow,
        version=analysed.version,
        plan_digest=execution.plan_digest,
        status=summary.status,
        last_sequence=execution.last_sequence,
        nodes=nodes,
        maps={node.id: _map(node.map) for node in execution.nodes if node.HasField("map")},
        paths=paths,
        active_paths=[place for place, path in enumerate(paths) if path.status != "notTaken"],
        graph=analysis_answer(analysed.workflow_id, analysed.version, analysed.analysis),
    )


def _map(progress: execution_pb2.MapProgress) -> MapProgress:
    return MapProgress(
        total=progress.total,
        running=progress.running,
        completed=progress.completed,
        failed=progress.failed,
    )


def _paths(
    execution: execution_pb2.Execution,
    analysis: definition_pb2.Analysis,
    nodes: dict[str, StepWord],
) -> list[PathProgress]:
    rules: dict[tuple[str, str], list[definition_pb2.GraphEdge]] = {}
    for node in analysis.nodes:
        for edge in node.edges:
            rules.setdefault((node.id, edge.target), []).append(edge)
    deciders = {edge.decided_by for edges in rules.values() for edge in edges}
    outputs = {node.id: json_value(node.output) for node in execution.nodes if node.id in deciders}

    def taken(source: str, target: str) -> bool:
        """Return whether an edge was or may still be taken."""
        return any(
            _is_taken(nodes.get(source, "pending"), edge, outputs.get(edge.decided_by))
            for edge in rules.get((source, target), (_PLAIN,))
        )

    return [_progress(list(path.nodes), nodes, taken) for path in analysis.paths]


def _is_taken(source: StepWord, edge: definition_pb2.GraphEdge, answer: Json) -> bool:
    if source in OPEN:
        return True
    if edge.on_failure or source != "success":
        return edge.on_failure and source == "failed"
    # The decision may be pending.
    named = answer if isinstance(answer, list) else [answer]
    return not edge.label or answer is None or edge.label in named


def _progress(
    path: list[str], nodes: dict[str, StepWord], taken: Callable[[str, str], bool]
) -> PathProgress:
    left = [name for name in path if nodes.get(name, "pending") in OPEN]
    status: Literal["taken", "notTaken", "open"] = "open" if left else "taken"
    out = any(nodes.get(name) in OUT for name in path)
    if out or not all(taken(source, target) for source, target in pairwise(path)):
        status = "notTaken"
    at = left[0] if left else UNSET
    return PathProgress(nodes=path, status=status, ended=len(path) - len(left), at=at)
