"""Responses about workspace files."""

from flowmesh.api.identity.v1 import file_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.views import instant


class FileValue(Answer, kw_only=True):
    """A version of a file."""

    path: str
    version: int
    size_bytes: int
    # SHA-256 in lower-case hex.
    digest: str
    media_type: str
    created_at: Instant
    created_by: str


class FileList(Answer, kw_only=True):
    """The newest versions of a page of files."""

    files: list[FileValue]
    next_page_token: str


def file_value(file: pb.File) -> FileValue:
    return FileValue(
        path=file.path,
        version=file.version,
        size_bytes=file.size_bytes,
        digest=file.digest,
        media_type=file.media_type,
        created_at=instant(file.created_at_us),
        created_by=file.created_by,
    )
