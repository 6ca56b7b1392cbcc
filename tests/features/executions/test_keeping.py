"""What becomes of ended executions: retention, the archive, deletion and erasure on request."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowmesh.errors import Invalid, NotFound, WrongState
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features import commands, store

PATIENCE_S = 20
BRIEFLY_DAYS = "0.00000001"
SECRET = "Ada Lovelace"
PERSON = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: person}
spec:
  tasks:
    - id: copy
      taskRef: transform
      input: {source: "{{ input }}", pipeline: []}
  output: {greeting: "Dear {{ input.name }}"}
  searchable: [input.name]
"""


async def person(client: Client, name: str = SECRET) -> str:
    """A completed execution about somebody."""
    await client.register(PERSON)
    handle = await client.start("person", {"name": name}, labels={"kind": "person"})
    assert await handle.result(PATIENCE_S) == {"greeting": f"Dear {name}"}
    return handle.id


@pytest.mark.long
@pytest.mark.feature("S3-41")
async def test_what_is_past_its_retention_is_in_the_archive(tmp_path: Path) -> None:
    """It leaves the database and is still shown, with a mark; what says 30 days stays."""
    environment = {
        "FLOWMESH_RETENTION_DAYS": BRIEFLY_DAYS,
        "FLOWMESH_ARCHIVE_DIR": str(tmp_path / "archive"),
    }
    async with Suite(tmp_path / "data", environment=environment) as suite:
        async with Client(suite.grpc_address) as client:
            gone = await person(client)
            before = await client.get_execution(gone)
            events = [event.type async for event in client.history(gone)]
            await client.register(
                PERSON.replace("name: person", "name: kept").replace(
                    "  searchable", "  retention: 30d\n  searchable"
                )
            )
            stays = await client.start("kept", {"name": "Grace"})
            await stays.result(PATIENCE_S)
        # Housekeeping is done at every start and every ten minutes.
        await suite.stop()
        await suite.start()
        async with Client(suite.grpc_address) as client:

            async def archived() -> bool:
                return (await client.get_execution(gone)).archived

            await until("archived", archived, within_s=PATIENCE_S)
            async with store.database(suite) as database:
                for table, column in (("executions", "id"), ("search_values", "execution_id")):
                    query = f"select count(*) from {table} where {column} = $1"
                    assert await database.fetchval(query, gone) == 0
            shown = await client.get_execution(gone)
            assert (shown.output, shown.input, shown.search) == (
                before.output,
                before.input,
                before.search,
            )
            assert [event.type async for event in client.history(gone)] == events
            assert not (await client.get_execution(stays.id)).archived
            assert [one.id for one in await client.list_archived()] == [gone]
        rest = await suite.get(f"/api/v1/executions/{gone}")
        assert rest.json["archived"] is True
        told = await commands.command(suite, "archive", "restore-view", gone)
        assert (told.code, "(archived)" in told.out) == (0, True), told.err
        lines = (await commands.command(suite, "archive", "show", gone)).lines
        (file,) = (tmp_path / "archive").rglob("*.jsonl.gz")
        assert gzip.decompress(file.read_bytes()).decode().splitlines() == lines
        assert [orjson.loads(line)["kind"] for line in lines[:3]] == ["execution", "plan", "event"]

        erased = await suite.post(f"/api/v1/executions/{gone}:erase", {"reason": "asked"})
        assert erased.status == 204, erased.text
        (file,) = (tmp_path / "archive").rglob("*.jsonl.gz")
        assert SECRET.encode() not in gzip.decompress(file.read_bytes())
        assert (await suite.get(f"/api/v1/executions/{gone}")).json["erased"]["reason"] == "asked"
        assert (await suite.delete(f"/api/v1/executions/{gone}")).status == 204
        assert (await suite.get(f"/api/v1/executions/{gone}")).status == 404


@pytest.mark.long
@pytest.mark.feature("S3-41")
async def test_a_damaged_archive_is_named_and_its_list_has_pages(tmp_path: Path) -> None:
    """A flipped bit, a cut and a missing file are conflicts that name the file."""
    environment = {
        "FLOWMESH_RETENTION_DAYS": BRIEFLY_DAYS,
        "FLOWMESH_ARCHIVE_DIR": str(tmp_path / "archive"),
    }
    async with Suite(tmp_path / "data", environment=environment) as suite:
        async with Client(suite.grpc_address) as client:
            ids = sorted([await person(client, f"name {number}") for number in range(5)])
        await suite.stop()
        await suite.start()

        async def listed() -> bool:
            found = await suite.get("/api/v1/archive")
            return len(found.json["executions"]) == len(ids)

        await until("archived", listed, within_s=PATIENCE_S)
        paged, token = list[str](), ""
        while not paged or token:
            found = (await suite.get(f"/api/v1/archive?pageSize=2&pageToken={token}")).json
            paged += [each["executionId"] for each in found["executions"]]
            token = found["nextPageToken"]
        assert paged == ids
        wrong = await suite.get("/api/v1/archive?pageSize=2&pageToken=none")
        assert (wrong.status, wrong.json["error"]["reason"]) == (400, "PAGE_TOKEN_INVALID")
        async with Client(suite.grpc_address) as client:
            assert [one.id for one in await client.list_archived(limit=3)] == ids[:3]

        (file,) = (tmp_path / "archive").rglob("*.jsonl.gz")
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[100] ^= 1
        for damage in (bytes(flipped), content[:100], None):
            file.unlink()
            if damage is not None:
                file.write_bytes(damage)
            for path in ("executions/{}", "executions/{}/history", "archive/{}"):
                answer = await suite.get(f"/api/v1/{path.format(ids[0])}")
                error: Any = answer.json["error"]
                assert (answer.status, error["reason"]) == (409, "ARCHIVE_DAMAGED"), answer.text
                assert file.name in error["message"]
            file.write_bytes(content)
        assert (await suite.get(f"/api/v1/executions/{ids[0]}")).json["archived"] is True


async def test_erasure_leaves_a_tombstone_and_no_value(suite: Suite) -> None:
    """Who, when and why stay; no row, payload or search value holds what it was about."""
    async with Client(suite.grpc_address) as client:
        large = SECRET + " " + "x" * 300_000
        one = await person(client, large[:200])
        two = await client.start("person", {"name": "short", "text": large})
        await two.result(PATIENCE_S)
        async with store.database(suite) as database:
            rows = await database.fetch(
                "select digest from payload_refs where execution_id = $1", two.id
            )
            digests = [row["digest"] for row in rows]
        assert digests
        for execution in (one, two.id):
            await client.erase_execution(execution, "she asked")
            shown = await client.get_execution(execution)
            assert shown.erasure is not None
            assert (shown.erasure.reason, shown.input, shown.output) == ("she asked", None, None)
            assert shown.search == ({"label.kind": "person"} if execution == one else {})
            last = [event async for event in client.history(execution)][-1]
            assert (last.type, last.data["reason"]) == ("PayloadsErased", "she asked")
            with pytest.raises(WrongState, match="erased"):
                await client.handle(execution).result()
            with pytest.raises(WrongState, match="erased"):
                await client.handle(execution).rerun()
        results = await suite.get(f"/api/v1/executions/{one}/results")
        assert (results.status, results.json["error"]["reason"]) == (409, "PAYLOAD_ERASED")
        assert [e.id async for e in client.list_executions(filter=f'id = "{one}"')] == [one]
        async with store.database(suite) as database:
            rows = await database.fetch(
                "select events from history where execution_id = any ($1)", [one, two.id]
            )
            assert rows
            assert not any(SECRET.encode() in row["events"] for row in rows)
            for table in ("payload_refs", "snapshots", "erasures"):
                query = f"select count(*) from {table} where execution_id = any ($1)"
                assert await database.fetchval(query, [one, two.id]) == 0
            kept = "select count(*) from payloads where digest = any ($1)"
            assert await database.fetchval(kept, digests) == 0


async def test_a_refused_erasure_erases_nothing_later(suite: Suite) -> None:
    """What is noted to be erased is erased, so a call that is wrong is refused before that."""
    async with Client(suite.grpc_address) as client:
        execution_id = await person(client)
        for wrong in ({"request_id": "r" * 5_000}, {"reason": "r" * 5_000}):
            with pytest.raises(Invalid):
                await client.erase_execution(execution_id, **wrong)
        async with store.database(suite) as database:
            assert await database.fetchval("select count(*) from erasures") == 0
        assert (await client.get_execution(execution_id)).erasure is None


async def test_only_what_has_ended_is_deleted_or_erased(suite: Suite) -> None:
    """A running execution is refused with its state; an unknown one is not found."""
    nap = {"id": "nap", "action": "delay", "params": {"duration": 3_600_000}}
    await suite.define({"id": "keep-me", "steps": [nap]})
    running = await suite.begin("keep-me", {})
    url = f"/api/v1/executions/{running}"
    for refused in (await suite.delete(url), await suite.post(f"{url}:erase", {})):
        error: Any = refused.json
        assert (refused.status, error["error"]["reason"]) == (409, "EXECUTION_RUNNING"), (
            refused.text
        )
        assert error["status"] == "running"
    await suite.post(f"{url}:cancel", {})
    assert (await commands.command(suite, "delete", running)).code == 0
    assert (await suite.get(url)).status == 404
    async with Client(suite.grpc_address) as client:
        for call in (client.delete_execution, client.erase_execution):
            with pytest.raises(NotFound):
                await call(running)
        with pytest.raises(WrongState, match="FLOWMESH_ARCHIVE_DIR"):
            await client.list_archived()


async def test_a_namespace_says_how_long_it_keeps(suite: Suite) -> None:
    """Over REST and the command line; out of range is refused."""
    shown = (await suite.get("/api/v1/retention")).json
    assert shown == {"retentionMs": 30 * 86_400_000, "own": False}
    told = await commands.command(suite, "retention", "set", "12h", "--json")
    assert told.json == {"retentionMs": 12 * 3_600_000, "own": True}
    refused = await suite.put("/api/v1/retention", {"retentionMs": 5})
    assert (refused.status, refused.json["error"]["reason"]) == (400, "RETENTION_INVALID")
    back = await suite.put("/api/v1/retention", {"retentionMs": 0})
    assert back.json == shown
