"""The outputs of an execution in the four views of definitions. Pure."""

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.gateway.bodies.answers import Answer, FailureValue, Instant, Json
from flowmesh.gateway.bodies.views import failure_value, instant_or_unset, read_members
from flowmesh.views import raw_value

View = Literal["tasks", "steps", "context", "nodes"]
VIEWS: tuple[View, ...] = ("tasks", "steps", "context", "nodes")

NodeWord = Literal["pending", "running", "completed", "failed", "skipped", "canceled"]
_WORDS: dict[int, NodeWord] = {
    execution_pb2.NODE_STATUS_RUNNING: "running",
    execution_pb2.NODE_STATUS_COMPLETED: "completed",
    execution_pb2.NODE_STATUS_FAILED: "failed",
    execution_pb2.NODE_STATUS_SKIPPED: "skipped",
    execution_pb2.NODE_STATUS_CANCELED: "canceled",
}


class TaskOutput(Answer, kw_only=True):
    """The value of `tasks.<id>` in a template."""

    output: Json


class NodeOutcome(Answer, kw_only=True):
    """The result of a node of graph JSON; `retryCount` is the number of attempts less one."""

    status: NodeWord
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    output: Json | UnsetType = UNSET
    error: FailureValue | UnsetType = UNSET
    retry_count: int


class Results(Answer, kw_only=True):
    """The outputs of the completed tasks in one of the views.

    `tasks`: `tasks.<id>.output`. `steps`: `.steps.<id>`. `context`: the input's members and each
    output under its id. `nodes`: the input as `variables`, and `nodeResults` of started nodes.
    """

    execution_id: str
    tasks: dict[str, TaskOutput] | UnsetType = UNSET
    steps: dict[str, Json] | UnsetType = UNSET
    context: dict[str, Json] | UnsetType = UNSET
    variables: Json | UnsetType = UNSET
    node_results: dict[str, NodeOutcome] | UnsetType = UNSET


def results(execution: execution_pb2.Execution, view: View) -> Results:
    answer = Results(execution_id=execution.execution_id)
    outputs = {
        node.id: raw_value(node.output)
        for node in execution.nodes
        if node.status == execution_pb2.NODE_STATUS_COMPLETED
    }
    match view:
        case "tasks":
            answer.tasks = {name: TaskOutput(output=each) for name, each in outputs.items()}
        case "steps":
            answer.steps = outputs
        case "context":
            given = read_members(execution.input)
            answer.context = {**(given if isinstance(given, dict) else {}), **outputs}
        case "nodes":
            answer.variables = raw_value(execution.input)
            answer.node_results = {
                node.id: _node_result(node, outputs) for node in execution.nodes if node.attempts
            }
    return answer


def _node_result(node: execution_pb2.Node, outputs: dict[str, Any]) -> NodeOutcome:
    return NodeOutcome(
        status=_WORDS.get(node.status, "pending"),
        start_time=instant_or_unset(node.started_at_us),
        end_time=instant_or_unset(node.ended_at_us),
        output=outputs.get(node.id, UNSET),
        error=failure_value(node.failure) if node.HasField("failure") else UNSET,
        retry_count=max(0, node.attempts - 1),
    )
