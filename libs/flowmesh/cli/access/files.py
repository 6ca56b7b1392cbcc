"""`files`: workspace files of a project."""

import mimetypes
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import grpc.aio

from flowmesh.api.identity.v1 import file_service_pb2 as pb
from flowmesh.api.identity.v1.file_service_pb2_grpc import FileServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import PAGE_SIZE, Tenants, pages
from flowmesh.cli.arguments import ProjectOption
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

CHUNK_BYTES = 256 * 1024
TRANSFER_S = 300.0
STANDARD = Path("-")


@command
async def put_file(
    source: Path,
    path: str = "",
    /,
    *,
    project: ProjectOption = "",
    media_type: str = "",
    common: Common = COMMON,
) -> None:
    """Upload a file; an existing one gets a new version.

    Args:
        source: File to upload.
        path: Path in the project; by default the name of the file.
        media_type: Media type; by default that of the extension.
    """
    async with connected(common) as client:
        first = pb.PutFileRequest(
            project_id=(await Tenants(client).project(project)).id,
            path=path or source.name,
            media_type=media_type or mimetypes.guess_type(source.name)[0] or "",
        )

        async def put_once() -> pb.PutFileResponse:
            with _opened(source) as file:
                answer: pb.PutFileResponse = await _stub(client).PutFile(
                    _requests(first, file), timeout=TRANSFER_S
                )
            return answer

        stored = (await client.caller.retried(put_once)).file
        if common.structured:
            output.document(document_of(stored))
        else:
            size = f"{stored.size_bytes:,} bytes"
            output.line(f"stored {stored.path}, version {stored.version}, {size}")


@command
async def get_file(
    path: str,
    target: Path = STANDARD,
    /,
    *,
    version: int = 0,
    project: ProjectOption = "",
    common: Common = COMMON,
) -> None:
    """Download a file.

    Args:
        path: Path in the project.
        target: File to write; by default standard output.
        version: Version; by default the newest.
    """
    async with connected(common) as client:
        request = pb.GetFileRequest(
            project_id=(await Tenants(client).project(project)).id, path=path, version=version
        )

        async def get_once() -> AsyncIterator[pb.GetFileResponse]:
            messages: AsyncIterator[pb.GetFileResponse] = aiter(
                _stub(client).GetFile(request, timeout=TRANSFER_S)
            )
            await anext(messages)
            return messages

        messages = await client.caller.retried(get_once)
        try:
            await _write(target, messages)
        except grpc.aio.AioRpcError as error:
            raise client.caller.explained(error) from None


@command
async def list_files(
    prefix: str = "", /, *, project: ProjectOption = "", common: Common = COMMON
) -> None:
    """List the files of a project.

    Args:
        prefix: Begin of the paths; all files by default.
    """
    async with connected(common) as client:
        chosen = await Tenants(client).project(project)
        request = pb.ListFilesRequest(project_id=chosen.id, prefix=prefix, page_size=PAGE_SIZE)
        found = [each async for each in pages(client, _stub(client).ListFiles, request, "files")]
        output.table(
            found,
            document_of,
            "PATH VERSION BYTES TYPE=media_type STORED=created_at_us",
            none=f"There are no such files in project {chosen.slug}.",
            BYTES=lambda each: f"{each.size_bytes:,}",
        )


@command
async def remove_file(
    path: str, /, *, project: ProjectOption = "", common: Common = COMMON
) -> None:
    """Delete a file with all its versions.

    Args:
        path: Path in the project.
    """
    async with connected(common) as client:
        request = pb.DeleteFileRequest(
            project_id=(await Tenants(client).project(project)).id, path=path
        )
        await client.caller.call(_stub(client).DeleteFile, request)
        if common.structured:
            output.document({"path": path, "deleted": True})
        else:
            output.line(f"deleted {path}")


def _stub(client: "Client") -> Any:
    return FileServiceStub(client.caller.channel)


def _opened(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise Refused(f"cannot read {source}: {error.strerror}", "", exit_codes.USAGE) from error


async def _requests(first: pb.PutFileRequest, file: BinaryIO) -> AsyncIterator[pb.PutFileRequest]:
    yield first
    while chunk := file.read(CHUNK_BYTES):
        yield pb.PutFileRequest(data=chunk)


async def _write(target: Path, messages: AsyncIterator[pb.GetFileResponse]) -> None:
    """Write the content; a file appears once it is complete."""
    if target == STANDARD:
        async for message in messages:
            sys.stdout.buffer.write(message.data)
        sys.stdout.buffer.flush()
        return
    partial = target.with_name(f"{target.name}.partial")
    try:
        with partial.open("wb") as file:
            async for message in messages:
                file.write(message.data)
        partial.replace(target)
    except OSError as error:
        raise Refused(f"cannot write {target}: {error.strerror}", "", exit_codes.USAGE) from error
    finally:
        partial.unlink(missing_ok=True)
