"""Workspace files of projects: bodies are streamed in both directions."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

from flowmesh.api.identity.v1 import file_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.http.limits import FILE_BYTES_MAX, FILE_CALL_S, FILE_CHUNK_BYTES
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import NUMBER, REST_PATH, Query
from flowmesh.gateway.http.requests import Request, Response, StreamResponse
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import reader

BYTES = "application/octet-stream"


class FileValue(Value, kw_only=True):
    """A version of a file."""

    path: str
    version: int
    size_bytes: int
    # SHA-256 in lower-case hex.
    digest: str
    media_type: str
    created_at: Instant
    created_by: str


class FileList(Value, kw_only=True):
    """The newest versions of a page of files."""

    files: list[FileValue]
    next_page_token: str


_file = reader(FileValue, pb.File)


async def put_file(backends: Backends, request: Request) -> Response:
    call = backends.files.PutFile(timeout=FILE_CALL_S)
    try:
        await call.write(
            pb.PutFileRequest(
                project_id=request.param("projectId"),
                path=request.param("path"),
                media_type=request.media_type,
            )
        )
        async for piece in request.pieces(FILE_BYTES_MAX, "FILE_TOO_LARGE"):
            for start in range(0, len(piece), FILE_CHUNK_BYTES):
                await call.write(pb.PutFileRequest(data=piece[start : start + FILE_CHUNK_BYTES]))
        await call.done_writing()
        stored = (await call).file
    finally:
        # A partial body must not be stored as a complete one.
        call.cancel()
    status = HTTPStatus.CREATED if stored.version == 1 else HTTPStatus.OK
    return json_response(_file(stored), status)


async def get_file(backends: Backends, request: Request) -> StreamResponse:
    call = backends.files.GetFile(
        pb.GetFileRequest(
            project_id=request.param("projectId"),
            path=request.param("path"),
            version=request.whole("version"),
        ),
        timeout=FILE_CALL_S,
    )
    messages = aiter(call)
    file = (await anext(messages)).file
    headers = (
        (b"content-length", str(file.size_bytes).encode()),
        (b"etag", f'"{file.digest}"'.encode()),
        (b"flowmesh-file-version", str(file.version).encode()),
        # The type was chosen by the uploader; a browser must not render the content as a page.
        (b"content-disposition", b"attachment"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
    )
    return StreamResponse(_data(call, messages), file.media_type, headers=headers)


async def _data(call: Any, messages: Any) -> AsyncGenerator[bytes, None]:
    try:
        async for message in messages:
            yield message.data
    finally:
        call.cancel()


_FILES = "/api/v1/projects/{projectId}/files"
_FILE = f"{_FILES}/{{path}}"
_PATH = {"path": REST_PATH}
ROUTES = (
    rpc_route(
        "GET",
        _FILES,
        pb.ListFilesRequest,
        tag=ADMINISTER,
        summary="List the files of a project",
        query=(Query("prefix", "Only paths that begin with this text."), *PAGING),
        answers=(Answer(200, "Newest versions, sorted by path.", FileList),),
    ),
    Route(
        "PUT",
        _FILE,
        put_file,
        Operation(
            tag=ADMINISTER,
            summary="Store a new version of a file",
            description="Up to 64 MiB. The path is relative; its slashes need no encoding.",
            path=_PATH,
            body=Body(None, media_types=(BYTES,), required=False),
            answers=(
                Answer(200, "A new version of the file is stored.", FileValue),
                Answer(201, "The file is created.", FileValue),
            ),
            errors=(409, 413, 415),
        ),
    ),
    Route(
        "GET",
        _FILE,
        get_file,
        Operation(
            tag=ADMINISTER,
            summary="Get a file",
            path=_PATH,
            query=(Query("version", "A version; 0 is the newest.", NUMBER),),
            answers=(Answer(200, "The bytes, with their stored media type.", None, "*/*"),),
        ),
    ),
    rpc_route(
        "DELETE",
        _FILE,
        pb.DeleteFileRequest,
        tag=ADMINISTER,
        summary="Delete a file with all its versions",
        path=_PATH,
        answers=(Answer(204, "The file is deleted."),),
    ),
)
