"""Workspace files of projects: round trips, hostile paths, quotas of bytes, isolation."""

import asyncio
import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc.aio
import orjson
import pytest
import yarl

from flowmesh.api.identity.v1 import file_service_pb2 as pb
from flowmesh.api.identity.v1.file_service_pb2_grpc import FileServiceStub
from tests.features.closed import Caller, Closed

MIB = 1 << 20
HOSTILE = [
    *("/etc/passwd", "../secret", "a/../b", "a/./b", "a//b", "a/", ".", "..", "//a"),
    *("a\0b", "a\nb", "a\x7fb", "a\u202eb", "a\u200bb", "a\ufeffb", "a\u2028b", "a\ufffdb"),
    *("a\\b", "C:/x", "a:b", "a*", "a?b", "con", "NUL.txt", "a/com1.log", "a.", " a", "a "),
    *(unicodedata.normalize("NFD", "caf\u00e9.txt"), "x" * 256, "/".join(["d" * 100] * 11)),
    "a\u0378b",
]


@dataclass(frozen=True)
class Answered:
    status: int
    body: bytes
    headers: Any

    @property
    def reason(self) -> str:
        return str(orjson.loads(self.body)["error"]["reason"])


async def sent(
    caller: Caller, method: str, project: str, path: str, data: Any = None, kind: str = ""
) -> Answered:
    """Send a request whose path no client normalizes."""
    encoded = quote(path, safe="/")
    url = yarl.URL(
        f"{caller.suite.http_url}/api/v1/projects/{project}/files/{encoded}", encoded=True
    )
    headers = {"authorization": f"Bearer {caller.credential}"}
    if kind:
        headers["content-type"] = kind
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=data, headers=headers) as response,
    ):
        return Answered(response.status, await response.read(), response.headers)


def stub(caller: Caller) -> Any:
    return FileServiceStub(caller.channel)


def signed(caller: Caller) -> Any:
    return (("authorization", f"Bearer {caller.credential}"),)


async def put(caller: Caller, project: str, path: str, pieces: Iterable[bytes]) -> pb.File:
    """Upload over gRPC."""
    requests = [pb.PutFileRequest(project_id=project, path=path, media_type="text/plain")]
    requests += [pb.PutFileRequest(data=each) for each in pieces]
    call = stub(caller).PutFile(iter(requests), metadata=signed(caller))
    answer: pb.PutFileResponse = await call
    return answer.file


async def got(caller: Caller, project: str, path: str, version: int = 0) -> tuple[pb.File, bytes]:
    """Download over gRPC."""
    request = pb.GetFileRequest(project_id=project, path=path, version=version)
    answers = [each async for each in stub(caller).GetFile(request, metadata=signed(caller))]
    return answers[0].file, b"".join(each.data for each in answers[1:])


@pytest.mark.feature("S1-119")
async def test_a_file_is_stored_listed_read_and_deleted_over_rest(closed: Closed) -> None:
    """Versions count up, the type and the digest are kept, and nothing remains after deletion."""
    project = await closed.project("files-rest")
    editor = await closed.key(project.id, "editor")
    first, second = b"a,b\n1,2\n", bytes(range(256)) * 8_192
    path = "reports/\u00fcber 2026/a.csv"
    created = await sent(editor, "PUT", project.id, path, first, "text/csv; charset=utf-8")
    assert created.status == 201, created.body
    replaced = await sent(editor, "PUT", project.id, path, second, "text/csv")
    assert replaced.status == 200
    read = await sent(editor, "GET", project.id, path)
    assert (read.status, read.body) == (200, second)
    assert read.headers["content-type"] == "text/csv"
    assert read.headers["etag"] == f'"{hashlib.sha256(second).hexdigest()}"'
    assert read.headers["x-content-type-options"] == "nosniff"
    assert (await sent(editor, "HEAD", project.id, path)).status == 200
    file, data = await got(editor, project.id, path, 1)
    assert (file.version, data) == (1, first)
    await put(editor, project.id, "other/b.txt", [])
    listed = await editor.rest("GET", f"/api/v1/projects/{project.id}/files?prefix=reports/")
    assert [(each["path"], each["version"], each["sizeBytes"]) for each in listed[1]["files"]] == [
        (path, 2, len(second))
    ]
    assert (await sent(editor, "DELETE", project.id, path)).status == 204
    assert (await sent(editor, "GET", project.id, path)).reason == "FILE_NOT_FOUND"
    assert (await sent(editor, "DELETE", project.id, path)).reason == "FILE_NOT_FOUND"


@pytest.mark.feature("S1-119")
@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
async def test_a_hostile_path_is_refused(closed: Closed, path: str) -> None:
    """One reason over REST and gRPC, for each method; nothing is stored."""
    owner, project = closed.owner, "prj_default"
    for method in ("PUT", "GET", "DELETE"):
        answer = await sent(owner, method, project, path, b"x" if method == "PUT" else None)
        assert (answer.status, answer.reason) == (400, "FILE_PATH_INVALID"), method
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await put(owner, project, path, [b"x"])
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    listed = await stub(owner).ListFiles(
        pb.ListFilesRequest(project_id=project), metadata=signed(owner)
    )
    assert not listed.files


@pytest.mark.feature("S1-119")
async def test_twins_in_case_and_spelling_are_refused(closed: Closed) -> None:
    """A path differs from every other one in more than case and compatibility forms."""
    project = await closed.project("files-twins")
    await put(closed.owner, project.id, "Stra\u00dfe/File.txt", [b"1"])
    for twin in ("stra\u00dfe/file.txt", "STRASSE/FILE.TXT", "Stra\u00dfe/\uff26ile.txt"):
        answer = await sent(closed.owner, "PUT", project.id, twin, b"2")
        assert (answer.status, answer.reason) == (409, "FILE_PATH_TAKEN"), twin
    _, data = await got(closed.owner, project.id, "Stra\u00dfe/File.txt")
    assert data == b"1"


@pytest.mark.feature("S1-119")
async def test_a_list_has_pages_in_the_order_of_paths(closed: Closed) -> None:
    """Each file once; a token of another list is refused."""
    project = await closed.project("files-pages")
    names = sorted(f"d/{number:02d}\u00e9" for number in range(7))
    await asyncio.gather(*(put(closed.owner, project.id, name, [b"same"]) for name in names))
    found: list[str] = []
    request = pb.ListFilesRequest(project_id=project.id, prefix="d/", page_size=3)
    while True:
        page = await stub(closed.owner).ListFiles(request, metadata=signed(closed.owner))
        found += [each.path for each in page.files]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == names
    request.prefix = ""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub(closed.owner).ListFiles(request, metadata=signed(closed.owner))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.long
@pytest.mark.feature("S1-119")
async def test_64_mib_are_stored_and_one_byte_more_is_not(closed: Closed) -> None:
    """The limit holds for streams of unknown length too."""
    project = await closed.project("files-large")
    piece = bytes(MIB)
    stored = await put(closed.owner, project.id, "zero.bin", [piece] * 64)
    assert stored.size_bytes == 64 * MIB
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await put(closed.owner, project.id, "more.bin", [*[piece] * 64, b"1"])
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    declared = await sent(closed.owner, "PUT", project.id, "more.bin", bytes(64 * MIB + 1))
    assert (declared.status, declared.reason) == (413, "FILE_TOO_LARGE")
    read = await sent(closed.owner, "GET", project.id, "zero.bin")
    assert hashlib.sha256(read.body).hexdigest() == stored.digest
    assert (await sent(closed.owner, "GET", project.id, "more.bin")).reason == "FILE_NOT_FOUND"


@pytest.mark.feature("S1-119", "S4-62")
async def test_files_of_another_project_do_not_exist(closed: Closed) -> None:
    """A foreign project and one that never was have the same answer, for each method."""
    own, other = await closed.project("files-own"), await closed.project("files-other")
    await put(closed.owner, other.id, "canary.txt", [b"canary"])
    key = await closed.key(own.id, "admin")
    for method in ("GET", "PUT", "DELETE"):
        foreign = await sent(key, method, other.id, "canary.txt", b"x" if method == "PUT" else None)
        missing = await sent(
            key, method, "prj_none", "canary.txt", b"x" if method == "PUT" else None
        )
        assert foreign.status == missing.status == 404
        assert foreign.body.replace(other.id.encode(), b"prj_none") == missing.body
    listed = await key.rest("GET", f"/api/v1/projects/{other.id}/files")
    assert listed[0] == 404
    _, data = await got(closed.owner, other.id, "canary.txt")
    assert data == b"canary"


@pytest.mark.feature("S1-119", "S1-111")
async def test_a_viewer_reads_files_and_changes_none(closed: Closed) -> None:
    """Storing and deleting need the role editor; a worker's key reads nothing."""
    project = await closed.project("files-roles")
    viewer, worker = [await closed.key(project.id, role) for role in ("viewer", "worker")]
    await put(closed.owner, project.id, "a.txt", [b"1"])
    assert (await sent(viewer, "GET", project.id, "a.txt")).body == b"1"
    for method in ("PUT", "DELETE"):
        answer = await sent(viewer, method, project.id, "a.txt", b"2" if method == "PUT" else None)
        assert (answer.status, answer.reason) == (403, "ROLE_REQUIRED")
    assert (await sent(worker, "GET", project.id, "a.txt")).status == 403
