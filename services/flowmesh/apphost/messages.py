"""Rows as messages of the contract, and requests as values."""

import orjson

from flowmesh.api.apphost.v1 import app_pb2 as pb
from flowmesh.api.apphost.v1 import app_service_pb2 as service_pb
from flowmesh.apphost.running.log import LogEntry
from flowmesh.apphost.storage.records import AppRow, Content, ReleaseRow
from flowmesh.apps.release_process.conversation import Placed
from flowmesh.errors import Invalid


def app_message(row: AppRow, *, memory_bytes: int) -> pb.App:
    return pb.App(
        namespace=row.namespace,
        app=row.app,
        state=pb.AppState.ValueType(row.state),
        release=row.release,
        newest_release=row.newest,
        addresses=[
            pb.AppAddress(server=server, address=address)
            for server, address in row.addresses.items()
        ],
        problem=row.problem,
        pid=row.pid,
        memory_bytes=memory_bytes,
        restarts=row.restarts,
        created_at_us=row.created_at_us,
        changed_at_us=row.changed_at_us,
    )


def release_message(row: ReleaseRow) -> pb.Release:
    return pb.Release(
        app=row.app,
        release=row.release,
        state=pb.ReleaseState.ValueType(row.state),
        digest=row.digest,
        problem=row.problem,
        files=row.files,
        environment=row.variables,
        size_bytes=row.size_bytes,
        created_by=row.created_by,
        created_at_us=row.created_at_us,
        warnings=row.warnings,
        role=row.role,
    )


def log_message(entry: LogEntry) -> pb.LogRecord:
    return pb.LogRecord(
        at_us=entry.at_us,
        level=entry.level,
        module=entry.module,
        message=entry.message,
        release=entry.release,
        fields=orjson.dumps(entry.fields),
    )


def finding_message(found: Placed) -> pb.AppFinding:
    return pb.AppFinding(
        code=found.code,
        message=found.message,
        warning=found.warning,
        path=found.path,
        file=found.file,
        line=found.line,
        column=found.column,
    )


def content_of(
    request: service_pb.DeployAppRequest | service_pb.ValidateAppRequest,
) -> Content:
    """Return the content of a release. Raises Invalid for a path that occurs twice."""
    files: dict[str, bytes] = {}
    for each in request.files:
        if each.path in files:
            raise Invalid("APP_INVALID", f"files: {each.path[:80]!r} occurs twice")
        files[each.path] = each.content
    return Content(document=request.document, files=files, environment=dict(request.environment))
