"""Backends of proxies: their rewriting, health checks and circuit breakers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.http.messages import Request
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

BREAKER_FAILURES = 5
BREAKER_OPEN_S = 10.0
_TIME = duration("timeout", "")
_RULES = (
    *("url", "path_rewriting", "header_rewriting", "health_check", "circuit_breaker"),
    "max_retries",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The failures in a row that open the circuit of a backend, and the time that it is open."""

    failures: int = BREAKER_FAILURES
    open_s: float = BREAKER_OPEN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """The health check of a backend."""

    path: str
    interval_s: float
    timeout_s: float
    statuses: frozenset[int]


@dataclass(slots=True)
class Backend:
    """A backend with its rewriting, its health check and its circuit breaker."""

    name: str
    url: str
    strip: str = ""
    base: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    retries: int = 0
    # None for a backend whose failures open no circuit.
    breaker: Breaker | None = field(default_factory=Breaker)
    checking: Checking | None = None
    healthy: bool = True
    failures: int = 0
    open_until: float = 0.0

    def target(self, request: Request) -> str:
        path = request.path
        if self.strip and path.startswith(self.strip):
            path = path[len(self.strip) :] or "/"
        query = f"?{str(request.raw_query, 'latin-1')}" if request.raw_query else ""
        path = path if path.startswith("/") else f"/{path}"
        return f"{self.url.rstrip('/')}{self.base}{path}{query}"


def read_backend(where: str, name: str, url: str, rules: Mapping[str, Json]) -> Backend:
    """Read the rules of a backend, which stand at `where`. Raises Invalid."""
    _known(where, rules, _RULES)
    path = rules.get("path_rewriting") or {}
    header = rules.get("header_rewriting") or {}
    return Backend(
        name=name,
        url=str(rules.get("url") or url),
        strip=str(path.get("strip_base_path") or ""),
        base=str(path.get("base_path_rewrite") or "").rstrip("/"),
        headers={str(k): str(v) for k, v in (header.get("set_headers") or {}).items()},
        retries=int(rules.get("max_retries") or 0),
        breaker=_breaker(f"{where}.circuit_breaker", rules.get("circuit_breaker") or {}),
        checking=_checking(f"{where}.health_check", rules.get("health_check") or {}),
    )


def _breaker(where: str, raw: Mapping[str, Json]) -> Breaker | None:
    _known(where, raw, ("enabled", "failure_threshold", "open_timeout"))
    if raw.get("enabled") is False:
        return None
    return Breaker(
        failures=_whole(where, "failure_threshold", raw, BREAKER_FAILURES),
        open_s=_seconds(where, "open_timeout", raw, BREAKER_OPEN_S),
    )


def _checking(where: str, raw: Mapping[str, Json]) -> Checking | None:
    _known(where, raw, ("enabled", "endpoint", "interval", "timeout", "expected_status_codes"))
    if not raw or raw.get("enabled") is False:
        return None
    path = str(raw.get("endpoint") or "/")
    statuses = raw.get("expected_status_codes") or [200]
    if not path.startswith("/") or not isinstance(statuses, list):
        text = f"{where} has an endpoint that begins with /, and a list expected_status_codes"
        raise Invalid("APP_CONFIG_INVALID", text)
    return Checking(
        path=path,
        interval_s=max(0.01, _seconds(where, "interval", raw, 10.0)),
        timeout_s=_seconds(where, "timeout", raw, 5.0),
        statuses=frozenset(statuses),
    )


def _known(where: str, raw: Mapping[str, Json], keys: tuple[str, ...]) -> None:
    """Refuse keys that nothing reads. Raises Invalid."""
    if not isinstance(raw, dict):
        raise Invalid("APP_CONFIG_INVALID", f"{where} must be an object")
    for key in raw:
        if key not in keys:
            raise Invalid("APP_CONFIG_INVALID", f"{where} has {', '.join(keys)}, not {key!r}")


def _whole(where: str, key: str, raw: Mapping[str, Json], default: int) -> int:
    value = raw.get(key, default)
    if type(value) is not int or value < 1:
        raise Invalid("APP_CONFIG_INVALID", f"{where}.{key} must be a whole number from 1")
    return value


def _seconds(where: str, key: str, raw: Mapping[str, Json], default: float) -> float:
    try:
        return float(convert(_TIME, raw.get(key, default)))
    except ValueMismatch as error:
        raise Invalid("APP_CONFIG_INVALID", f"{where}.{key} {error}") from None
