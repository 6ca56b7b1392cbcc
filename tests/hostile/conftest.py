"""The standing attack suite: each file drives one kind of attack at a closed installation.

The attacker has what an editor of one company has, or nothing at all. A file is named after the
kind (`test_egress.py`, `test_sandbox.py`) and enumerates it, rather than one instance of it: all
keys of documents that are paths, all module types that call out, all routes without a credential.
What the wall between tenants and the roles keep is proved in `tests/access`, malformed input in
`tests/badinput`; neither is repeated here.

All tests share one installation (`flowmesh dev --auth closed`, egress `public`). A test that
stops, starves or damages it starts its own with `closed_suite`. Traffic stays on loopback: `sink`
is the server of the attacker, and records all that reaches it.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from flowmesh.access import Role
from flowmesh.api.identity.v1 import auth_service_pb2
from tests.access.tenants import Tenant, founded
from tests.features.closed import OWNER, PASSWORD, Caller, Closed, closed_suite

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Sink:
    """A server on loopback that no tenant may reach; `reached` has each request's first line."""

    address: str
    reached: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@dataclass(frozen=True)
class Company:
    """A company of the installation; calls have the key of its editor unless a role is named."""

    tenant: Tenant

    @property
    def namespace(self) -> str:
        return self.tenant.namespace

    def caller(self, role: Role = Role.EDITOR) -> Caller:
        return self.tenant.keys[role]

    async def rest(
        self, method: str, path: str, body: Any = None, *, role: Role = Role.EDITOR
    ) -> tuple[int, Any]:
        """Call REST in the namespace of the company."""
        headers = {"flowmesh_namespace": self.namespace}
        return await self.caller(role).rest(method, path, body, **headers)

    async def deploy(
        self, app: str, document: str, *, role: Role = Role.EDITOR, **more: Any
    ) -> tuple[int, Any]:
        """Deploy a release of an application; return status and answer."""
        body = {"document": document, **more}
        return await self.rest("POST", f"/api/v1/apps/{app}:deploy", body, role=role)

    async def address(self, app: str, server: str = "web") -> str:
        """Return host and port of a server of a deployed application."""
        status, body = await self.rest("GET", f"/api/v1/apps/{app}")
        assert status == 200, body
        return str(body["addresses"][server])

    async def delete(self, app: str) -> None:
        await self.rest("DELETE", f"/api/v1/apps/{app}")


@pytest.fixture(scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    """A closed installation whose outgoing calls reach public addresses only."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    async with closed_suite(folder, FLOWMESH_EGRESS="public") as made:
        yield made


Found = Callable[[], Awaitable[Company]]


@pytest.fixture(scope="session")
def found(installation: Closed) -> Found:
    """Create a further company with keys of each role."""

    async def create() -> Company:
        # An access token is valid for ten minutes.
        login = auth_service_pb2.LoginRequest(email=OWNER, password=PASSWORD)
        session = await installation.caller("").auth.Login(login)
        owner = installation.caller(session.tokens.access_token)
        current = replace(installation, owner=owner, session=session)
        return Company(await founded(current, f"canary{next(_numbers)}of5a6b"))

    return create


@pytest.fixture(scope="session")
async def attacker(found: Found) -> Company:
    """The company of the attacker, who has the key of its editor."""
    return await found()


@pytest.fixture(scope="session")
async def victim(found: Found) -> Company:
    """A company that the attacker has nothing to do with."""
    return await found()


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """A server of the attacker on loopback."""
    application = web.Application()
    runner = web.AppRunner(application)

    async def answer(request: web.Request) -> web.Response:
        made.reached.append(f"{request.method} {request.path_qs}")
        return web.json_response({"sink": True})

    application.router.add_route("*", "/{path:.*}", answer)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made = Sink(f"{host}:{port}")
    try:
        yield made
    finally:
        await runner.cleanup()
