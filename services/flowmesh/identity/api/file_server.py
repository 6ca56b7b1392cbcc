"""Translates FileService messages."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.identity.v1 import file_service_pb2 as pb
from flowmesh.api.identity.v1 import file_service_pb2_grpc
from flowmesh.identity.api.messages import file_message, page_size
from flowmesh.identity.limits import FILE_MESSAGE_BYTES
from flowmesh.identity.workspace.files import Files
from flowmesh.rpc.pages import last_of_token, list_key, page_token


class FileServer(file_service_pb2_grpc.FileServiceServicer):
    """Workspace files."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def PutFile(
        self, request_iterator: AsyncIterator[pb.PutFileRequest], context: Any
    ) -> pb.PutFileResponse:
        first = await anext(request_iterator, pb.PutFileRequest())
        stored = await self._files.put(
            first.project_id,
            first.path,
            first.media_type,
            _chunks(first, request_iterator),
            number=first.version,
        )
        return pb.PutFileResponse(file=file_message(stored))

    async def GetFile(
        self, request: pb.GetFileRequest, context: Any
    ) -> AsyncIterator[pb.GetFileResponse]:
        file = await self._files.get(request.project_id, request.path, request.version)
        yield pb.GetFileResponse(file=file_message(file))
        async for piece in self._files.content(file):
            for start in range(0, len(piece), FILE_MESSAGE_BYTES):
                yield pb.GetFileResponse(data=piece[start : start + FILE_MESSAGE_BYTES])

    async def ListFiles(self, request: pb.ListFilesRequest, context: Any) -> pb.ListFilesResponse:
        count = page_size(request.page_size)
        after = last_of_token(request.page_token, list_key(request))
        found = await self._files.files(request.project_id, request.prefix, after, count + 1)
        more = len(found) > count
        return pb.ListFilesResponse(
            files=[file_message(each) for each in found[:count]],
            next_page_token=page_token(list_key(request), found[count - 1].path) if more else "",
        )

    async def DeleteFile(
        self, request: pb.DeleteFileRequest, context: Any
    ) -> pb.DeleteFileResponse:
        await self._files.delete(request.project_id, request.path)
        return pb.DeleteFileResponse()


async def _chunks(
    first: pb.PutFileRequest, others: AsyncIterator[pb.PutFileRequest]
) -> AsyncIterator[bytes]:
    yield first.data
    async for each in others:
        yield each.data
