"""`flowmesh cells move` takes files, applications and agents of a project."""

import hashlib
import os
from collections.abc import Sequence

import pytest

from flowmesh.api.identity.v1 import file_service_pb2 as files_pb
from flowmesh.api.identity.v1.file_service_pb2_grpc import FileServiceStub
from flowmesh.api.identity.v1.secret_service_pb2 import (
    ListSecretsRequest,
    PutSecretRequest,
    ResolveSecretsRequest,
    SecretRef,
)
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.cells import COPYING, ENDING, SWITCHING
from flowmesh.sdk import Client
from tests.features.agents.crew import Crew, tasks
from tests.features.application_hosts.test_apphost import Host, document
from tests.features.cells.test_moving import (
    HELD_MS,
    define,
    execute,
    killed_at,
    of,
    project_in,
    put_file,
    workflow,
)
from tests.features.cells.three import Cells, command, finished

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

LARGE = os.urandom(5 << 20)
WORDS = ("move", "stocked", "--to", "us1")


async def killed_after(cells: Cells, line: str, words: Sequence[str]) -> None:
    """Run a command, and kill it once it has printed a line."""
    process = await command(cells, *words)
    assert process.stdout is not None
    async for each in process.stdout:
        if line in each.decode():
            break
    process.kill()
    _, errors = await process.communicate()
    assert process.returncode == -9, errors


async def stored(cells: Cells, number: int, project: str) -> dict[str, tuple[int, str]]:
    """Return the newest version and the digest of each file of a project in a cell."""
    stub = FileServiceStub(cells.suites[number].channel)
    found = await stub.ListFiles(files_pb.ListFilesRequest(project_id=project))
    return {each.path: (each.version, each.digest) for each in found.files}


async def content(cells: Cells, number: int, project: str, path: str, version: int = 0) -> bytes:
    stub = FileServiceStub(cells.suites[number].channel)
    request = files_pb.GetFileRequest(project_id=project, path=path, version=version)
    return b"".join([each.data async for each in stub.GetFile(request)])


async def values(cells: Cells, number: int, *names: str) -> list[bytes]:
    """Return the newest values of secrets in a cell, as its worker service reads them."""
    stub = SecretServiceStub(cells.suites[number].channel)
    refs = [SecretRef(name=name) for name in names]
    answer = await stub.ResolveSecrets(ResolveSecretsRequest(namespace="stocked", refs=refs))
    return list(answer.values)


async def test_contents_move_over_kills(cells: Cells) -> None:
    """A command that is killed in each step, and run again, loses and doubles nothing."""
    await cells.pin("stocked", 0)
    here, there = [await project_in(cells, number, "stocked") for number in (0, 1)]
    await put_file(cells, 0, here, "large.bin", LARGE)
    for text in (b"first", b"second"):
        await put_file(cells, 0, here, "notes/a.txt", text)
    await put_file(cells, 1, there, "stale.txt", b"of an earlier stay")
    stub = SecretServiceStub(cells.suites[0].channel)
    for name in ("bank", "mail"):
        value = f"value of {name}".encode()
        await stub.PutSecret(PutSecretRequest(namespace="stocked", name=name, value=value))
    source, target = (Host(cells.suites[number], "stocked") for number in (0, 1))
    variable = {"environment": {"WORD": "hello"}}
    released = await source.deploy("words", document("${WORD}"), **variable)
    assert released.status == 201, released.text
    assert (await source.deploy("idle", document("idle"))).status == 201
    assert (await source.call("POST", "/idle:stop")).status == 200
    assert await source.word("words") == "hello"
    await define(cells, "stocked", {**workflow(1, HELD_MS), "id": "held"})
    held = (await execute(cells, "stocked", "held")).json["executionId"]
    await killed_at(cells, "stocked", COPYING, *WORDS)
    for line in ("copied file", "copied application"):
        await killed_after(cells, line, WORDS)
    await killed_at(cells, "stocked", SWITCHING, *WORDS)
    await killed_at(cells, "stocked", ENDING, *WORDS)
    await cells.suites[0].post(f"/api/v1/executions/{held}:cancel", {}, headers=of("stocked"))
    code, output, errors = await finished(cells, *WORDS)
    assert (code, "stocked lives in cell us1" in output) == (0, True), errors
    digests = {"large.bin": (1, LARGE), "notes/a.txt": (2, b"second")}
    assert await stored(cells, 1, there) == {
        path: (version, hashlib.sha256(data).hexdigest())
        for path, (version, data) in digests.items()
    }
    assert await content(cells, 1, there, "large.bin") == LARGE
    assert await content(cells, 1, there, "notes/a.txt", 1) == b"first"
    listed = await SecretServiceStub(cells.suites[1].channel).ListSecrets(
        ListSecretsRequest(namespace="stocked")
    )
    assert [(each.name, each.version) for each in listed.secrets] == [("bank", 1), ("mail", 1)]
    assert await values(cells, 1, "bank", "mail") == [b"value of bank", b"value of mail"]
    assert await target.word("words") == "hello"
    assert (await target.app("words"))["release"] == 1
    assert (await target.app("idle"))["state"] == "stopped"
    await cells.pin("stocked", 0)
    assert (await source.app("words"))["state"] == "stopped"


async def test_a_canceled_move_starts_applications_again(cells: Cells) -> None:
    """Those that it has stopped, and none at the target."""
    await cells.pin("kept", 0)
    host = Host(cells.suites[0], "kept")
    assert (await host.deploy("words", document("kept"))).status == 201
    await killed_at(cells, "kept", SWITCHING, "move", "kept", "--to", "us1")
    code, _, errors = await finished(cells, "move", "kept", "--cancel")
    assert code == 0, errors
    assert await host.word("words") == "kept"


async def test_an_application_with_data_is_refused(cells: Cells) -> None:
    """The list names it, and it keeps running."""
    await cells.pin("data", 0)
    host = Host(cells.suites[0], "data")
    more = """\
- name: db
  type: storage.sqlite
  config: {dbPath: orders.db}
"""
    deployed = await host.deploy("words", document("stays", more=more))
    assert deployed.status == 201, deployed.text
    code, _, errors = await finished(cells, "move", "data", "--to", "us1")
    assert (code, "application words has files of its own" in errors) == (1, True), errors
    assert await host.word("words") == "stays"


async def test_agents_move(cells: Cells) -> None:
    """Those of the source complete its tasks and end; those of the target take over."""
    await cells.pin("crewed", 0)
    here, there = (Crew(cells.suites[number], "crewed") for number in (0, 1))
    assert (await here.apply("packers", replicas=1)).status == 201
    policy = {"spec": "packers", "strategy": "fixed"}
    assert (await here.call("PUT", "scaling-policies/few", policy)).status in (200, 201)
    [agent] = await here.ready(1)
    async with Client(cells.suites[0].grpc_address, namespace="crewed") as client:
        [handle] = await tasks(client, 1, 20.0)
        code, _, errors = await finished(cells, "move", "crewed", "--to", "us1")
        assert code == 0, errors
        assert (await handle.result())["by"] == agent["agentId"]
    [other] = await there.ready(1)
    async with Client(cells.suites[1].grpc_address, namespace="crewed") as client:
        [handle] = await tasks(client, 1, 0.1)
        assert (await handle.result())["by"] == other["agentId"]
    assert len((await there.call("GET", "scaling-policies")).json["policies"]) == 1
    await there.end()
    await cells.pin("crewed", 0)
    await here.ready(0)
    assert (await here.call("GET", "agent-specs")).json["specs"] == []
