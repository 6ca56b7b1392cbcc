"""An API server of Kubernetes in memory, for tests of clients: no schemas, no rights.

It speaks HTTP: objects with versions and generations, patches, lists, watches, and failures that
a test sets.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web
from lightkube import AsyncClient, KubeConfig

from flowmesh.embedded.ports import free_port

HOST: Final = "127.0.0.1"
SYSTEM: Final = "system"
"""The namespace of the programs of the suite, and of clients without another."""

Object = dict[str, Any]
Place = tuple[str, str, str]
"""The plural, the namespace and the name of an object."""


class Refused(Exception):
    """An answer with a status above 399."""

    def __init__(self, code: int, message: str, **details: Any) -> None:
        self.code = code
        self.body = {"kind": "Status", "status": "Failure", "code": code, "message": message}
        self.body |= details
        super().__init__(message)


class ApiServer:
    """The objects of a cluster, by plural, namespace and name."""

    def __init__(self) -> None:
        self.url = f"http://{HOST}:{free_port()}"
        self.objects: dict[Place, Object] = {}
        # Methods and paths of requests, such as `PATCH pods/default/a`, without those of watches.
        self.requests: list[str] = []
        # Answers in place of the true ones, by requests or their first words; None is no JSON.
        self.failures: dict[str, Refused | None] = {}
        # Who applied each object first.
        self._managers: dict[Place, str] = {}
        self._version = 0
        self._watches: list[tuple[str, asyncio.Queue[bytes | None]]] = []

    def put(self, plural: str, found: Object) -> Object:
        """Store an object as if someone had applied it; return what is stored."""
        metadata = found["metadata"]
        place = (plural, metadata.get("namespace", ""), metadata["name"])
        self._managers.setdefault(place, "chart")
        return self._store(place, found)

    def get(self, plural: str, name: str, namespace: str = "shop") -> Object | None:
        return self.objects.get((plural, namespace, name))

    def names(self, plural: str) -> list[str]:
        return sorted(name for kind, _, name in self.objects if kind == plural)

    def remove(self, plural: str, name: str, namespace: str = "shop") -> None:
        """Delete an object at once, regardless of its finalizers."""
        found = self.objects.pop((plural, namespace, name))
        self._tell(plural, "DELETED", found)

    def send(self, plural: str, change: str, found: Object) -> None:
        """Send a line to the watches of a plural, such as an ERROR."""
        self._tell(plural, change, found)

    def end_watches(self) -> None:
        """End the watches as a server does now and then."""
        for _, lines in self._watches:
            lines.put_nowait(None)

    @property
    def watched(self) -> list[str]:
        """The plurals with a watch."""
        return sorted(plural for plural, _ in self._watches)

    # --- storage ---

    def _store(self, place: Place, wanted: Object) -> Object:
        before = self.objects.get(place)
        old = before["metadata"] if before else {"generation": 0}
        self._version += 1
        stored = deepcopy(wanted)
        metadata = stored["metadata"]
        changed = before is None or before.get("spec") != stored.get("spec")
        metadata |= {
            "uid": old.get("uid") or metadata.get("uid") or f"uid-{self._version}",
            "generation": old["generation"] + changed,
            "resourceVersion": str(self._version),
            "creationTimestamp": old.get("creationTimestamp") or _now(),
        }
        _encode(stored)
        if place[0] == "services":
            stored.setdefault("spec", {}).setdefault("clusterIP", "10.0.0.1")
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.objects.pop(place, None)
            self._tell(place[0], "DELETED", stored)
            return stored
        self.objects[place] = stored
        self._tell(place[0], "MODIFIED" if before else "ADDED", stored)
        return stored

    def _tell(self, plural: str, change: str, found: Object) -> None:
        line = orjson.dumps({"type": change, "object": found}) + b"\n"
        for watched, lines in self._watches:
            if watched == plural:
                lines.put_nowait(line)

    # --- HTTP ---

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, HOST, int(self.url.rpartition(":")[2])).start()
        try:
            yield
        finally:
            self.end_watches()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        plural, namespace, name, subresource = _parsed(request.path)
        if request.query.get("watch"):
            return await self._watch(request, plural)
        said = " ".join((request.method, "/".join(filter(None, (plural, namespace, name)))))
        said += f"/{subresource}" * bool(subresource)
        said += " dry" * bool(request.query.get("dryRun"))
        self.requests.append(said)
        for start, failure in self.failures.items():
            if said.startswith(start):
                if failure is None:
                    return web.Response(status=404, text="no such page")
                return _json(failure.body, failure.code)
        try:
            answer = await self._answer(request, (plural, namespace, name), subresource)
        except Refused as refused:
            return _json(refused.body, refused.code)
        return _json(answer)

    async def _answer(self, request: web.Request, place: Place, subresource: str) -> Object:
        plural, namespace, name = place
        if request.method == "GET" and not name:
            return self._list(plural, namespace, request.query)
        if request.method == "POST":
            return self._create(plural, namespace, await request.json())
        before = self.objects.get(place)
        if request.method == "PATCH":
            patch = orjson.loads(await request.read())
            applied = "apply" in request.content_type
            if before is None and (subresource or not applied):
                raise Refused(404, f'{plural} "{name}" not found', reason="NotFound")
            _check_version(before, patch)
            wanted = self._patched(place, patch, request.query.get("fieldManager", ""), applied)
            if request.query.get("dryRun"):
                return wanted
            if subresource:
                wanted = {**(before or {}), subresource: wanted[subresource]}
            return self._store(place, wanted)
        if before is None:
            raise Refused(404, f'{plural} "{name}" not found', reason="NotFound")
        if request.method == "PUT":
            wanted = await request.json()
            _check_version(before, wanted)
            return self._store(place, wanted)
        if request.method == "DELETE":
            metadata = {**before["metadata"], "deletionTimestamp": _now()}
            self._store(place, {**before, "metadata": metadata})
            return {"kind": "Status", "status": "Success"}
        return before

    def _patched(self, place: Place, patch: Object, manager: str, applied: bool) -> Object:
        """Return an object after a patch; a manager that applies its own again replaces it."""
        before = self.objects.get(place) or {"metadata": {"name": place[2]}}
        if not applied or self._managers.get(place, manager) != manager:
            return _merged(before, patch, applied=applied)
        self._managers[place] = manager
        metadata = {**before["metadata"], **patch.get("metadata", {})}
        status = {"status": before["status"]} if "status" in before else {}
        return {**status, **patch, "metadata": metadata}

    def _list(self, plural: str, namespace: str, query: Mapping[str, str]) -> Object:
        """Return a page; a page of a test has two objects."""
        labels = dict(each.split("=") for each in query.get("labelSelector", "").split(",") if each)
        fields = dict(each.split("=") for each in query.get("fieldSelector", "").split(",") if each)
        found = [
            each
            for (kind, place, name), each in sorted(self.objects.items())
            if kind == plural
            and namespace in ("", place)
            and labels.items() <= (each["metadata"].get("labels") or {}).items()
            and fields.get("metadata.name", name) == name
        ]
        begin = int(query.get("continue") or 0)
        page: Object = {"resourceVersion": str(self._version)}
        if query.get("limit") and begin + 2 < len(found):
            page["continue"] = str(begin + 2)
            return {"items": found[begin : begin + 2], "metadata": page}
        return {"items": found[begin:], "metadata": page}

    def _create(self, plural: str, namespace: str, wanted: Object) -> Object:
        metadata = wanted["metadata"]
        name = metadata.get("name") or f"{metadata['generateName']}{self._version}"
        metadata |= {"name": name, "namespace": namespace}
        if (plural, namespace, name) in self.objects:
            raise Refused(409, f'{plural} "{name}" already exists', reason="AlreadyExists")
        return self._store((plural, namespace, name), wanted)

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        watch = (plural, lines)
        since = int(request.query.get("resourceVersion") or 0)
        for (kind, _, _), found in self.objects.items():
            if kind == plural and int(found["metadata"]["resourceVersion"]) > since:
                lines.put_nowait(orjson.dumps({"type": "MODIFIED", "object": found}) + b"\n")
        self._watches.append(watch)
        response = web.StreamResponse()
        response.content_type = "application/json"
        try:
            await response.prepare(request)
            while (line := await lines.get()) is not None:
                await response.write(line)
        finally:
            self._watches.remove(watch)
        return response


@asynccontextmanager
async def api_server() -> AsyncIterator[tuple[ApiServer, AsyncClient]]:
    """Yield a server without objects, and a client of it."""
    server = ApiServer()
    config = KubeConfig.from_dict(kubeconfig(server)).get()
    async with server.serving(), AsyncClient(config=config, trust_env=False) as client:
        yield server, client


def kubeconfig(server: ApiServer) -> dict[str, Any]:
    context = {"cluster": "c", "user": "u", "namespace": SYSTEM}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [
            {"name": "c", "cluster": {"server": server.url, "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": context}],
    }


def write_kubeconfig(server: ApiServer, folder: Path) -> Path:
    path = folder / "kubeconfig"
    path.write_text(json.dumps(kubeconfig(server)))
    return path


def _json(body: Object, code: int = 200) -> web.Response:
    # A client takes an error for one of the API server by this content type alone.
    return web.Response(body=orjson.dumps(body), status=code, content_type="application/json")


def _parsed(path: str) -> tuple[str, str, str, str]:
    """Return plural, namespace, name and subresource of a path."""
    words = path.strip("/").split("/")
    measured = words[1] == "metrics.k8s.io"
    words = words[2:] if words[0] == "api" else words[3:]
    namespace = ""
    if words[0] == "namespaces" and len(words) > 2:
        namespace, words = words[1], words[2:]
    plural, name, subresource = (*words, "", "")[:3]
    # Metrics of pods have the plural of pods.
    plural = "podmetrics" if measured else plural
    return plural, namespace, name, subresource


def _merged(before: Object, patch: Object, *, applied: bool) -> Object:
    """Merge as JSON Merge Patch does; applied lists of members with names are merged by name."""
    after = dict(before)
    for name, value in patch.items():
        old = after.get(name)
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict):
            after[name] = _merged(old if isinstance(old, dict) else {}, value, applied=applied)
        elif applied and _are_named(value):
            known = {each["name"]: each for each in old or []}
            for each in value:
                known[each["name"]] = _merged(known.get(each["name"], {}), each, applied=True)
            after[name] = list(known.values())
        else:
            after[name] = value
    return after


def _are_named(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(each, dict) and "name" in each for each in value)


def _check_version(before: Object | None, wanted: Object) -> None:
    version = wanted.get("metadata", {}).get("resourceVersion")
    if before and version and version != before["metadata"]["resourceVersion"]:
        raise Refused(409, "the object has been modified", reason="Conflict")


def _encode(stored: Object) -> None:
    """Keep texts of a Secret encoded, as the API server does."""
    texts = stored.pop("stringData", None)
    if texts:
        coded = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        stored["data"] = {**stored.get("data", {}), **coded}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
