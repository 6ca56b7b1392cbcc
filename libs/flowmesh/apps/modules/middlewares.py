"""The middlewares of HTTP."""

import base64
import hmac
import os
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.wiring.ports import AUTH_PROVIDER
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

CALLERS_MAX = 100_000
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")


def _module(setting: Setting, middleware: Any) -> Module:
    return Module(name=setting.name, services={"Middleware": middleware})


class RequestId:
    """Takes the id of a request, or makes one."""

    def __init__(self, header: str) -> None:
        self._name = header.lower().encode("latin-1")

    def before(self, request: Request) -> None:
        given = request.header(self._name)
        request.id = given if given and _ID.match(given) else os.urandom(8).hex()

    def after(self, request: Request, response: Response) -> None:
        response.headers.append((self._name, request.id.encode()))


class Cors:
    """Adds the headers of CORS, and answers preflights."""

    def __init__(self, config: Any) -> None:
        origins = config["allowedOrigins"]
        self._any = "*" in origins
        self._origins = frozenset(each.lower() for each in origins)
        self._credentials = bool(config["allowCredentials"])
        self._methods = ", ".join(config["allowedMethods"]).encode()
        self._headers = ", ".join(config["allowedHeaders"]).encode()
        self._max_age = str(int(config["maxAge"])).encode()

    def before(self, request: Request) -> Response | None:
        if request.method != "OPTIONS" or not request.header(b"access-control-request-method"):
            return None
        return Response(204, content_type=b"")

    def after(self, request: Request, response: Response) -> None:
        origin = request.header(b"origin")
        if not self._any:
            response.headers.append((b"vary", b"Origin"))
        if not origin or not (self._any or origin.lower() in self._origins):
            return
        allowed = b"*" if self._any else origin.encode("latin-1")
        response.headers.append((b"access-control-allow-origin", allowed))
        if self._credentials:
            response.headers.append((b"access-control-allow-credentials", b"true"))
        if request.method == "OPTIONS":
            response.headers += [
                (b"access-control-allow-methods", self._methods),
                (b"access-control-allow-headers", self._headers),
                (b"access-control-max-age", self._max_age),
            ]


class RequestLog:
    """Logs one line for each request."""

    def __init__(self, setting: Setting) -> None:
        self._level = str(setting.config["logLevel"])
        self._write = setting.context.log.write
        self._name = setting.name
        self._clock = time.perf_counter

    def before(self, request: Request) -> None:
        request.begun = self._clock()

    def after(self, request: Request, response: Response) -> None:
        self._write(
            self._level,
            self._name,
            f"{request.method} {request.route} {response.status}",
            method=request.method,
            route=request.route,
            status=response.status,
            bytes=len(response.body),
            ms=round((self._clock() - request.begun) * 1_000, 3),
            requestId=request.id,
            principal=(request.auth or {}).get("sub", ""),
        )


class RateLimit:
    """A token bucket per caller; the table of callers is bounded."""

    def __init__(self, config: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = float(config["requestsPerMinute"]) / 60
        self._burst = float(config["burstSize"])
        self._strategy = str(config["strategy"])
        self._header = str(config.get("header") or "authorization").lower().encode("latin-1")
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def before(self, request: Request) -> None:
        caller = self._caller(request)
        now = self._clock()
        tokens, at = self._buckets.get(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        self._buckets[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > CALLERS_MAX:
            self._buckets.popitem(last=False)
        if tokens >= 1:
            return
        wait = max(1, -int(-(1 - tokens) / self._rate // 1))
        headers = [
            (b"retry-after", str(wait).encode()),
            (b"ratelimit-limit", str(int(self._burst)).encode()),
            (b"ratelimit-remaining", b"0"),
            (b"ratelimit-reset", str(wait).encode()),
        ]
        raise HttpProblem(429, "RATE_LIMITED", f"try again in {wait} s", headers=headers)

    def after(self, request: Request, response: Response) -> None:
        return None

    def _caller(self, request: Request) -> str:
        if self._strategy == "token":
            return request.header(b"authorization") or request.client
        if self._strategy == "header":
            return request.header(self._header) or request.client
        return request.client


class SecurityHeaders:
    """Sets the headers that a handler has not set."""

    def __init__(self, config: Any) -> None:
        values = {
            b"content-security-policy": config.get("contentSecurityPolicy"),
            b"x-frame-options": config["frameOptions"],
            b"x-content-type-options": config["contentTypeOptions"],
            b"referrer-policy": config["referrerPolicy"],
            b"permissions-policy": config["permissionsPolicy"],
        }
        age = int(config["hstsMaxAge"])
        values[b"strict-transport-security"] = f"max-age={age}; includeSubDomains" if age else None
        self._headers = [(k, str(v).encode("latin-1")) for k, v in values.items() if v]

    def before(self, request: Request) -> None:
        return None

    def after(self, request: Request, response: Response) -> None:
        there = {name for name, _ in response.headers}
        response.headers += [each for each in self._headers if each[0] not in there]


class Authentication:
    """Asks the providers of the application for the caller of a request."""

    def __init__(self, setting: Setting) -> None:
        config = setting.config
        self._type = str(config["authType"])
        self._secret = str(config.get("secretKey") or "").encode()
        self._header = str(config["header"]).lower().encode("latin-1")
        self._roles = frozenset(config.get("roles") or ())
        self._optional = bool(config["optional"])
        self._provider = str(config.get("provider") or "")
        # True if every request needs credentials.
        self.authenticates = not self._optional
        self._registry = setting.context.registry

    def before(self, request: Request) -> Awaitable[None] | None:
        given = self._given(request)
        if given and self._type == "Basic":
            return self._with_password(request, given)
        self._admit(request, given, self._claims(given) if given else self._of_cookie(request))
        return None

    async def _with_password(self, request: Request, given: str) -> None:
        claims = None
        for each in self._providers():
            claims = claims or await each.check_password(*_basic(given), request.client)
        self._admit(request, given, claims)

    def _admit(self, request: Request, given: str, claims: dict[str, Json] | None) -> None:
        if claims is None:
            if self._optional and not given:
                return
            challenge = f'{self._type} realm="application"'.encode()
            headers = [(b"www-authenticate", challenge)]
            text = "the request needs valid credentials"
            raise HttpProblem(401, "UNAUTHENTICATED", text, headers=headers)
        request.auth = claims
        if self._roles and claims.get("role") not in self._roles:
            text = f"this needs a role of {', '.join(sorted(self._roles))}"
            raise HttpProblem(403, "ROLE_REQUIRED", text)

    def after(self, request: Request, response: Response) -> None:
        return None

    def _given(self, request: Request) -> str:
        if self._type == "ApiKey":
            return request.header(self._header)
        scheme, _, rest = request.header(b"authorization").partition(" ")
        return rest.strip() if scheme.lower() == self._type.lower() else ""

    def _claims(self, given: str) -> dict[str, Json] | None:
        if self._secret and hmac.compare_digest(given.encode("utf-8", "replace"), self._secret):
            return {"sub": "key"}
        for each in self._providers():
            found: dict[str, Json] | None = each.check_token(given)
            if found is not None:
                return found
        return None

    def _of_cookie(self, request: Request) -> dict[str, Json] | None:
        for each in self._providers():
            found: dict[str, Json] | None = each.check_cookie(request)
            if found is not None:
                return found
        return None

    def _providers(self) -> list[Any]:
        if self._provider:
            return [self._registry.get(AUTH_PROVIDER, self._provider)]
        return self._registry.all(AUTH_PROVIDER)


def _basic(text: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def authentication(setting: Setting) -> Module:
    return _module(setting, Authentication(setting))


def cors(setting: Setting) -> Module:
    """Build http.middleware.cors. Raises Invalid for `*` with credentials."""
    if setting.config["allowCredentials"] and "*" in setting.config["allowedOrigins"]:
        raise setting.invalid("credentials need a list of origins, not *")
    return _module(setting, Cors(setting.config))


def request_log(setting: Setting) -> Module:
    return _module(setting, RequestLog(setting))


def rate_limit(setting: Setting) -> Module:
    """Build http.middleware.ratelimit. Raises Invalid for a shared store."""
    if setting.config.get("store"):
        text = f"{setting.name}: this version limits each process by itself; leave store out"
        raise Invalid("APP_UNSUPPORTED", text)
    return _module(setting, RateLimit(setting.config))


def request_id(setting: Setting) -> Module:
    return _module(setting, RequestId(str(setting.config["header"])))


def security_headers(setting: Setting) -> Module:
    return _module(setting, SecurityHeaders(setting.config))
