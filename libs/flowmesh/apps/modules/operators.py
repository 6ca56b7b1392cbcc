"""Access to routes of operators: instances, dead letters, logs, metrics."""

from collections.abc import Awaitable
from typing import Any

from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.wiring.ports import AUTH_PROVIDER, MIDDLEWARE
from flowmesh.apps.wiring.registry import ServiceRegistry

ROLE = "admin"
# "local" and "" are calls without a socket.
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1", "local", ""})
# Headers of proxies, whatever their values.
_FORWARDED = (b"forwarded", b"x-forwarded", b"x-real-ip", b"via")


class OperatorsOnly:
    """Admits the role admin; without users, those of the middleware; without both, this machine.

    A request that a proxy has forwarded does not come from this machine. On the host of a closed
    installation, which strangers share, an address of this machine is no credential.
    """

    def __init__(self, registry: ServiceRegistry, *, closed: bool) -> None:
        self._registry = registry
        self._closed = closed

    def before(self, request: Request) -> Response | Awaitable[Response | None] | None:
        providers = self._registry.all(AUTH_PROVIDER)
        if providers:
            self._admit(request, providers)
            return None
        guards = [each for each in self._registry.all(MIDDLEWARE) if _authenticates(each)]
        if guards:
            found: Response | Awaitable[Response | None] | None = guards[0].before(request)
            return found
        forwarded = any(name.startswith(_FORWARDED) for name, _ in request.headers)
        if self._closed or forwarded or request.client not in _LOOPBACK:
            text = "this route is for operators: it needs users (auth.jwt) or http.middleware.auth"
            if not self._closed:
                text += "; without both, the application answers it on its own machine only"
            raise HttpProblem(403, "LOCAL_ONLY", text)
        return None

    def after(self, request: Request, response: Response) -> None:
        return None

    def _admit(self, request: Request, providers: list[Any]) -> None:
        scheme, _, token = request.header(b"authorization").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else ""
        claims = next((c for p in providers if given and (c := p.check_token(given))), None)
        if claims is None:
            headers = [(b"www-authenticate", b'Bearer realm="application"')]
            text = "the request needs valid credentials"
            raise HttpProblem(401, "UNAUTHENTICATED", text, headers=headers)
        request.auth = claims
        if claims.get("role") != ROLE:
            raise HttpProblem(403, "ROLE_REQUIRED", f"this needs the role {ROLE}")


def _authenticates(middleware: Any) -> bool:
    return bool(getattr(middleware, "authenticates", False))
