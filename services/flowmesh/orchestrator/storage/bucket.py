"""Files of the archive in an S3-compatible bucket.

Requests go through `flowmesh.egress` on the event loop, while the functions here block in threads.
A file is read and written in parts, so that memory does not depend on its size. Writers exclude
each other by a lock of the database that all orchestrators share.
"""

import asyncio
import errno
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TypeVar, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from xml.etree.ElementTree import Element, ParseError

import asyncpg
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from flowmesh.egress import (
    OPEN,
    Egress,
    EgressFailure,
    Pool,
    RequestInvalid,
    Response,
    check_server,
)
from flowmesh.extras import needed_by

BUCKETS: Final = "s3://"
"""The beginning of addresses."""
PART_BYTES: Final = 8 << 20
"""Of uploads and downloads; S3 wants parts of 5 MiB and more."""

CALL_MS: Final = 30_000
CALLS_MAX: Final = 16
ANSWER_BYTES_MAX: Final = PART_BYTES + (1 << 20)
PROBLEM_CHARS_MAX: Final = 200
_PARAMETERS: Final = frozenset({"region", "endpoint", "credentials_file"})
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9._/-]{0,256}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_MISSING: Final = "NoSuchKey"

T = TypeVar("T")
Lock = Callable[[], AbstractAsyncContextManager[None]]
"""Makes the lock of writers."""


class BucketInvalid(ValueError):
    """The address of a bucket is malformed."""


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A bucket with the beginning of its keys: `s3://BUCKET/PREFIX?region=…`."""

    bucket: str
    prefix: str
    region: str
    endpoint: str
    credentials_file: str

    @classmethod
    def parse(cls, text: str) -> "BucketAddress":
        """Return the parts of an address. Raises BucketInvalid."""
        try:
            parts = urlsplit(text)
            given = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError:
            raise _wrong("it cannot be parsed") from None
        if unknown := sorted(given.keys() - _PARAMETERS):
            known = ", ".join(sorted(_PARAMETERS))
            raise _wrong(f"it has no parameter {unknown[0]!r}; there are {known}")
        prefix = parts.path.strip("/")
        if not _BUCKET.fullmatch(parts.netloc) or not _PREFIX.fullmatch(prefix):
            raise _wrong("it is not s3://BUCKET/PREFIX")
        region, endpoint = given.get("region", "us-east-1"), given.get("endpoint", "").rstrip("/")
        if not _REGION.fullmatch(region):
            raise _wrong(f"{region[:40]!r} is no region")
        if endpoint:
            try:
                check_server(endpoint)
            except RequestInvalid as error:
                raise _wrong(f"its endpoint: {error}") from error
        file = given.get("credentials_file", "")
        if file and not file.startswith("/"):
            raise _wrong("its credentials_file is no absolute path")
        return cls(parts.netloc, f"{prefix}/" if prefix else "", region, endpoint, file)

    @property
    def url(self) -> str:
        """The address of the bucket, without a slash at its end."""
        if self.endpoint:
            return f"{self.endpoint}/{self.bucket}"
        return f"https://{self.bucket}.s3.{self.region}.amazonaws.com"


def _wrong(text: str) -> BucketInvalid:
    return BucketInvalid(f"the address of a bucket is invalid: {text}")


class BucketFiles:
    """The files in a bucket. Made on the event loop, called in threads."""

    def __init__(self, address: BucketAddress, egress: Egress, lock: Lock) -> None:
        with needed_by("an archive in a bucket", "apps"):
            from botocore.session import Session

        self._address = address
        self._egress = egress
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._session: Any = Session()
        if address.credentials_file:
            self._session.set_config_variable("credentials_file", address.credentials_file)

    @contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        """Exclude other writers; readers need no lock."""
        if not exclusive:
            yield
            return
        lock = self._lock()
        self._ask(_entered(lock))
        try:
            yield
        finally:
            self._ask(_left(lock))

    def names(self, folder: str) -> Sequence[str]:
        prefix = f"{self._address.prefix}{folder}/"
        query = {"delimiter": "/", "list-type": "2", "prefix": prefix}
        found: list[str] = []
        while True:
            page = _xml(self._call("GET", query=query))
            keys = [
                *page.findall("{*}Contents/{*}Key"),
                *page.findall("{*}CommonPrefixes/{*}Prefix"),
            ]
            found += [str(key.text).removeprefix(prefix).rstrip("/") for key in keys]
            if page.findtext("{*}IsTruncated") != "true":
                return sorted(found)
            query["continuation-token"] = page.findtext("{*}NextContinuationToken") or ""

    @contextmanager
    def draft(self, key: str) -> Iterator[BinaryIO]:
        with tempfile.TemporaryFile() as file:
            yield cast(BinaryIO, file)

    def publish(self, draft: BinaryIO, key: str) -> None:
        size = draft.tell()
        draft.seek(0)
        if size <= PART_BYTES:
            self._call("PUT", key, body=draft.read())
        else:
            self._publish_parts(draft, key)

    def _publish_parts(self, draft: BinaryIO, key: str) -> None:
        begun = _xml(self._call("POST", key, query={"uploads": ""}))
        upload = {"uploadId": begun.findtext("{*}UploadId") or ""}
        try:
            parts = ""
            for number, part in enumerate(iter(lambda: draft.read(PART_BYTES), b""), 1):
                query = {"partNumber": str(number), **upload}
                tag = self._call("PUT", key, query=query, body=part).headers.get("etag", "")
                parts += f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
            done = self._call("POST", key, query=upload, body=body)
            # This operation answers 200 before it has failed.
            if _xml(done).tag.endswith("Error"):
                raise _failed("POST", done)
        except BaseException:
            with suppress(OSError):
                self._call("DELETE", key, query=upload)
            raise

    def read(self, key: str, begin: int = 0, length: int = 0) -> BinaryIO:
        """Return a copy of a part of a file, or of all of it, in a temporary file."""
        with ExitStack() as stack:
            file = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
            end = begin + length if length else None
            while end is None or begin < end:
                last = begin + PART_BYTES if end is None else min(begin + PART_BYTES, end)
                found = self._call("GET", key, headers={"range": f"bytes={begin}-{last - 1}"})
                file.write(found.body)
                begin += len(found.body)
                whole = int(found.headers.get("content-range", "").rpartition("/")[2] or begin)
                if begin >= whole or not found.body:
                    break
            file.seek(0)
            stack.pop_all()
        return file

    def delete(self, folder: str, names: Sequence[str]) -> None:
        for name in names:
            self._call("DELETE", f"{folder}/{name}")

    def _call(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        """Return an answer below 300. Raises FileNotFoundError, OSError."""
        path = quote(self._address.prefix + key) if key else ""
        url = f"{self._address.url}/{path}"
        if query:
            url += "?" + urlencode(sorted(query.items()), quote_via=quote)
        try:
            answer = self._ask(
                self._egress.send(
                    method,
                    url,
                    headers=self._signed(method, url, dict(headers or {}), body),
                    body=body or None,
                    timeout_ms=CALL_MS,
                    redirects_max=0,
                    response_bytes_max=ANSWER_BYTES_MAX,
                )
            )
        except EgressFailure as error:
            text = f"the bucket {self._address.bucket} did not answer: {error}"
            raise OSError(errno.EIO, text) from error
        if answer.status >= 300:
            raise _failed(method, answer)
        return answer

    def _signed(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> dict[str, str]:
        """Return headers with a signature (Signature Version 4)."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except BotoCoreError as error:
            text = f"the credentials of the bucket cannot be read: {type(error).__name__}"
            raise OSError(errno.EACCES, text) from error
        if frozen is None:
            text = "no credentials; name credentials_file, or give this process a role"
            raise OSError(errno.EACCES, text)
        request = AWSRequest(method, url, data=body, headers=headers)
        S3SigV4Auth(frozen, "s3", self._address.region).add_auth(request)
        return dict(request.headers.items())

    def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()


@asynccontextmanager
async def bucket_files(
    text: str, pool: "asyncpg.Pool[asyncpg.Record]"
) -> AsyncIterator[BucketFiles]:
    """Open the bucket of an address. Raises BucketInvalid, ExtraMissing."""
    address = BucketAddress.parse(text)

    @asynccontextmanager
    async def lock() -> AsyncIterator[None]:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtext('flowmesh.archive'))")
            yield

    # The address is the operator's own, so it may be an internal one.
    async with Egress(OPEN, pool=Pool.of_calls(CALLS_MAX)) as egress:
        yield BucketFiles(address, egress, lock)


async def _entered(lock: AbstractAsyncContextManager[None]) -> None:
    await lock.__aenter__()


async def _left(lock: AbstractAsyncContextManager[None]) -> None:
    await lock.__aexit__(None, None, None)


def _failed(method: str, answer: Response) -> OSError:
    try:
        found = _xml(answer)
    except OSError:
        found = Element("Error")
    code, message = found.findtext("{*}Code") or "", found.findtext("{*}Message") or ""
    text = f"{method} answered {answer.status} {code}: {message[:PROBLEM_CHARS_MAX]}".rstrip(": ")
    if code == _MISSING:
        return FileNotFoundError(errno.ENOENT, text)
    return OSError(errno.EACCES if answer.status == 403 else errno.EIO, text)


def _xml(answer: Response) -> Element:
    try:
        return fromstring(answer.body, forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        text = f"the bucket answered {answer.status} without XML"
        raise OSError(errno.EIO, text) from error
