"""Proxies: by path prefix, and by patterns with several backends."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import aiohttp
import orjson

from flowmesh.apps.http.backends import Backend, Checking, read_backend
from flowmesh.apps.http.messages import Request, Response, json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.contract.json_value import Json
from flowmesh.egress.connector import http_session
from flowmesh.egress.policy import Policy
from flowmesh.errors import Invalid
from flowmesh.runtime.http.router import RouteConflict, Router

CONNECTIONS_MAX = 256
COMPOSITE_BYTES_MAX = 8 * 1024 * 1024
CACHE_ENTRIES_MAX = 1_000
CACHED_BYTES_MAX = 1024 * 1024
_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade", b"host", b"content-length"),
    }
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Forwarder:
    """Sends requests on, and streams the answers."""

    def __init__(
        self, *, policy: Policy, timeout_s: float, forwarded: frozenset[bytes] = frozenset()
    ) -> None:
        self._policy = policy
        self._timeout_s = timeout_s
        self._forwarded = forwarded
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = http_session(self._policy, connections_max=CONNECTIONS_MAX)

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request, backend: Backend, *, stream: bool = True) -> Response:
        """Forward a request. Raises HttpProblem with 502, 503 or 504."""
        left = backend.open_until - time.monotonic()
        if left > 0 or not backend.healthy:
            headers = [(b"retry-after", str(max(1, math.ceil(left))).encode())]
            text = f"the backend {backend.name} is not answering"
            raise HttpProblem(503, "BACKEND_OPEN", text, headers=headers)
        tries = 1 + (backend.retries if request.method in _SAFE else 0)
        for attempt in range(1, tries + 1):
            try:
                response = await self._once(request, backend, stream)
            except HttpProblem:
                self._count(backend, failed=True)
                if attempt == tries:
                    raise
                continue
            self._count(backend, failed=response.status >= 500)
            return response
        raise AssertionError("the last attempt returns or raises")

    def _count(self, backend: Backend, *, failed: bool) -> None:
        backend.failures = backend.failures + 1 if failed else 0
        breaker = backend.breaker
        if breaker is not None and backend.failures >= breaker.failures:
            backend.open_until = time.monotonic() + breaker.open_s

    async def watch(self, backend: Backend, checking: Checking) -> None:
        """Ask for the health of a backend, again and again."""
        assert self._session is not None
        while True:
            try:
                async with (
                    asyncio.timeout(checking.timeout_s),
                    self._session.get(f"{backend.url.rstrip('/')}{checking.path}") as answer,
                ):
                    backend.healthy = answer.status in checking.statuses
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
                backend.healthy = False
            await asyncio.sleep(checking.interval_s)

    async def _once(self, request: Request, backend: Backend, stream: bool) -> Response:
        if self._session is None:
            raise HttpProblem(503, "BACKEND_OPEN", "the proxy is not running")
        data = _sent_body(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._session.request(
                    request.method,
                    backend.target(request),
                    headers=self._headers(request, backend),
                    data=data,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                )
        except TimeoutError:
            text = f"{backend.name} did not answer within {self._timeout_s:g} s"
            raise HttpProblem(504, "BACKEND_LATE", text) from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise HttpProblem(502, "BACKEND_FAILED", f"{backend.name} cannot be reached") from None
        headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in answer.headers.items()]
        kept = [each for each in headers if each[0] not in _HOP]
        if not stream:
            async with answer:
                body = await answer.content.read(COMPOSITE_BYTES_MAX)
            return Response(answer.status, body, b"", kept)
        return Response(answer.status, b"", b"", kept, stream=_chunks(answer, self._timeout_s))

    def _headers(self, request: Request, backend: Backend) -> list[tuple[str, str]]:
        named = {
            part.strip().lower().encode("latin-1")
            for part in request.header(b"connection").split(",")
        }
        sent = [
            (str(k, "latin-1"), str(v, "latin-1"))
            for k, v in request.headers
            if k not in _HOP and k not in named and not k.startswith(b"x-forwarded-")
            if not self._forwarded or k in self._forwarded or k.startswith(b"content-")
        ]
        before = request.header(b"x-forwarded-for")
        chain = f"{before}, {request.client}" if before else request.client
        sent += [
            ("X-Forwarded-For", chain),
            ("X-Forwarded-Host", request.header(b"host")),
            ("X-Forwarded-Proto", request.scheme),
        ]
        replaced = {name.lower() for name in backend.headers}
        return [e for e in sent if e[0].lower() not in replaced] + list(backend.headers.items())


def _sent_body(request: Request) -> Any:
    receive = request.receive
    if request.body or receive is None:
        return request.body or None
    length = request.header(b"content-length")
    if length in ("", "0") and not request.header(b"transfer-encoding"):
        return None

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    return pieces()


async def _chunks(answer: aiohttp.ClientResponse, idle_s: float) -> AsyncIterator[bytes]:
    async with answer:
        while True:
            async with asyncio.timeout(idle_s):
                chunk = await answer.content.readany()
            if not chunk:
                return
            yield chunk


def simple_proxy(setting: Setting) -> Module:
    """Build http.simple_proxy: the longest prefix wins."""
    config = setting.config
    targets = {str(k): str(v) for k, v in config["targets"].items()}
    for prefix, url in targets.items():
        if not url.startswith(("http://", "https://")):
            raise setting.invalid(f"the target of {prefix} must begin with http://, not {url!r}")
    ordered = sorted(targets.items(), key=lambda each: -len(each[0]))
    backends = [(prefix.rstrip("/"), Backend(prefix, url)) for prefix, url in ordered]
    forwarder = Forwarder(policy=setting.policy, timeout_s=float(config["timeout"]))

    async def handle(request: Request) -> Response:
        for prefix, backend in backends:
            if request.path == prefix or request.path.startswith(prefix + "/"):
                return await forwarder.send(request, backend)
        raise HttpProblem(404, "ROUTE_NOT_FOUND", "no target serves this path")

    def mount(mounts: Mounts) -> None:
        where = setting.partners.get("Router", "")
        app = mounts.of_router(where)
        for prefix, _ in backends if app is not None else ():
            assert app is not None
            for template in (prefix or "/", f"{prefix}/{{rest...}}"):
                app.add("", template, handle, middlewares=mounts.middlewares(where), streams=True)

    return Module(
        name=setting.name,
        services={"Handler": handle},
        start=forwarder.start,
        stop=forwarder.stop,
        mount=mount,
    )


class ReverseProxy:
    """Patterns to backends; composite patterns join several answers."""

    def __init__(
        self,
        *,
        backends: Mapping[str, Backend],
        routes: Mapping[str, str],
        default: str,
        composites: Mapping[str, tuple[list[str], str]],
        forwarder: Forwarder,
        cache_s: float,
        tenant_header: bytes,
    ) -> None:
        self._backends = backends
        self._default = default
        self._forwarder = forwarder
        self._cache_s = cache_s
        self._tenant_header = tenant_header
        self._cache: dict[str, tuple[float, Response]] = {}
        self._router: Router[tuple[list[str], str]] = Router()
        targets = {**{pattern: ([name], "") for pattern, name in routes.items()}, **composites}
        for pattern, target in targets.items():
            self._router.add("", pattern, target)
        for pattern, target in targets.items():
            # A plain path has the paths below it too, unless these are routed by themselves.
            below = "/*" if pattern == "/" else f"{pattern.rstrip('/')}/*"
            if "*" not in pattern and "{" not in pattern and below not in targets:
                self._router.add("", below, target)

    async def handle(self, request: Request) -> Response:
        """Forward a request. Raises HttpProblem."""
        if self._tenant_header and not request.header(self._tenant_header):
            text = f"the header {self._tenant_header.decode()} is missing"
            raise HttpProblem(400, "TENANT_MISSING", text)
        key = self._key(request)
        cached = self._cache.get(key) if key else None
        if cached is not None and cached[0] > time.monotonic():
            return _copied(cached[1])
        found = self._router.match(request.path)
        target = found[0].target("") if found is not None else None
        names, strategy = target or ([self._default] if self._default else [], "")
        if not names:
            raise HttpProblem(404, "ROUTE_NOT_FOUND", "no backend serves this path")
        backends = [self._backends[name] for name in names]
        if len(backends) == 1:
            response = await self._forwarder.send(request, backends[0], stream=not key)
        else:
            response = await self._composite(request, backends, strategy)
        if key and response.status == 200 and len(response.body) <= CACHED_BYTES_MAX:
            if len(self._cache) >= CACHE_ENTRIES_MAX:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = (time.monotonic() + self._cache_s, _copied(response))
        return response

    def _key(self, request: Request) -> str:
        if not self._cache_s or request.method != "GET" or request.header(b"authorization"):
            return ""
        tenant = request.header(self._tenant_header) if self._tenant_header else ""
        return f"{tenant} {request.path}?{str(request.raw_query, 'latin-1')}"

    async def _composite(
        self, request: Request, backends: list[Backend], strategy: str
    ) -> Response:
        if strategy == "first-success":
            last: HttpProblem | None = None
            for each in backends:
                try:
                    response = await self._forwarder.send(request, each, stream=False)
                except HttpProblem as problem:
                    last = problem
                    continue
                if response.status < 400:
                    return response
            raise last or HttpProblem(502, "BACKEND_FAILED", "no backend succeeded")
        results = await asyncio.gather(
            *(self._forwarder.send(request, each, stream=False) for each in backends),
            return_exceptions=True,
        )
        found: dict[str, Json] = {}
        for backend, result in zip(backends, results, strict=True):
            if not isinstance(result, Response) or result.status >= 400:
                continue
            value = json_or_text(result.body)
            if strategy == "merge" and isinstance(value, dict):
                found |= value
            else:
                found[backend.name] = value
        if not found:
            raise HttpProblem(502, "BACKEND_FAILED", "no backend succeeded")
        return Response(200, orjson.dumps(found))


def _copied(response: Response) -> Response:
    return Response(response.status, response.body, b"", response.headers)


class Watches:
    """A forwarder with the health checks of its backends."""

    def __init__(self, forwarder: Forwarder, backends: Iterable[Backend]) -> None:
        self._forwarder = forwarder
        self._backends = list(backends)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._forwarder.start()
        for each in self._backends:
            if each.checking is not None:
                watch = self._forwarder.watch(each, each.checking)
                self._tasks.append(asyncio.create_task(watch))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._forwarder.stop()

    async def health(self) -> str:
        """Return the backends that do not answer as they should; "" if all do."""
        ill = [each.name for each in self._backends if not each.healthy]
        return f"unhealthy backends: {', '.join(ill)}" if ill else ""


def reverse_proxy(setting: Setting) -> Module:
    """Build http.proxy and reverseproxy. Raises Invalid for an unknown backend."""
    config = setting.config
    rules = config.get("backend_configs") or {}
    services = {str(k): str(v) for k, v in (config.get("backend_services") or {}).items()}
    backends = {
        name: read_backend(
            f"{setting.name}: backend_configs.{name}", name, url, rules.get(name) or {}
        )
        for name, url in services.items()
    }
    if unknown := [each for each in rules if each not in services]:
        raise setting.invalid(f"backend_configs has {unknown[0]!r}, which is no backend")
    routes = {str(k): str(v) for k, v in (config.get("routes") or {}).items()}
    composites = {
        str(each.get("pattern", pattern)): (
            list(each.get("backends") or []),
            str(each.get("strategy") or "merge"),
        )
        for pattern, each in (config.get("composite_routes") or {}).items()
    }
    default = str(config.get("default_backend") or "")
    named = {*routes.values(), *(n for names, _ in composites.values() for n in names), default}
    for name in sorted(named - {""} - set(backends)):
        raise setting.invalid(f"unknown backend {name!r}; known: {', '.join(backends)}")
    headers = frozenset(each.lower().encode() for each in config.get("forward_headers") or ())
    forwarder = Forwarder(
        policy=setting.policy, timeout_s=float(config["request_timeout"]), forwarded=headers
    )
    try:
        proxy = ReverseProxy(
            backends=backends,
            routes=routes,
            default=default,
            composites=composites,
            forwarder=forwarder,
            cache_s=float(config["cache_ttl"]) if config["cache_enabled"] else 0.0,
            tenant_header=str(config.get("tenant_id_header") or "").lower().encode(),
        )
    except RouteConflict as error:
        raise Invalid("ROUTE_CONFLICT", f"{setting.name}: {error}") from None

    def mount(mounts: Mounts) -> None:
        where = setting.partners.get("Router", "")
        app = mounts.of_router(where)
        if app is not None and backends:
            prefix = mounts.prefix(where).rstrip("/")
            app.add(
                "",
                f"{prefix}/{{rest...}}",
                proxy.handle,
                middlewares=mounts.middlewares(where),
                streams=True,
            )

    watches = Watches(forwarder, backends.values())

    return Module(
        name=setting.name,
        services={"Handler": proxy.handle},
        start=watches.start,
        stop=watches.stop,
        health=watches.health if any(each.checking for each in backends.values()) else None,
        mount=mount,
    )
