"""Authentication and authorization of callers of a process, when the installation is closed."""

import hmac
import json
import re
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import structlog

from flowmesh.access.authenticator import AUTHORIZATION, Authenticator, PeerService
from flowmesh.access.authorization import Authorization
from flowmesh.access.cookies import ACCESS_COOKIE, REFRESH_COOKIE, cookie_of
from flowmesh.access.keys import InstallationKeys, KeyFileError, read_key_file
from flowmesh.access.principal import (
    DEFAULT_NAMESPACE,
    Principal,
    acting_as,
    current,
    enter_principal,
    http_address,
)
from flowmesh.access.refusals import REFUSED, REVEALED, Refusal, Refusals
from flowmesh.access.roles import READ
from flowmesh.access.service_tokens import (
    INTERNAL_METADATA,
    METADATA_KEY,
    PEER,
    ServiceTokens,
)
from flowmesh.api.identity.v1 import access_service_pb2 as pb
from flowmesh.api.identity.v1 import (
    access_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    principal_pb2,
)
from flowmesh.bus import Bus, Message
from flowmesh.errors import FlowmeshError, Forbidden, Invalid, Unauthenticated
from flowmesh.rpc import Channel
from flowmesh.rpc.addresses import peer_of
from flowmesh.runtime.errors import StartError
from flowmesh.runtime.http.guard import HttpGuard, guard_of
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.settings import Settings
from flowmesh.telemetry.metrics import Metrics

CLOSED = "closed"
# The subject of revocations, below the prefix of the bus.
REVOCATIONS = "identity.revocations"
# In a revocation: all principals.
EVERY_ID = "*"
ANONYMOUS = Principal(id="anonymous", kind="anonymous", name="anonymous")
"""The caller of public routes: it has no permission."""

_SUBPROTOCOL = "flowmesh.bearer."
# WebSockets of SignalR, whose clients in browsers send their token in the query.
_HUBS = "/hubs/"
_HUB_PARAMETER = "access_token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# An API key under any name, and a token under the names that other APIs take it by.
_KEY_IN_URL = re.compile(rb"(?:^|[&;])[^&;=]*=fm_[^&;]{20}")
_TOKEN_IN_URL = re.compile(
    rb"(?:^|[&;])(?:access_?token|token|api_?key|authorization)=(?:Bearer(?:%20|\+))?eyJ[^&;]*\.",
    re.IGNORECASE,
)

_INTERNAL_HEADERS = frozenset(each.encode() for each in INTERNAL_METADATA)

Headers = Iterable[tuple[bytes, bytes]]


class IdentityResolver:
    """Calls of this process to the identity service."""

    def __init__(self, channel: Callable[[], Channel]) -> None:
        self._channel = channel

    async def authenticate(self, credential: str, address: str) -> Principal:
        request = pb.AuthenticateRequest(credential=credential, address=address)
        with acting_as(None):
            answer = await self._stub().Authenticate(request)
        return principal_of(answer.principal)

    async def principal(self, principal_id: str, session: str) -> Principal:
        request = pb.GetPrincipalRequest(principal_id=principal_id, session_id=session)
        return await self._principal(request)

    async def offline(self, principal_id: str) -> Principal:
        request = pb.GetPrincipalRequest(principal_id=principal_id, without_session=True)
        return await self._principal(request)

    async def _principal(self, request: pb.GetPrincipalRequest) -> Principal:
        with acting_as(None):
            answer = await self._stub().GetPrincipal(request)
        return principal_of(answer.principal)

    def _stub(self) -> Any:
        return access_service_pb2_grpc.AccessServiceStub(self._channel())


def principal_of(message: principal_pb2.Principal) -> Principal:
    return Principal(
        id=message.id,
        kind=message.kind,
        name=message.name,
        everywhere=message.everywhere,
        namespaces=dict(message.namespaces),
        tenants=message.tenants,
        session=message.session_id,
        permissions=tuple(message.permissions),
        queues=frozenset(message.queues),
        task_types=frozenset(message.task_types),
        shared=frozenset(message.shared),
        expires_us=message.expires_us,
        maker=message.maker_id,
    )


class ProcessAccess:
    """Keys, tokens and the authorization of a process in a closed installation."""

    def __init__(
        self,
        *,
        keys: InstallationKeys,
        service: str,
        resolver: IdentityResolver,
        guard: HttpGuard,
        refusals: Refusals,
        loop: "RefusalLoop",
        peer_service: PeerService,
        metrics_key: "MetricsKey | None",
    ) -> None:
        self.keys = keys
        self._metrics_key = metrics_key
        self._refusals = refusals
        self.loop = loop
        self._guard = guard
        self._tokens = ServiceTokens(key=keys.services, service=service)
        self._authenticator = Authenticator(
            resolver=resolver, tokens=self._tokens, peer_service=peer_service
        )
        self.authorization = Authorization(self._authenticator, refusals)
        self._log = structlog.get_logger("flowmesh.access")

    def metadata(self, principal: Principal | None, audience: str) -> tuple[tuple[str, str], ...]:
        """Return the metadata with which calls of a gRPC service prove their sender.

        A call for an HTTP request also states the address of its client.
        """
        proof = (METADATA_KEY, self._tokens.token(principal, audience))
        address = http_address()
        return (proof, (PEER, peer_of(address))) if address else (proof,)

    async def offline(self, principal_id: str) -> Principal:
        """Return a principal with its permissions now; raise Unauthenticated if it is gone."""
        return await self._authenticator.offline(principal_id)

    async def listen(self, bus: Bus, prefix: str) -> None:
        """Subscribe to the revocations on the bus."""
        await bus.subscribe_core(f"{prefix}.{REVOCATIONS}", self._revoked)

    async def _revoked(self, message: Message) -> None:
        try:
            revoked = json.loads(message.data)
            ids = [str(each) for each in revoked["ids"]]
            refresh = bool(revoked["refresh"])
            ends_us = int(revoked["ends_us"])
        except (ValueError, KeyError, TypeError):
            self._log.warning("revocation_malformed")
            return
        self._authenticator.heard()
        if refresh:
            self._authenticator.revoke(())
        if ends_us:
            self.authorization.revoke_at(ids, ends_us)
        elif ids:
            self.authorization.revoke(() if EVERY_ID in ids else ids)

    async def admit_http(self, scope: Any, *, public: bool) -> None:
        """Set the principal of an HTTP request; raise Unauthenticated, Forbidden or Invalid."""
        _check_headers(scope)
        hub_token = _hub_token(scope)
        _check_url(scope, public=public or bool(hub_token))
        address = str((scope.get("client") or ("",))[0])
        if public:
            if cookie_of(scope["headers"], REFRESH_COOKIE):
                self._check_site(scope)
            enter_principal(ANONYMOUS, address=address)
            return
        try:
            credential = f"Bearer {hub_token}" if hub_token else self._credential(scope)
            principal = await self._authenticator.external(credential, address)
            enter_principal(principal, address=address)
        except REFUSED as error:
            enter_principal(ANONYMOUS, address=address)
            self._refusals.note(error, "HTTP", address=address)
            raise

    async def admit_metrics(self, scope: Any) -> None:
        """Admit a reader of the metrics, which are of all tenants; raise Forbidden.

        It has the key of the metrics, or reads the namespace of the installation itself.
        """
        stated = dict(scope["headers"]).get(AUTHORIZATION.encode(), b"")
        if self._metrics_key is not None and self._metrics_key.opens(stated):
            return
        await self.admit_http(scope, public=False)
        reader = current()
        if reader is not None and not reader.bits(DEFAULT_NAMESPACE) & READ:
            text = f"the metrics need the role viewer in namespace `{DEFAULT_NAMESPACE}`"
            raise Forbidden("ROLE_REQUIRED", text)

    def _credential(self, scope: Any) -> str:
        """Return the credential of a request: header, WebSocket subprotocol or cookie."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        stated = headers.get(AUTHORIZATION.encode())
        if stated is not None:
            return str(stated, "latin-1")
        for offered in str(headers.get(b"sec-websocket-protocol", b""), "latin-1").split(","):
            if offered.strip().startswith(_SUBPROTOCOL):
                return f"Bearer {offered.strip().removeprefix(_SUBPROTOCOL)}"
        token = cookie_of(scope["headers"], ACCESS_COOKIE)
        if token:
            self._check_site(scope)
            return f"Bearer {token}"
        text = "the request carries no credential; send `Authorization: Bearer <token or API key>`"
        raise Unauthenticated("CREDENTIALS_REQUIRED", text)

    def _check_site(self, scope: Any) -> None:
        """Reject changes by cookie that a page of another site may have caused."""
        reads = scope["type"] == "http" and scope["method"] in _SAFE_METHODS
        if not reads and not self._guard.trusts(scope["headers"]):
            text = "a change by cookie needs the `Origin` of this server; use a bearer token"
            raise Forbidden("ORIGIN_NOT_ALLOWED", text)

    def revocable(self) -> AbstractContextManager[None]:
        """Inside the block, this task ends when its principal is revoked."""
        return self.authorization.revocable()


class MetricsKey:
    """The key in a file that reads the metrics of every tenant, and nothing else."""

    CHARACTERS_MIN = 32

    def __init__(self, path: Path) -> None:
        """Raise StartError if the file holds no key."""
        self._path = path
        try:
            self._read()
        except (OSError, ValueError) as error:
            raise StartError(f"FLOWMESH_METRICS_KEY_FILE: {error}") from error

    def opens(self, authorization: bytes) -> bool:
        """Return whether a header `Authorization` carries the key that the file holds now."""
        with suppress(OSError, ValueError):
            return hmac.compare_digest(authorization, b"Bearer " + self._read())
        return False

    def _read(self) -> bytes:
        key = self._path.read_bytes().strip()
        if len(key) < self.CHARACTERS_MIN or not key.isalnum():
            problem = f"holds no key of {self.CHARACTERS_MIN} letters and digits or more"
            raise ValueError(f"{self._path} {problem}: `openssl rand -hex 32` makes one")
        return key


class RefusalLoop(Loop):
    """Sends refusals and reveals to the audit log. Refusals that do not arrive are counted only,
    reveals are sent again.
    """

    def __init__(self, refusals: Refusals, channel: Callable[[], Channel]) -> None:
        self._refusals = refusals
        self._channel = channel

    async def run_once(self) -> int:
        """Send the waiting refusals; return their number."""
        waiting = self._refusals.take()
        if waiting:
            records = [_record(each) for each in waiting]
            stub: Any = audit_service_pb2_grpc.AuditServiceStub(self._channel())
            try:
                with acting_as(None):
                    await stub.RecordAudit(audit_service_pb2.RecordAuditRequest(records=records))
            except FlowmeshError:
                self._refusals.keep_reveals(waiting)
        return len(waiting)


def _record(refusal: Refusal) -> audit_service_pb2.AuditRecord:
    return audit_service_pb2.AuditRecord(
        source=f"{'reveal' if refusal.reason == REVEALED else 'refusal'}/{uuid.uuid4()}",
        target=refusal.target,
        at_us=refusal.at_us,
        actor=refusal.actor,
        method=refusal.method,
        namespace=refusal.namespace,
        outcome=refusal.reason,
        address=refusal.address,
    )


class OpenAccess:
    """Access without checks: every caller has all permissions."""

    async def admit_http(self, scope: Any, *, public: bool) -> None:
        """Set no principal."""

    async def admit_metrics(self, scope: Any) -> None:
        """Admit every reader."""

    def revocable(self) -> AbstractContextManager[None]:
        return nullcontext()


HttpAccess = ProcessAccess | OpenAccess


def access_of(
    settings: Settings,
    service: str,
    channel: Callable[[], Channel],
    metrics: Metrics,
    peer_service: PeerService,
) -> ProcessAccess | None:
    """Return the access control of the settings; None for an open process.

    The token of a service counts on the connections of that service only, by `peer_service`.
    """
    if settings.auth != CLOSED:
        if settings.metrics_key_file:
            raise StartError(
                "FLOWMESH_METRICS_KEY_FILE: metrics of an open installation need no key"
            )
        return None
    if not settings.key_file:
        raise StartError(
            "a closed installation needs its key file: make one with `flowmesh identity init` and"
            " name it with --key-file or FLOWMESH_KEY_FILE; --auth open lets every caller in"
        )
    try:
        keys = read_key_file(Path(settings.key_file))
    except KeyFileError as error:
        raise StartError(str(error)) from error
    resolver = IdentityResolver(channel)
    refusals = Refusals(metrics)
    return ProcessAccess(
        keys=keys,
        service=service,
        resolver=resolver,
        guard=guard_of(settings),
        peer_service=peer_service,
        metrics_key=MetricsKey(Path(path)) if (path := settings.metrics_key_file) else None,
        refusals=refusals,
        loop=RefusalLoop(refusals, channel),
    )


def _check_headers(scope: Any) -> None:
    """Reject what only services may state; no service sends HTTP requests to another."""
    for name, _ in scope["headers"]:
        if name in _INTERNAL_HEADERS:
            text = f"`{name.decode()}` counts only with the certificate of a service"
            raise Unauthenticated("SERVICE_CERTIFICATE_REQUIRED", text)


def _hub_token(scope: Any) -> str:
    """Return the access token in the query of a WebSocket of a hub; API keys are not taken."""
    if scope["type"] != "websocket" or not scope["path"].startswith(_HUBS):
        return ""
    pairs = parse_qsl(str(scope.get("query_string", b""), "latin-1"))
    found = [value for name, value in pairs if name == _HUB_PARAMETER]
    return found[0] if len(found) == 1 and not found[0].startswith("fm_") else ""


def _check_url(scope: Any, *, public: bool) -> None:
    """Reject a credential in a URL, because proxies, logs and browser histories store URLs.

    The URLs of public routes, such as webhooks, contain tokens of their senders.
    """
    query = scope.get("query_string")
    if not query:
        return
    if _KEY_IN_URL.search(query) or (not public and _TOKEN_IN_URL.search(query)):
        text = "the URL holds a credential, which logs may have kept: rotate it, and send the new"
        raise Invalid("CREDENTIAL_IN_URL", f"{text} one as `Authorization: Bearer <credential>`")
