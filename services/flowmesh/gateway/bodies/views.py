"""Conversion of service messages to canonical responses.

The step-JSON shapes and events, which callbacks use too, are in `flowmesh.views`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import definition_pb2, definition_service_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.registry.v1 import registry_service_pb2
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.requests import JSON
from flowmesh.records import reader
from flowmesh.views import (
    instant,
    raw_json,
    raw_value,
)

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])


def read_members(payload: payload_pb2.Payload) -> Any:
    """Return the raw JSON of a payload; an object becomes a dict of raw members."""
    if not payload.data.lstrip().startswith(b"{") or (payload.encoding or JSON) != JSON:
        return raw_value(payload)
    value = raw_json(payload.data)
    return _MEMBERS.decode(payload.data) if isinstance(value, Raw) else value


def run_answer(execution: execution_pb2.Execution) -> answers.RunAnswer:
    """Return the response of an ended synchronous execution."""
    summary = execution_summary(execution)
    return answers.RunAnswer(
        execution_id=summary.execution_id,
        status=summary.status,
        outputs={
            node.id: raw_value(node.output)
            for node in execution.nodes
            if node.status == execution_pb2.NODE_STATUS_COMPLETED
        },
        output=raw_value(execution.output) if execution.HasField("output") else UNSET,
        tasks={node.id: _run_task(node) for node in execution.nodes},
        duration_ms=summary.duration_ms or 0,
        error=summary.error or _stop(summary.status),
    )


def execution_answer(
    execution: execution_pb2.Execution, urls: Mapping[str, str] = MappingProxyType({})
) -> answers.ExecutionAnswer:
    """Return an execution; `urls` are the webhook URLs of waiting nodes."""
    tasks = {node.id: _task_state(node, url=urls.get(node.id) or UNSET) for node in execution.nodes}
    return _execution(execution, tasks=tasks)


failure_value = reader(answers.FailureValue, failure_pb2.Failure)
problem = reader(answers.ProblemValue, definition_pb2.Problem)
approval_value = reader(answers.ApprovalValue, execution_pb2.Approval)
service_value = reader(answers.ServiceValue, registry_service_pb2.Instance)
execution_summary = reader(answers.ExecutionSummary, execution_pb2.Execution)
_execution = reader(answers.ExecutionAnswer, execution_pb2.Execution, given=("tasks",))
_run_task = reader(answers.RunTask, execution_pb2.Node)
_task_state = reader(answers.TaskState, execution_pb2.Node, given=("url",))
_applied = reader(answers.AppliedResource, definition_service_pb2.AppliedResource)
_workflow = reader(answers.WorkflowAnswer, definition_pb2.Workflow, given=("definition",))


def problems(messages: Any) -> list[answers.ProblemValue] | UnsetType:
    return [problem(message) for message in messages] or UNSET


def applied_resources(messages: Any) -> list[answers.AppliedResource]:
    return [_applied(each) for each in messages]


def references(messages: Any, namespace: str) -> list[answers.WorkflowReference]:
    """Return versions in use; those of other namespaces include the namespace."""
    own = namespace or "default"
    return [
        answers.WorkflowReference(
            name=each.name,
            version=each.version,
            namespace=each.namespace if each.namespace not in ("", own) else UNSET,
            task_version=each.task_version or UNSET,
            labels=list(each.version_labels) or UNSET,
        )
        for each in messages
    ]


def workflow_answer(
    workflow: definition_pb2.Workflow, *, whole: bool = True
) -> answers.WorkflowAnswer:
    """Return a version of a workflow, in lists without the definition."""
    return _workflow(workflow, definition=raw_json(workflow.definition) if whole else UNSET)


def _stop(status: answers.ExecutionWord) -> answers.FailureValue | UnsetType:
    # A canceled run has no failure, but the response requires one.
    if status != "canceled":
        return UNSET
    return answers.FailureValue(class_="Cancelled", message="The execution was canceled.")


def instant_or_unset(at_us: int) -> str | UnsetType:
    return instant(at_us) if at_us else UNSET


def timestamp(stamp: Any) -> str:
    return instant(stamp.seconds * 1_000_000 + stamp.nanos // 1_000)
