"""A closed suite with an owner, and callers with credentials."""

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import aiohttp
import grpc
import grpc.aio

from flowmesh.access.bootstrap import bootstrap_token
from flowmesh.access.keys import create_key_file, read_key_file
from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    member_service_pb2_grpc,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from flowmesh.testing.suite import Suite

OWNER = "owner@example.com"
PASSWORD = "correct horse battery staple"


class Call(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds a credential to every call with one message and one answer."""

    def __init__(self, credential: str) -> None:
        self._metadata = ("authorization", f"Bearer {credential}")

    def _with(self, details: Any) -> Any:
        return details._replace(metadata=[*(details.metadata or ()), self._metadata])

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._with(details), request)


class _Downloads(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, call: Call) -> None:
        self._call = call

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._call._with(details), request)


class _Streams(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, call: Call) -> None:
        self._call = call

    async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await continuation(self._call._with(details), requests)


class _Uploads(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, call: Call) -> None:
        self._call = call

    async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await continuation(self._call._with(details), requests)


# gRPC takes an interceptor for one kind of calls only.
_OTHERS = (_Downloads, _Streams, _Uploads)


class Caller:
    """A client of the suite with one credential; empty for none."""

    def __init__(self, suite: Suite, credential: str) -> None:
        self.suite, self.credential = suite, credential
        call = Call(credential) if credential else None
        interceptors = [call, *(kind(call) for kind in _OTHERS)] if call else []
        # The authority of the suite; empty if it speaks plain text.
        self._authority = str(suite.about["ca"])
        if self._authority:
            roots = grpc.ssl_channel_credentials(Path(self._authority).read_bytes())
            self.channel = grpc.aio.secure_channel(
                suite.grpc_address, roots, interceptors=interceptors
            )
        else:
            self.channel = grpc.aio.insecure_channel(suite.grpc_address, interceptors=interceptors)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what a call over a channel of its own has to carry."""
        return (("authorization", f"Bearer {self.credential}"),) if self.credential else ()

    @property
    def auth(self) -> Any:
        return auth_service_pb2_grpc.AuthServiceStub(self.channel)

    @property
    def tenants(self) -> Any:
        return tenant_service_pb2_grpc.TenantServiceStub(self.channel)

    @property
    def members(self) -> Any:
        return member_service_pb2_grpc.MemberServiceStub(self.channel)

    @property
    def keys(self) -> Any:
        return key_service_pb2_grpc.KeyServiceStub(self.channel)

    async def text(self, path: str) -> str:
        """Return the text of a page."""
        headers = {"authorization": f"Bearer {self.credential}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{self.suite.http_url}{path}", ssl=self._tls()) as response,
        ):
            return await response.text()

    def _tls(self) -> ssl.SSLContext | bool:
        return ssl.create_default_context(cafile=self._authority) if self._authority else True

    async def rest(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Send a request; return its status and its JSON."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if self.credential:
            sent["authorization"] = f"Bearer {self.credential}"
        url = f"{self.suite.http_url}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, json=body, headers=sent, ssl=self._tls()) as response,
        ):
            text = await response.read()
            return response.status, await response.json() if text else None


@dataclass(frozen=True)
class Closed:
    """A closed suite, its owner, and ways to make other callers."""

    suite: Suite
    owner: Caller
    session: Any

    def caller(self, credential: str) -> Caller:
        return Caller(self.suite, credential)

    async def renewed(self) -> Self:
        """Return the suite with a new login of its owner: a token is valid for ten minutes."""
        login = auth_service_pb2.LoginRequest(email=OWNER, password=PASSWORD)
        session = await self.caller("").auth.Login(login)
        owner = self.caller(session.tokens.access_token)
        return replace(self, owner=owner, session=session)

    async def project(self, slug: str) -> Any:
        """Create a project in the default organization."""
        request = tenant_service_pb2.CreateProjectRequest(organization_id="org_default", slug=slug)
        return (await self.owner.tenants.CreateProject(request)).project

    async def key(self, project_id: str, role: str, **more: Any) -> Caller:
        """Create an API key and return its caller."""
        request = key_service_pb2.CreateApiKeyRequest(
            project_id=project_id, name=f"{role} key", role=role, **more
        )
        made = await self.owner.keys.CreateApiKey(request)
        return self.caller(made.secret)


@asynccontextmanager
async def closed_suite(
    folder: Path, *arguments: str, kind: type[Suite] = Suite, **environment: str
) -> AsyncIterator[Closed]:
    """Start a closed suite and register its owner."""
    key_file = folder / "key"
    create_key_file(key_file)
    # Workflows of tests call servers of this machine.
    closed = {"FLOWMESH_AUTH": "closed", "FLOWMESH_KEY_FILE": str(key_file)}
    closed |= {"FLOWMESH_EGRESS": "open", **environment}
    async with kind(folder / "data", *arguments, environment=closed) as suite:
        yield await opened(suite, key_file)


async def opened(suite: Suite, key_file: Path) -> Closed:
    """Register the owner of a closed suite."""
    token = bootstrap_token(read_key_file(key_file).bootstrap, time.time_ns() // 1_000)
    anyone = Caller(suite, "")
    session = await anyone.auth.Bootstrap(
        auth_service_pb2.BootstrapRequest(token=token, email=OWNER, password=PASSWORD)
    )
    return Closed(suite, Caller(suite, session.tokens.access_token), session)
