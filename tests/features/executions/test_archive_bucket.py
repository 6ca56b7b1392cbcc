"""The archive in an S3-compatible bucket: the views of a folder, and nothing lost without it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features import commands
from tests.features.application_hosts.app_servers import aws
from tests.features.executions.test_keeping import BRIEFLY_DAYS, PATIENCE_S, SECRET, person

pytestmark = pytest.mark.long

BUCKET = "archive"
KEYS = {"AWS_ACCESS_KEY_ID": "flowmesh", "AWS_SECRET_ACCESS_KEY": "of-the-bucket"}


class Bucket:
    """The client of a test for the bucket, beside the suite."""

    def __init__(self, endpoint: str) -> None:
        session = Session()
        session.set_credentials("test", "test")
        self.client: Any = session.create_client(
            "s3", region_name="us-east-1", endpoint_url=endpoint
        )

    def create(self) -> None:
        self.client.create_bucket(Bucket=BUCKET)

    def files(self) -> list[str]:
        """Return the keys of the files with documents."""
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"] for each in found if each["Key"].endswith(".jsonl.gz")]

    def content(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)


@asynccontextmanager
async def archiving(folder: Path) -> AsyncIterator[tuple[Suite, Bucket]]:
    """Run a suite that archives at each start to a bucket that does not exist yet."""
    async with aws() as endpoint:
        environment = {
            "FLOWMESH_RETENTION_DAYS": BRIEFLY_DAYS,
            "FLOWMESH_ARCHIVE_DIR": f"s3://{BUCKET}/of/flowmesh?endpoint={endpoint}",
            **KEYS,
        }
        async with Suite(folder / "data", environment=environment) as suite:
            yield suite, Bucket(endpoint)


async def restarted(suite: Suite) -> None:
    """Housekeeping runs at each start and every ten minutes."""
    await suite.stop()
    await suite.start()


async def archived(suite: Suite, execution_id: str) -> None:
    async def read() -> bool:
        found = await suite.get(f"/api/v1/executions/{execution_id}")
        return found.json.get("archived") is True

    await until("archived", read, within_s=PATIENCE_S)


@pytest.mark.feature("S3-41")
async def test_a_bucket_is_read_through_the_same_views(tmp_path: Path) -> None:
    """By REST, SDK and command line; a flipped bit is named; erasure and deletion reach it."""
    async with archiving(tmp_path) as (suite, bucket):
        bucket.create()
        async with Client(suite.grpc_address) as client:
            gone = await person(client)
            before = await client.get_execution(gone)
            events = [event.type async for event in client.history(gone)]
        await restarted(suite)
        await archived(suite, gone)
        async with Client(suite.grpc_address) as client:
            shown = await client.get_execution(gone)
            assert (shown.output, shown.search) == (before.output, before.search)
            assert [event.type async for event in client.history(gone)] == events
            assert [one.id for one in await client.list_archived()] == [gone]
        url = "/api/v1/executions?archived=true"
        for query in ("", "&workflow=person", "&startedAfter=2026-01-01T00:00:00Z&pageSize=1"):
            listed: Any = (await suite.get(url + query)).json
            assert [one["executionId"] for one in listed["executions"]] == [gone]
            assert listed["executions"][0]["archived"] is True
        assert (await suite.get(f"{url}&workflow=other")).json["executions"] == []
        refused = await suite.get(f"{url}&status=failed")
        assert (refused.status, refused.json["error"]["reason"]) == (400, "REQUEST_INVALID")
        told = await commands.command(suite, "get", "executions", "--archived", "--json")
        assert [one["executionId"] for one in told.json] == [gone], told.err
        refused_status = ("get", "executions", "--archived", "--status", "failed")
        assert (await commands.command(suite, *refused_status)).code == 2
        told = await commands.command(suite, "archive", "show", gone)
        assert SECRET in told.out, told.err
        assert (await suite.get(f"/api/v1/executions/{gone[:-3]}zzz")).status == 404

        (key,) = bucket.files()
        assert key.startswith("of/flowmesh/ns=default/")
        content = bucket.content(key)
        flipped = bytearray(content)
        flipped[100] ^= 1
        bucket.put(key, bytes(flipped))
        for path in ("executions/{}", "executions/{}/history", "archive/{}"):
            answer = await suite.get(f"/api/v1/{path.format(gone)}")
            error: Any = answer.json["error"]
            assert (answer.status, error["reason"]) == (409, "ARCHIVE_DAMAGED"), answer.text
            assert key.rpartition("/")[2] in error["message"]
        bucket.put(key, content)

        erased = await suite.post(f"/api/v1/executions/{gone}:erase", {"reason": "asked"})
        assert erased.status == 204, erased.text
        (after,) = bucket.files()
        assert after != key
        document = await suite.get(f"/api/v1/archive/{gone}")
        assert SECRET not in document.text
        assert (await suite.delete(f"/api/v1/executions/{gone}")).status == 204
        assert (await suite.get(f"/api/v1/executions/{gone}")).status == 404
        assert bucket.files() == []


@pytest.mark.feature("S3-41")
async def test_a_bucket_that_refuses_writes_loses_nothing(tmp_path: Path) -> None:
    """Executions stay until it accepts them; a metric, an alert rule and the log tell."""
    async with archiving(tmp_path) as (suite, bucket):
        async with Client(suite.grpc_address) as client:
            kept = await person(client)
        await restarted(suite)

        async def counted() -> bool:
            text = (await suite.get("/metrics")).text
            return "flowmesh_archive_failures_total 1.0" in text

        await until("a failure", counted, within_s=PATIENCE_S)
        assert "archive_failed" in (log := suite.log.read_text())
        assert "NoSuchBucket" in log
        shown = (await suite.get(f"/api/v1/executions/{kept}")).json
        assert (shown["status"], shown.get("archived", False)) == ("completed", False)
        listed = await suite.get("/api/v1/archive")
        error: Any = listed.json["error"]
        assert (listed.status, error["reason"]) == (503, "ARCHIVE_UNAVAILABLE"), listed.text
        assert "NoSuchBucket" in error["message"]
        bucket.create()
        await restarted(suite)
        await archived(suite, kept)
        assert len(bucket.files()) == 1
