"""Rows as messages of the contract, and requests as values."""

import orjson

from flowmesh.api.apphost.v1 import app_pb2 as pb
from flowmesh.api.apphost.v1 import app_service_pb2 as service_pb
from flowmesh.apphost.running.log import LogEntry
from flowmesh.apphost.storage.records import AppRow, Content, ReleaseRow
from flowmesh.apps.release_process.conversation import Placed
from flowmesh.errors import Invalid
from flowmesh.records import message_of


def app_message(row: AppRow, *, memory_bytes: int) -> pb.App:
    return message_of(
        pb.App,
        row,
        state=pb.AppState.ValueType(row.state),
        newest_release=row.newest,
        addresses=[
            pb.AppAddress(server=server, address=address)
            for server, address in row.addresses.items()
        ],
        memory_bytes=memory_bytes,
    )


def release_message(row: ReleaseRow) -> pb.Release:
    return message_of(
        pb.Release, row, state=pb.ReleaseState.ValueType(row.state), environment=row.variables
    )


def log_message(entry: LogEntry) -> pb.LogRecord:
    return message_of(pb.LogRecord, entry, fields=orjson.dumps(entry.fields))


def finding_message(found: Placed) -> pb.AppFinding:
    return message_of(pb.AppFinding, found)


def content_of(request: service_pb.DeployAppRequest | service_pb.ValidateAppRequest) -> Content:
    """Return the content of a release. Raises Invalid for a path that occurs twice."""
    files: dict[str, bytes] = {}
    for each in request.files:
        if each.path in files:
            raise Invalid("APP_INVALID", f"files: {each.path[:80]!r} occurs twice")
        files[each.path] = each.content
    return Content(document=request.document, files=files, environment=dict(request.environment))
