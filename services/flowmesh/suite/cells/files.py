"""Workspace files of a project that moves: all versions with their numbers and digests."""

from collections.abc import AsyncIterator

from flowmesh.api.identity.v1 import file_service_pb2 as pb
from flowmesh.api.identity.v1.file_service_pb2_grpc import FileServiceStub
from flowmesh.cells import Move
from flowmesh.errors import NotFound, Overloaded, WrongState
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import CannotMove, Part, Route
from flowmesh.suite.cells.survey import project_ids

TRANSFER_S = 300.0
CHUNK_BYTES = 256 * 1024
VERSIONS_MAX = 100
"""Versions of a file that a cell keeps."""


class _Stored:
    """The files of the project in one cell."""

    def __init__(self, calls: CellCalls) -> None:
        self._calls = calls
        self._stub = FileServiceStub(calls.channel)

    async def project_id(self) -> str:
        """Return the id of the project here; empty without one."""
        return next(iter(await project_ids(self._calls)), "")

    async def files(self, project_id: str) -> dict[str, pb.File]:
        """Return the newest versions by path."""
        request = pb.ListFilesRequest(project_id=project_id)
        rows = await self._calls.listed(self._stub.ListFiles, request, "files")
        return {each.path: each for each in rows}

    async def version(
        self, project_id: str, path: str, number: int, *, content: bool = True
    ) -> tuple[pb.File, bytes] | None:
        """Return a version, with its bytes if wanted; None if it is deleted."""
        request = pb.GetFileRequest(project_id=project_id, path=path, version=number)

        async def once() -> tuple[pb.File, bytes]:
            messages = self._stub.GetFile(request, timeout=TRANSFER_S)
            file = (await anext(aiter(messages))).file
            if not content:
                messages.cancel()
                return file, b""
            return file, b"".join([each.data async for each in messages])

        try:
            return await self._calls.retried(once)
        except NotFound:
            return None

    async def put(self, project_id: str, file: pb.File, data: bytes) -> pb.File:
        """Store a version under its number."""
        first = pb.PutFileRequest(
            project_id=project_id,
            path=file.path,
            media_type=file.media_type,
            version=file.version,
        )

        async def once() -> pb.PutFileResponse:
            answer: pb.PutFileResponse = await self._stub.PutFile(
                _messages(first, data), timeout=TRANSFER_S
            )
            return answer

        return (await self._calls.retried(once)).file

    async def delete(self, project_id: str, path: str) -> None:
        request = pb.DeleteFileRequest(project_id=project_id, path=path)
        await self._calls.call(self._stub.DeleteFile, request)


class Files(Part):
    """The files of a project. The target gets those of the source, and has no others."""

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._here, self._there = _Stored(route.source), _Stored(route.target)

    async def problems(self, move: Move) -> list[str]:
        here, there = await self._here.project_id(), await self._there.project_id()
        count = len(await self._here.files(here)) if here and not there else 0
        name = self._target.cell.name
        return [f"{count} files, and cell {name} has no such project"] if count else []

    async def copy(self) -> None:
        await self._copy()

    async def switch(self, move: Move) -> None:
        await self._copy()

    async def late(self) -> list[str]:
        """Return the files that the target does not have: calls with project ids pass a switch."""
        here, there = await self._here.project_id(), await self._there.project_id()
        if not here or not there:
            return []
        stored = await self._there.files(there)
        found = await self._here.files(here)
        return [
            f"the file {path}" for path, each in found.items() if not _same(each, stored.get(path))
        ]

    async def _copy(self) -> None:
        here, there = await self._here.project_id(), await self._there.project_id()
        if not here or not there:
            return
        found, stored = await self._here.files(here), await self._there.files(there)
        for path in stored.keys() - found.keys():
            await self._there.delete(there, path)
        changed = [each for path, each in found.items() if not _same(each, stored.get(path))]
        for count, file in enumerate(changed, start=1):
            former = await self._former(here, there, stored.get(file.path))
            first = max(former + 1, file.version - VERSIONS_MAX + 1)
            for number in range(first, file.version + 1):
                await self._copy_version(here, there, file.path, number)
            self._route.report(f"copied file {file.path}: {count}/{len(changed)}")

    async def _former(self, here: str, there: str, stored: pb.File | None) -> int:
        """Return the newest version that both cells have; a file that differs is deleted there."""
        if stored is None:
            return 0
        same = await self._here.version(here, stored.path, stored.version, content=False)
        if same is not None and _same(same[0], stored):
            return stored.version
        await self._there.delete(there, stored.path)
        return 0

    async def _copy_version(self, here: str, there: str, path: str, number: int) -> None:
        found = await self._here.version(here, path, number)
        if found is None:
            # Deleted a moment ago, or never there: another move has left the number out.
            return
        file, data = found
        try:
            made = await self._there.put(there, file, data)
        except Overloaded as error:
            raise CannotMove(f"the file {path}: {error.message}") from None
        except WrongState:
            # The answer to this call was lost, and it was repeated.
            again = await self._there.version(there, path, number, content=False)
            made = again[0] if again is not None else pb.File()
        if not _same(file, made):
            raise CannotMove(f"the file {path}, whose version {number} arrived with other bytes")


def _same(file: pb.File, other: pb.File | None) -> bool:
    return other is not None and (file.version, file.digest) == (other.version, other.digest)


async def _messages(first: pb.PutFileRequest, data: bytes) -> AsyncIterator[pb.PutFileRequest]:
    yield first
    for start in range(0, len(data), CHUNK_BYTES):
        yield pb.PutFileRequest(data=data[start : start + CHUNK_BYTES])
