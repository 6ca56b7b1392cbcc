"""Object stores: a folder, Amazon S3, Google Cloud Storage."""

import asyncio
import base64
import contextlib
import io
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson

from flowmesh.apps.document.expansion import Unresolved
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.secrets.aws import KEYS, aws_client, check_keys
from flowmesh.contract.json_value import Json
from flowmesh.egress.connector import http_session
from flowmesh.egress.policy import Policy
from flowmesh.errors import Invalid, Unavailable
from flowmesh.extras import needed_by

KEY_BYTES_MAX = 1_024
OBJECT_BYTES_MAX = 64 * 1024 * 1024
LISTED_MAX = 10_000
_NOT_FOUND = 404
# The codes of S3 for a missing object; HEAD has no body to name one.
_MISSING = frozenset({"NoSuchKey", "404"})
S3_CONNECT_S = 5
S3_READ_S = 30
GCS_ADDRESS = "https://www.googleapis.com"
GCS_CONNECTIONS_MAX = 64
_GCS_ACCOUNTS = ("service_account", "authorized_user")
_DEVICES = frozenset({"con", "prn", "aux", "nul"})


class ObjectStore(Protocol):
    """Objects by key."""

    async def put(self, key: str, content: bytes) -> None: ...

    async def get(self, key: str) -> bytes | None:
        """Return an object; None if there is none."""

    async def list(self, prefix: str = "") -> Mapping[str, int]:
        """Return the sizes of the objects below a prefix by key."""

    async def delete(self, key: str) -> bool:
        """Delete an object; return whether there was one."""


def check_key(key: str) -> str:
    """Return the key. Raises HttpProblem for one that leads elsewhere."""
    words = key.split("/")
    bad = not key or len(key.encode()) > KEY_BYTES_MAX or "\0" in key or "\\" in key
    if bad or any(word in ("", ".", "..") for word in words):
        text = f"a key is words between slashes, up to {KEY_BYTES_MAX} bytes, not {key[:60]!r}"
        raise HttpProblem(422, "OBJECT_KEY_INVALID", text)
    return key


class ObjectsComponent:
    """`step.delegate` on a store: put, get, list and delete."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def call(self, operation: str, value: Json) -> Json:
        """Run an operation; content is a text, or base64 under `base64`."""
        given = value if isinstance(value, dict) else {}
        if operation == "list":
            found = await self._store.list(str(given.get("prefix") or ""))
            return {"objects": [{"key": key, "size": size} for key, size in found.items()]}
        key = check_key(str(given.get("key") or ""))
        match operation:
            case "put":
                content = _content(given)
                await self._store.put(key, content)
                return {"key": key, "size": len(content)}
            case "get":
                stored = await self._store.get(key)
                if stored is None:
                    raise HttpProblem(404, "OBJECT_NOT_FOUND", f"there is no object {key!r}")
                return {"key": key, "size": len(stored), **_written(stored)}
            case "delete":
                return {"key": key, "deleted": await self._store.delete(key)}
        text = f"an object store has put, get, list and delete, not {operation!r}"
        raise HttpProblem(422, "VALIDATION_FAILED", text)


def _content(given: Mapping[str, Json]) -> bytes:
    if isinstance(given.get("base64"), str):
        try:
            content = base64.b64decode(given["base64"], validate=True)
        except ValueError:
            raise HttpProblem(422, "VALIDATION_FAILED", "base64 is not base64") from None
    else:
        content = str(given.get("content", "")).encode()
    if len(content) > OBJECT_BYTES_MAX:
        text = f"an object has at most {OBJECT_BYTES_MAX} bytes"
        raise HttpProblem(413, "OBJECT_TOO_LARGE", text)
    return content


def _written(content: bytes) -> dict[str, str]:
    try:
        return {"content": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


class LocalObjects:
    """Objects as files below a folder; no key and no link leads out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def start(self) -> None:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)

    async def put(self, key: str, content: bytes) -> None:
        await asyncio.to_thread(self._put, self._path(key), content)

    async def get(self, key: str) -> bytes | None:
        return await asyncio.to_thread(_read, self._path(key))

    async def list(self, prefix: str = "") -> Mapping[str, int]:
        return await asyncio.to_thread(self._list, prefix)

    async def delete(self, key: str) -> bool:
        path = self._path(key)
        try:
            await asyncio.to_thread(path.unlink)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
            return False
        return True

    async def health(self) -> str:
        there = await asyncio.to_thread(os.access, self._folder, os.W_OK)
        return "" if there else f"{self._folder} cannot be written"

    def _path(self, key: str) -> Path:
        if any(word.partition(".")[0].lower() in _DEVICES for word in check_key(key).split("/")):
            raise HttpProblem(422, "OBJECT_KEY_INVALID", f"{key[:60]!r} is the name of a device")
        path = self._folder / key
        root = self._folder.resolve()
        if path.is_symlink() or not path.parent.resolve().is_relative_to(root):
            raise HttpProblem(422, "OBJECT_KEY_INVALID", f"{key[:60]!r} leads out of the folder")
        return path

    def _put(self, path: Path, content: bytes) -> None:
        """Write a file that is there whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except IsADirectoryError:
            text = f"{path.name!r} is the beginning of other keys"
            raise HttpProblem(409, "OBJECT_KEY_INVALID", text) from None
        except OSError as error:
            raise Unavailable("OBJECTS_UNAVAILABLE", f"not stored: {error.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _list(self, prefix: str) -> dict[str, int]:
        found = {
            path.relative_to(self._folder).as_posix(): path.stat().st_size
            for path in sorted(self._folder.rglob("*"))
            if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
        }
        fitting = {key: size for key, size in found.items() if key.startswith(prefix)}
        return dict(list(fitting.items())[:LISTED_MAX])


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


class S3Objects:
    """Objects of a bucket of S3; each call runs in a thread."""

    def __init__(self, name: str, config: Mapping[str, Json]) -> None:
        self._name = name
        self._bucket = str(config["bucket"])
        prefix = str(config.get("prefix") or "").strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._client: Any = aws_client(
            "storage.s3",
            "s3",
            config,
            connect_timeout=S3_CONNECT_S,
            read_timeout=S3_READ_S,
            retries={"total_max_attempts": 3},
            s3={"addressing_style": "path" if config["pathStyle"] else "virtual"},
            # Compatible services know no checksums in trailers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    async def put(self, key: str, content: bytes) -> None:
        await self._called("put_object", Key=self._prefix + key, Body=content)

    async def get(self, key: str) -> bytes | None:
        content = await self._called("get_object", _content_of, Key=self._prefix + key)
        return None if content is None else bytes(content)

    async def list(self, prefix: str = "") -> Mapping[str, int]:
        found: dict[str, int] = {}
        options: dict[str, Json] = {"Prefix": self._prefix + prefix}
        while True:
            page = await self._called("list_objects_v2", **options)
            for each in page.get("Contents") or ():
                found[each["Key"].removeprefix(self._prefix)] = each["Size"]
            if len(found) >= LISTED_MAX or not page["IsTruncated"]:
                return dict(sorted(found.items())[:LISTED_MAX])
            options["ContinuationToken"] = page["NextContinuationToken"]

    async def delete(self, key: str) -> bool:
        if await self._called("head_object", Key=self._prefix + key) is None:
            return False
        await self._called("delete_object", Key=self._prefix + key)
        return True

    async def health(self) -> str:
        return await _reachable(self.get)

    async def _called(
        self, operation: str, read: Callable[[Json], Json] = lambda answer: answer, **given: Json
    ) -> Json:
        """Call an operation; None if there is no such object. Raises Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        def call() -> Json:
            return read(getattr(self._client, operation)(Bucket=self._bucket, **given))

        try:
            return await asyncio.to_thread(call)
        except (BotoCoreError, ClientError, OSError) as error:
            # A request without an answer has None there.
            answer = (getattr(error, "response", None) or {}).get("Error", {})
            if answer.get("Code") in _MISSING:
                return None
            what = answer.get("Code") or type(error).__name__
            text = f"{self._name}: S3 refused or was away: {what}"
            raise Unavailable("OBJECTS_UNAVAILABLE", text) from error


def _content_of(answer: Json) -> bytes:
    return bytes(answer["Body"].read())


class GcsObjects:
    """Objects of a bucket in Google Cloud Storage, over its JSON API.

    `account` is the JSON of its credentials; without it the library is given an empty object, as
    it would look for credentials of this machine.
    """

    def __init__(self, name: str, config: Mapping[str, Json], account: str, policy: Policy) -> None:
        with needed_by("storage.gcs", "apps"):
            from gcloud.aio.storage import Storage

        self._name = name
        self._bucket = str(config["bucket"])
        self._prefix = str(config.get("prefix") or "")
        make: Any = Storage
        self._make = make
        self._project = str(config.get("project") or "")
        self._endpoint = str(config.get("endpoint") or "")
        self._account = account or "{}"
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None
        self._storage: Any = None

    async def start(self) -> None:
        self._session = http_session(
            self._policy,
            connections_max=GCS_CONNECTIONS_MAX,
            auto_decompress=True,
            headers={"X-Goog-User-Project": self._project} if self._project else None,
        )
        self._storage = self._make(
            session=self._session,
            service_file=io.StringIO(self._account),
            api_root=self._endpoint or GCS_ADDRESS,
            api_is_dev=bool(self._endpoint),
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._storage.close()
            await self._session.close()

    async def put(self, key: str, content: bytes) -> None:
        async with self._translated():
            await self._storage.upload(self._bucket, self._prefix + key, content)

    async def get(self, key: str) -> bytes | None:
        async with self._translated():
            try:
                return bytes(await self._storage.download(self._bucket, self._prefix + key))
            except aiohttp.ClientResponseError as error:
                if error.status == _NOT_FOUND:
                    return None
                raise

    async def list(self, prefix: str = "") -> Mapping[str, int]:
        found: dict[str, int] = {}
        token = ""
        async with self._translated():
            while len(found) < LISTED_MAX:
                params = {
                    "prefix": self._prefix + prefix,
                    **({"pageToken": token} if token else {}),
                }
                page = await self._storage.list_objects(self._bucket, params=params)
                for each in page.get("items") or ():
                    found[str(each["name"]).removeprefix(self._prefix)] = int(each["size"])
                token = page.get("nextPageToken") or ""
                if not token:
                    break
        return dict(sorted(found.items()))

    async def delete(self, key: str) -> bool:
        async with self._translated():
            try:
                await self._storage.delete(self._bucket, self._prefix + key)
            except aiohttp.ClientResponseError as error:
                if error.status == _NOT_FOUND:
                    return False
                raise
        return True

    async def health(self) -> str:
        return await _reachable(self.get)

    @contextlib.asynccontextmanager
    async def _translated(self) -> Any:
        try:
            yield
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            status = getattr(error, "status", "")
            text = f"{self._name}: GCS refused or was away: {type(error).__name__} {status}"
            raise Unavailable("OBJECTS_UNAVAILABLE", text.rstrip()) from None


async def _reachable(get: Callable[[str], Awaitable[Json]]) -> str:
    try:
        await get(".flowmesh-health")
    except Unavailable as error:
        return error.message
    return ""


def local(setting: Setting) -> Module:
    """Build storage.local."""
    made = LocalObjects(setting.path(str(setting.config["rootDir"])))
    services = {"ObjectStore": made, "Component": ObjectsComponent(made)}
    return Module(name=setting.name, services=services, start=made.start, health=made.health)


def s3(setting: Setting) -> Module:
    """Build storage.s3. Raises Invalid for a wrong endpoint, and without keys."""
    endpoint = str(setting.config.get("endpoint") or "")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise setting.invalid("endpoint begins with http:// or https://")
    if not any(isinstance(setting.config[each], Unresolved) for each in KEYS):
        check_keys("storage.s3", setting.config)
    made = S3Objects(setting.name, setting.config)
    services = {"ObjectStore": made, "Component": ObjectsComponent(made)}
    return Module(name=setting.name, services=services, health=made.health)


def _account(setting: Setting) -> str:
    """Return the JSON of the credentials; empty for a compatible service, which needs none.

    Raises Invalid for kinds whose tokens come from files or programs of this machine.
    """
    file = str(setting.config.get("credentialsFile") or "")
    if not file and setting.config.get("endpoint"):
        return ""
    if not file:
        text = f"{setting.name} needs credentialsFile; credentials of this machine are not used"
        raise Invalid("APP_CONFIG_INVALID", text)
    try:
        content = setting.path(file).read_text()
        kind = orjson.loads(content)["type"]
    except OSError:
        raise setting.invalid(f"there is no file {file}") from None
    except (ValueError, LookupError, TypeError):
        raise setting.invalid(f"{file} is not the JSON of an account") from None
    if kind not in _GCS_ACCOUNTS:
        text = f"the type in {file} is one of {', '.join(_GCS_ACCOUNTS)}"
        raise setting.invalid(f"{text}, not {str(kind)[:40]!r}")
    return content


def gcs(setting: Setting) -> Module:
    """Build storage.gcs. Raises Invalid for credentials that are not there."""
    made = GcsObjects(setting.name, setting.config, _account(setting), setting.policy)
    services = {"ObjectStore": made, "Component": ObjectsComponent(made)}
    return Module(
        name=setting.name,
        services=services,
        start=made.start,
        stop=made.stop,
        health=made.health,
    )
