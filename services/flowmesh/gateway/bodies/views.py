"""Conversion of service messages to canonical responses.

The step-JSON shapes and events, which callbacks use too, are in `flowmesh.views`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.registry.v1 import registry_service_pb2
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.requests import JSON
from flowmesh.views import (
    compensation_word,
    execution_status,
    hold_view,
    instant,
    node_status,
    raw_json,
    raw_value,
    search_view,
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
    return answers.RunAnswer(
        execution_id=execution.execution_id,
        status=_status(execution),
        outputs={
            node.id: raw_value(node.output)
            for node in execution.nodes
            if node.status == execution_pb2.NODE_STATUS_COMPLETED
        },
        output=raw_value(execution.output) if execution.HasField("output") else UNSET,
        tasks={node.id: _run_task(node) for node in execution.nodes},
        duration_ms=_between_ms(execution.started_at_us, execution.ended_at_us) or 0,
        error=_failure(execution) or _stop(execution),
    )


def execution_summary(execution: execution_pb2.Execution) -> answers.ExecutionSummary:
    return answers.ExecutionSummary(**_summary(execution))


def execution_answer(
    execution: execution_pb2.Execution, urls: Mapping[str, str] = MappingProxyType({})
) -> answers.ExecutionAnswer:
    """Return an execution; `urls` are the webhook URLs of waiting nodes."""
    return answers.ExecutionAnswer(
        **_summary(execution),
        **_links(execution),
        input=raw_value(execution.input),
        output=raw_value(execution.output) if execution.HasField("output") else UNSET,
        tasks={node.id: _task_state(node, urls.get(node.id)) for node in execution.nodes},
        signals=[
            answers.SignalValue(
                name=signal.name,
                payload=raw_value(signal.payload),
                received_at=instant(signal.received_at_us),
            )
            for signal in execution.signals
        ],
        search={value.name: search_view(value) for value in execution.search},
        erased=_erasure(execution),
        variables={name: raw_value(each) for name, each in execution.variables.items()} or UNSET,
        compensation=cast("Any", compensation_word(execution)) or UNSET,
        origin=answers.Origin(
            execution_id=execution.origin.execution_id,
            from_nodes=list(execution.origin.from_nodes),
        )
        if execution.HasField("origin")
        else UNSET,
        breakpoints=answers.Breakpoints(
            all=execution.stops_everywhere, nodes=list(execution.breakpoints)
        )
        if execution.stops_everywhere or execution.breakpoints
        else UNSET,
        hold=answers.Hold(**hold_view(execution.hold)) if execution.HasField("hold") else UNSET,
    )


def _erasure(execution: execution_pb2.Execution) -> answers.ErasureValue | UnsetType:
    if not execution.HasField("erasure"):
        return UNSET
    erasure = execution.erasure
    return answers.ErasureValue(
        at=instant(erasure.at_us), actor=erasure.actor, reason=erasure.reason
    )


def failure_value(failure: failure_pb2.Failure) -> answers.FailureValue:
    return answers.FailureValue(
        class_=getattr(failure, "class"),
        message=failure.message,
        task_id=failure.node or UNSET,
        state=failure.state or UNSET,
        details=raw_json(failure.details) if failure.details else UNSET,
    )


def problem(message: definition_pb2.Problem) -> answers.ProblemValue:
    warning = message.severity == definition_pb2.SEVERITY_WARNING
    return answers.ProblemValue(
        code=message.code,
        severity="warning" if warning else "error",
        message=message.message,
        path=message.path,
        line=message.line or UNSET,
        column=message.column or UNSET,
        broken=_broken(message.broken) if message.HasField("broken") else UNSET,
    )


def _broken(message: definition_pb2.BrokenWorkflow) -> answers.BrokenWorkflow:
    return answers.BrokenWorkflow(
        namespace=message.namespace,
        workflow=message.workflow_id,
        version=message.version,
        problem=message.problem,
    )


def problems(messages: Any) -> list[answers.ProblemValue] | UnsetType:
    return [problem(message) for message in messages] or UNSET


def applied_resources(messages: Any) -> list[answers.AppliedResource]:
    return [
        answers.AppliedResource(
            kind=resource.kind,
            name=resource.name,
            version=resource.version,
            digest=resource.digest,
            created=resource.created,
        )
        for resource in messages
    ]


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
    return answers.WorkflowAnswer(
        name=workflow.workflow_id,
        version=workflow.version,
        digest=workflow.digest,
        title=workflow.name or UNSET,
        format=workflow.format,
        created_at=timestamp(workflow.created_at),
        labels=dict(workflow.labels),
        definition=raw_json(workflow.definition) if whole else UNSET,
    )


def service_value(instance: registry_service_pb2.Instance) -> answers.ServiceValue:
    status = registry_service_pb2.InstanceStatus.Name(instance.status)
    return answers.ServiceValue(
        id=instance.id,
        name=instance.name,
        type=instance.type,
        status=cast("Any", status.removeprefix("INSTANCE_STATUS_")),
        endpoint=instance.endpoint,
        capabilities=list(instance.capabilities),
        metadata=dict(instance.metadata),
        version=instance.version,
        registered_at=instant(instance.registered_at_us),
        heartbeat_at=instant(instance.heartbeat_at_us),
        draining=instance.draining,
        check_problem=instance.check_problem,
    )


def _status(execution: execution_pb2.Execution) -> answers.ExecutionWord:
    return cast("answers.ExecutionWord", execution_status(execution.status))


def _summary(execution: execution_pb2.Execution) -> dict[str, Any]:
    duration = _between_ms(execution.started_at_us, execution.ended_at_us)
    return {
        "execution_id": execution.execution_id,
        "workflow": execution.workflow_id,
        "workflow_name": execution.workflow_name or execution.workflow_id,
        "version": execution.workflow_version,
        "format": execution.format or UNSET,
        "status": _status(execution),
        "started_at": instant_or_unset(execution.started_at_us),
        "ended_at": instant_or_unset(execution.ended_at_us),
        "duration_ms": UNSET if duration is None else duration,
        "last_sequence": execution.last_sequence or UNSET,
        "request_id": execution.request_id or UNSET,
        "error": _failure(execution),
        "archived": execution.archived or UNSET,
    }


def _links(execution: execution_pb2.Execution) -> dict[str, Any]:
    link = execution.link
    parent = answers.ParentTask(
        execution_id=link.parent_id, task_id=link.parent_node, detached=link.detached or UNSET
    )
    return {
        "parent": parent if link.parent_id else UNSET,
        "continued_from": link.continued_from or UNSET,
        "continued_as": execution.continued_as or UNSET,
        "first_run": link.first_run or UNSET,
    }


def _failure(execution: execution_pb2.Execution) -> answers.FailureValue | UnsetType:
    return failure_value(execution.failure) if execution.HasField("failure") else UNSET


def _stop(execution: execution_pb2.Execution) -> answers.FailureValue | UnsetType:
    # A canceled run has no failure, but the response requires one.
    if _status(execution) != "canceled":
        return UNSET
    return answers.FailureValue(class_="Cancelled", message="The execution was canceled.")


def _run_task(node: execution_pb2.Node) -> answers.RunTask:
    return answers.RunTask(**_task(node))


def _task_state(node: execution_pb2.Node, url: str | None) -> answers.TaskState:
    completed = node.status == execution_pb2.NODE_STATUS_COMPLETED
    return answers.TaskState(
        **_task(node),
        id=node.id,
        name=node.name or node.id,
        type=node.task_type or UNSET,
        dependencies=list(node.dependencies),
        scheduled_at=instant_or_unset(node.scheduled_at_us),
        started_at=instant_or_unset(node.started_at_us),
        ended_at=instant_or_unset(node.ended_at_us),
        due_at=instant_or_unset(node.due_at_us),
        worker_id=node.worker_id or UNSET,
        output=raw_value(node.output) if completed else UNSET,
        metadata=raw_json(node.metadata) if node.metadata else UNSET,
        url=url or UNSET,
        held=node.held or UNSET,
        not_retried=node.final or UNSET,
        undoes=node.undoes or UNSET,
        child_execution_id=node.child_execution_id or UNSET,
        child_workflow=node.child_workflow_id or UNSET,
        child_version=node.child_version or UNSET,
        approval=approval_value(node.approval) if node.HasField("approval") else UNSET,
    )


def approval_value(message: execution_pb2.Approval) -> answers.ApprovalValue:
    return answers.ApprovalValue(
        assignees=list(message.assignees),
        needed=message.needed,
        due_at=instant_or_unset(message.due_at_us),
        escalated=message.escalated,
        details=raw_value(message.details),
        form=raw_json(message.form) if message.form else UNSET,
        decisions=[
            answers.DecisionValue(
                by=one.by,
                approved=one.approved,
                comment=one.comment or UNSET,
                form=raw_value(one.form) if one.HasField("form") else UNSET,
                at=instant(one.at_us),
            )
            for one in message.decisions
        ],
    )


def _task(node: execution_pb2.Node) -> dict[str, Any]:
    duration = _between_ms(node.started_at_us or node.scheduled_at_us, node.ended_at_us)
    return {
        "status": node_status(node.status),
        "attempts": node.attempts,
        "duration_ms": UNSET if duration is None else duration,
        "error": failure_value(node.failure) if node.HasField("failure") else UNSET,
    }


def instant_or_unset(at_us: int) -> str | UnsetType:
    return instant(at_us) if at_us else UNSET


def _between_ms(begun_us: int, ended_us: int) -> int | None:
    return max(0, ended_us - begun_us) // 1_000 if begun_us and ended_us else None


def timestamp(stamp: Any) -> str:
    return instant(stamp.seconds * 1_000_000 + stamp.nanos // 1_000)
