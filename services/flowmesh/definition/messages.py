"""Records as messages of the contract."""

from google.protobuf.timestamp_pb2 import Timestamp

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.definition.records import Applied, TaskVersion, WorkflowVersion
from flowmesh.definitions import Problem


def workflow_message(record: WorkflowVersion) -> definition_pb2.Workflow:
    return definition_pb2.Workflow(
        namespace=record.namespace,
        workflow_id=record.id,
        name=record.name,
        version=record.version,
        digest=record.digest,
        format=record.format,
        definition=record.definition,
        created_at=_timestamp(record),
        labels=record.labels,
    )


def task_message(record: TaskVersion) -> definition_pb2.Task:
    return definition_pb2.Task(
        namespace=record.namespace,
        name=record.name,
        version=record.version,
        digest=record.digest,
        type=record.type,
        definition=record.definition,
        created_at=_timestamp(record),
        labels=record.labels,
    )


def _timestamp(record: WorkflowVersion | TaskVersion) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(record.created_at)
    return timestamp


def problem_message(problem: Problem) -> definition_pb2.Problem:
    severity = definition_pb2.SEVERITY_WARNING if problem.warning else definition_pb2.SEVERITY_ERROR
    return definition_pb2.Problem(
        code=problem.code,
        severity=severity,
        message=problem.message,
        path=problem.place,
        line=problem.line,
        column=problem.column,
    )


def applied_message(applied: Applied) -> pb.AppliedResource:
    return pb.AppliedResource(
        kind=applied.kind,
        name=applied.name,
        version=applied.version,
        digest=applied.digest,
        created=applied.created,
    )
