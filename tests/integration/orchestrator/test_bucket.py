"""The files of the archive in a bucket, against the S3 server of moto."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from botocore.session import Session

from flowmesh.egress import OPEN, Egress
from flowmesh.orchestrator.storage.bucket import (
    PART_BYTES,
    BucketAddress,
    BucketFiles,
    BucketInvalid,
)
from tests.features.application_hosts.app_servers import aws

FOLDER = "ns=shop/2026-11-29"


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    """A lock that no other writer wants."""
    yield


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[BucketFiles]:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = s\n")
    async with aws() as endpoint, Egress(OPEN) as egress:
        session = Session()
        session.set_credentials("a", "s")
        client = session.create_client("s3", region_name="us-east-1", endpoint_url=endpoint)
        client.create_bucket(Bucket="archive")
        text = f"s3://archive/below?endpoint={endpoint}&credentials_file={credentials}"
        yield BucketFiles(BucketAddress.parse(text), egress, nothing)


def exchanged(files: BucketFiles, key: str, content: bytes) -> bytes:
    """Write a file and read it back."""
    with files.locked(exclusive=True), files.draft(key) as draft:
        draft.write(content)
        files.publish(draft, key)
    with files.read(key) as file:
        return file.read()


@pytest.mark.long
@pytest.mark.parametrize("size", [1_000, PART_BYTES, 2 * PART_BYTES + 1])
async def test_files_of_any_size_are_written_and_read(files: BucketFiles, size: int) -> None:
    """Large ones in parts; a part of a file is read by its place."""
    content = bytes(number % 251 for number in range(1_000)) * (size // 1_000 + 1)
    key = f"{FOLDER}/a b.jsonl.gz"
    assert await asyncio.to_thread(exchanged, files, key, content[:size]) == content[:size]

    def part() -> bytes:
        with files.read(key, size - 300, 300) as file:
            return file.read()

    assert await asyncio.to_thread(part) == content[size - 300 : size]


@pytest.mark.long
async def test_names_are_listed_beyond_a_page(files: BucketFiles) -> None:
    """In order, folders too, and only those of the folder; what is deleted is missing."""

    def names() -> list[list[str]]:
        for number in range(1_001):
            with files.draft("") as draft:
                files.publish(draft, f"{FOLDER}/{number:04}.index")
        listed = [list(files.names(folder)) for folder in (FOLDER, "ns=shop", "ns=sho")]
        files.delete(FOLDER, ["0000.index", "none.index"])
        return [*listed, list(files.names(FOLDER))]

    found = await asyncio.to_thread(names)
    assert found[0] == [f"{number:04}.index" for number in range(1_001)]
    assert found[1:3] == [["2026-11-29"], []]
    assert found[3] == found[0][1:]
    with pytest.raises(FileNotFoundError):
        await asyncio.to_thread(files.read, f"{FOLDER}/0000.index")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("s3://", "not s3://BUCKET/PREFIX"),
        ("s3://UPPER/x", "not s3://BUCKET/PREFIX"),
        ("s3://user:secret@bucket/x", "not s3://BUCKET/PREFIX"),
        ("s3://bucket/a%20b", "not s3://BUCKET/PREFIX"),
        ("s3://bucket/?colour=red", "no parameter 'colour'"),
        ("s3://bucket/?region", "cannot be parsed"),
        ("s3://bucket/?region=EU_1", "no region"),
        ("s3://bucket/?endpoint=http://store:9000", "plain http"),
        ("s3://bucket/?endpoint=https://me:secret@store", "names a user"),
        ("s3://bucket/?endpoint=ftp://store", "http:// or https://"),
        ("s3://bucket/?credentials_file=aws", "no absolute path"),
    ],
)
def test_a_wrong_address_is_refused(address: str, problem: str) -> None:
    """The message has the part that is wrong, and no credential."""
    with pytest.raises(BucketInvalid, match=problem) as raised:
        BucketAddress.parse(address)
    assert "secret" not in str(raised.value)
