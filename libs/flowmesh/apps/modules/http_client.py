"""httpclient.modular, and the client of applications: requests within a policy, with retries."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.http.trace_context import TRACEPARENT
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry
from flowmesh.egress.policy import Policy
from flowmesh.errors import Invalid

if TYPE_CHECKING:
    from flowmesh.egress.client import Pool, Response


LOGGED_BODY_BYTES = 1_024
# Connections of one client in a hosted application.
HOSTED_CONNECTIONS_MAX = 1_000
# Requests that may be sent twice without a second effect.
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_RETRIED = frozenset({429, 502, 503, 504})
_SECRET = ("authorization", "cookie", "key", "token", "secret")
_DETAILS = ("log_headers", "log_body", "max_body_log_size")


class HttpClient:
    """A client of `step.http_call`, within an egress policy."""

    def __init__(
        self,
        *,
        policy: Policy,
        base: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 3_600.0,
        retry: Retry | None = None,
        pool: "Pool | None" = None,
        log: Callable[..., None] | None = None,
    ) -> None:
        """`log` takes a record of each request."""
        from flowmesh.egress import Egress

        self._egress = Egress(policy, pool=pool)
        self._base = base.rstrip("/")
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        self._log = log
        self._open = False

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        retry: Retry | None = None,
    ) -> Any:
        """Send a request. Raises HttpProblem with 502 or 504, and errors of egress.

        It is repeated if that is safe: by its method, or by an Idempotency-Key.
        """
        given = {**self._headers, **headers}
        retry = retry or self._retry
        repeatable = method.upper() in _REPEATABLE or _has(given, "idempotency-key")
        attempts = retry.attempts if repeatable else 1
        for attempt in range(1, attempts + 1):
            try:
                answer = await self._logged(method, url, given, body, timeout_s)
            except HttpProblem:
                if attempt == attempts:
                    raise
            else:
                if attempt == attempts or answer.status not in _RETRIED:
                    return answer
            await asyncio.sleep(retry.delay_s(attempt))
        raise AssertionError("the last attempt returns or raises")

    async def stop(self) -> None:
        if self._open:
            await self._egress.__aexit__(None, None, None)

    async def _logged(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, timeout_s: float
    ) -> "Response":
        begun = time.monotonic()
        try:
            answer = await self._once(method, url, headers, body, timeout_s)
        except HttpProblem as problem:
            self._tell(method, url, headers, body, problem.status, begun)
            raise
        self._tell(method, url, headers, body, answer.status, begun)
        return answer

    def _tell(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        status: int,
        begun: float,
    ) -> None:
        if self._log is not None:
            ms = round((time.monotonic() - begun) * 1_000, 3)
            self._log(method, url.partition("?")[0], headers, body or b"", status, ms)

    async def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, timeout_s: float
    ) -> "Response":
        from flowmesh.egress import EgressFailure, TimedOut

        if not self._open:
            self._open = True
            await self._egress.__aenter__()
        if (trace := TRACEPARENT.get()) and "traceparent" not in headers:
            headers = {**headers, "traceparent": trace}
        try:
            return await self._egress.send(
                method,
                self._base + url if self._base and url.startswith("/") else url,
                headers=headers,
                body=body,
                timeout_ms=max(1, int(min(timeout_s, self._timeout_s) * 1_000)),
            )
        except TimedOut as error:
            raise HttpProblem(504, "UPSTREAM_LATE", str(error)) from None
        except EgressFailure as error:
            raise HttpProblem(502, "UPSTREAM_FAILED", str(error)) from None


def _has(headers: Mapping[str, str], name: str) -> bool:
    return any(each.lower() == name for each in headers)


def http_client(setting: Setting) -> Module:
    """Build httpclient.modular. Raises Invalid for wrong retries, connections or log details."""
    from flowmesh.egress.client import Pool

    config = setting.config
    connections_max = int(config["max_idle_conns"])
    if setting.context.document.confined and not 1 <= connections_max <= HOSTED_CONNECTIONS_MAX:
        text = f"{setting.name}: max_idle_conns of a hosted application is a number from 1"
        text = f"{text} to {HOSTED_CONNECTIONS_MAX:,}, not {connections_max}"
        raise Invalid("APP_CONFIG_INVALID", text)
    headers = {str(k): str(v) for k, v in (config.get("headers") or {}).items()}
    if config["disable_compression"] and not _has(headers, "accept-encoding"):
        headers["Accept-Encoding"] = "identity"
    client = HttpClient(
        policy=setting.policy,
        base=str(config.get("baseURL") or ""),
        headers=headers,
        timeout_s=float(config["request_timeout"]),
        retry=setting.retry(),
        pool=Pool(
            connections_max=connections_max,
            host_connections_max=int(config["max_idle_conns_per_host"]),
            idle_s=float(config["idle_conn_timeout"]),
            connect_s=float(config["tls_timeout"]),
        ),
        log=_request_log(setting),
    )
    return Module(name=setting.name, services={"HttpClient": client}, stop=client.stop)


def _request_log(setting: Setting) -> Callable[..., None] | None:
    """Return the log of requests, where `verbose` asks for it. Raises Invalid."""
    details = setting.config.get("verbose_options") or {}
    if unknown := [key for key in details if key not in _DETAILS]:
        raise setting.invalid(f"verbose_options has {', '.join(_DETAILS)}, not {unknown[0]!r}")
    if not setting.config["verbose"]:
        return None
    most = int(details.get("max_body_log_size", LOGGED_BODY_BYTES))

    def log(
        method: str, url: str, headers: Mapping[str, str], body: bytes, status: int, ms: float
    ) -> None:
        fields: dict[str, Json] = {"status": status, "ms": ms}
        if details.get("log_headers"):
            fields["headers"] = {name: _shown(name, value) for name, value in headers.items()}
        if details.get("log_body"):
            fields["body"] = body[:most].decode("utf-8", "replace")
        setting.log("info", f"{method} {url}", **fields)

    return log


def _shown(name: str, value: str) -> str:
    return "***" if any(each in name.lower() for each in _SECRET) else value
