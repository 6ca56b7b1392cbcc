"""How far an execution is in its graph: nodes and paths with what has become of them. Pure."""

from typing import cast

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_service_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.gateway.answers import AnalysisAnswer, Answer, ExecutionWord, StepWord
from flowmesh.gateway.views import analysis_answer, execution_summary
from flowmesh.views import node_status

OPEN = ("pending", "running")


class PathProgress(Answer, kw_only=True):
    """One way from a root to a leaf; `at` is its first task that has not ended."""

    nodes: list[str]
    ended: int
    at: str | UnsetType = UNSET


class MapProgress(Answer, kw_only=True):
    """How far a map is, in items; `total` of them are known."""

    total: int
    running: int
    completed: int
    failed: int


class StateAnswer(Answer, kw_only=True):
    """An execution as its graph: the version it is pinned to, each task, each listed path.

    `nodes` has those of items in progress as `<map>[<item>]/<id>`, `maps` how far each map is.
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
    graph: AnalysisAnswer


def state_answer(
    execution: execution_pb2.Execution, analysed: definition_service_pb2.AnalyzeWorkflowResponse
) -> StateAnswer:
    summary = execution_summary(execution)
    nodes = {node.id: cast(StepWord, node_status(node.status)) for node in execution.nodes}
    return StateAnswer(
        execution_id=summary.execution_id,
        workflow=summary.workflow,
        version=analysed.version,
        plan_digest=execution.plan_digest,
        status=summary.status,
        last_sequence=execution.last_sequence,
        nodes=nodes,
        maps={node.id: _map(node.map) for node in execution.nodes if node.HasField("map")},
        paths=[_progress(list(path.nodes), nodes) for path in analysed.analysis.paths],
        graph=analysis_answer(analysed.workflow_id, analysed.version, analysed.analysis),
    )


def _map(progress: execution_pb2.MapProgress) -> MapProgress:
    return MapProgress(
        total=progress.total,
        running=progress.running,
        completed=progress.completed,
        failed=progress.failed,
    )


def _progress(path: list[str], nodes: dict[str, StepWord]) -> PathProgress:
    left = [name for name in path if nodes.get(name, "pending") in OPEN]
    return PathProgress(nodes=path, ended=len(path) - len(left), at=left[0] if left else UNSET)
