"""Records as messages of the contract."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from flowmesh.api.definition.v1 import definition_pb2, version_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import template_service_pb2 as template_pb
from flowmesh.definition import limits
from flowmesh.definition.audit import difference_record
from flowmesh.definition.checks.checking import Checked
from flowmesh.definition.compatibility import ExecutionMove
from flowmesh.definition.storage.records import (
    Applied,
    Change,
    Label,
    TaskVersion,
    TemplateVersion,
    Usage,
    WorkflowVersion,
)
from flowmesh.definitions import Problem, load_template
from flowmesh.definitions.versions import Compatibility, Difference
from flowmesh.records import message_of


def workflow_message(record: WorkflowVersion) -> definition_pb2.Workflow:
    return message_of(
        definition_pb2.Workflow, record, workflow_id=record.id, created_at=_timestamp(record)
    )


def task_message(record: TaskVersion) -> definition_pb2.Task:
    return message_of(definition_pb2.Task, record, created_at=_timestamp(record))


def usage_message(usage: Usage) -> pb.WorkflowReference:
    return message_of(
        pb.WorkflowReference, usage, name=usage.workflow_id, version_labels=usage.labels
    )


def affected_messages(checked: Checked) -> list[pb.WorkflowReference]:
    return [
        pb.WorkflowReference(namespace=namespace, name=workflow_id, version=version)
        for namespace, workflow_id, version in checked.affected[: limits.AFFECTED_SHOWN_MAX]
    ]


def template_message(record: TemplateVersion, *, whole: bool) -> template_pb.Template:
    template = load_template(orjson.loads(record.definition))
    return message_of(
        template_pb.Template,
        record,
        description=template.description,
        parameters=orjson.dumps(template.parameters or {}),
        definition=record.definition if whole else b"",
        created_at=_instant(record.created_at),
    )


def label_message(label: Label) -> version_pb2.Label:
    return message_of(version_pb2.Label, label, moved_at=_instant(label.moved_at))


def change_message(change: Change) -> version_pb2.Change:
    details = change.details
    return message_of(
        version_pb2.Change,
        details,
        number=change.number,
        action=version_pb2.ChangeAction.ValueType(details.action),
        actor=change.author.actor,
        reason=change.author.reason,
        changed_at=_instant(change.changed_at),
        differences=[_difference(record) for record in details.differences],
    )


def compatibility_message(found: Compatibility) -> version_pb2.Compatibility:
    return version_pb2.Compatibility(
        verdict=version_pb2.Verdict.ValueType(found.verdict),
        input=version_pb2.Verdict.ValueType(found.input),
        output=version_pb2.Verdict.ValueType(found.output),
        reasons=[
            message_of(
                version_pb2.CompatibilityReason,
                reason,
                verdict=version_pb2.Verdict.ValueType(reason.verdict),
            )
            for reason in found.reasons
        ],
    )


def move_message(move: ExecutionMove) -> version_pb2.ExecutionMove:
    return message_of(version_pb2.ExecutionMove, move, movable=not move.reasons)


def difference_message(difference: Difference) -> version_pb2.Difference:
    return _difference(difference_record(difference))


def _difference(record: dict[str, Any]) -> version_pb2.Difference:
    return version_pb2.Difference(
        area=record["area"],
        action=record["action"],
        subject=record["subject"],
        field=record["field"],
        before=record["before"].encode(),
        after=record["after"].encode(),
    )


def _timestamp(record: WorkflowVersion | TaskVersion) -> Timestamp:
    return _instant(record.created_at)


def _instant(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def problem_message(problem: Problem) -> definition_pb2.Problem:
    severity = definition_pb2.SEVERITY_WARNING if problem.warning else definition_pb2.SEVERITY_ERROR
    found = problem.broken
    broken = definition_pb2.BrokenWorkflow(**asdict(found)) if found else None
    return message_of(
        definition_pb2.Problem, problem, severity=severity, path=problem.place, broken=broken
    )


def applied_message(applied: Applied) -> pb.AppliedResource:
    return message_of(pb.AppliedResource, applied)
