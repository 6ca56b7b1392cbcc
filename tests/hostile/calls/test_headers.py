"""No header of a peer that is no configured proxy says who or where a caller is."""

import asyncio
import json
from collections import defaultdict
from dataclasses import replace

import aiohttp
import pytest

from flowmesh.access import Role
from flowmesh.api.common.v1.access_pb2 import IdKind
from flowmesh.api.identity.v1 import key_service_pb2
from flowmesh.gateway.http.operation_docs import Route
from flowmesh.gateway.routes import ROUTES
from flowmesh.identity.limits import FAILURES_FREE
from flowmesh.testing.polling import until
from tests.access.paths import sent
from tests.features.closed import Closed
from tests.hostile.conftest import Company

HOST, ADDRESS, ACTOR = "evil.example", "203.0.113.77", "usr_forged"
CLAIMED = {
    "x-forwarded-for": ADDRESS,
    "x-forwarded-proto": "https",
    "x-forwarded-host": HOST,
    "x-forwarded-prefix": f"/{HOST}",
    "forwarded": f"for={ADDRESS};host={HOST};proto=https",
    "x-real-ip": ADDRESS,
    "flowmesh-actor": ACTOR,
    "x-flowmesh-principal": ACTOR,
}
MARKS = (HOST, ADDRESS, ACTOR)
AT_ONCE = 8
QUIET_S = 2.0
LOGIN = "/api/v1/auth/login"
# Routes that change the company, which other tests use, or end a session.
READS = [route for route in ROUTES if route.method == "GET"]
CLOSED = [route for route in ROUTES if not route.public]


async def answer(
    closed: Closed, company: Company, route: Route, credential: str, claimed: dict[str, str]
) -> tuple[int, str]:
    """Return the status, and headers and the beginning of the body as text."""
    named = replace(company.tenant, names=defaultdict(lambda: "unnamed", company.tenant.names))
    request = sent(route, named)
    headers = {"flowmesh-namespace": request.namespace, **claimed}
    if credential:
        headers["authorization"] = f"Bearer {credential}"
    text = ""
    async with (
        aiohttp.ClientSession(closed.suite.http_url) as session,
        session.request(
            request.method,
            request.path,
            params=request.query,
            json=request.body,
            headers=headers,
            allow_redirects=False,
        ) as response,
    ):
        text += json.dumps(dict(response.headers))
        try:
            async with asyncio.timeout(QUIET_S):
                async for chunk in response.content.iter_any():
                    text += chunk.decode(errors="replace")
        except TimeoutError:
            pass
        return response.status, text


async def differing(
    closed: Closed, company: Company, routes: list[Route], credential: str
) -> list[str]:
    """Return the routes whose answer depends on what the caller claims."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def compared(route: Route) -> str:
        async with gate:
            plain, _ = await answer(closed, company, route, credential, {})
            status, text = await answer(closed, company, route, credential, CLAIMED)
        shown = [mark for mark in MARKS if mark in text]
        return "" if status == plain and not shown else f"{route.path}: {plain} {status} {shown}"

    return [each for each in await asyncio.gather(*map(compared, routes)) if each]


@pytest.fixture
async def elsewhere(victim: Company) -> str:
    """The key of an editor that counts from the claimed address only."""
    request = key_service_pb2.CreateApiKeyRequest(
        project_id=victim.tenant.ids[IdKind.ID_KIND_PROJECT],
        name="elsewhere",
        role=Role.EDITOR.value,
        networks=[f"{ADDRESS}/32"],
    )
    made = await victim.tenant.admin.keys.CreateApiKey(request)
    return str(made.secret)


@pytest.mark.long
async def test_no_route_believes_what_a_caller_claims(
    installation: Closed, victim: Company, elsewhere: str
) -> None:
    """All routes without a credential and with a key of another network; reads with a viewer's."""
    assert len(CLOSED) > 300
    assert await differing(installation, victim, CLOSED, "") == []
    assert await differing(installation, victim, CLOSED, elsewhere) == []
    viewer = victim.caller(Role.VIEWER).credential
    assert await differing(installation, victim, READS, viewer) == []


async def test_a_claimed_address_is_in_no_audit_entry_and_no_account(
    installation: Closed, victim: Company
) -> None:
    """Failed logins from an address that changes are delayed; changes have the real address."""
    body = {"email": "guessed@example.com", "password": "a wrong guess"}
    answers = []
    for number in range(FAILURES_FREE + 2):
        claimed = {"x_forwarded_for": f"203.0.113.{number}", "x_real_ip": f"203.0.113.{number}"}
        status, _ = await installation.caller("").rest("POST", LOGIN, body, **claimed)
        answers.append(status)
    assert answers[-1] == 429, answers
    changed = {"flowmesh_namespace": victim.namespace, "x_forwarded_for": ADDRESS}
    name = "claimed-address"
    workflow = {"id": name, "name": name, "steps": [{"id": "a", "name": "a", "action": "noop"}]}
    editor = victim.caller(Role.EDITOR)
    status, answer = await editor.rest("PUT", f"/api/v1/workflows/{name}", workflow, **changed)
    assert status in (200, 201), answer
    seen: list[str] = []
    owner = victim.caller(Role.OWNER)
    path = f"/api/v1/audit?companyId={victim.tenant.ids[IdKind.ID_KIND_COMPANY]}&target={name}"

    async def recorded() -> bool:
        status, found = await owner.rest("GET", path, **changed)
        seen[:] = [json.dumps(found)]
        return status == 200 and name in seen[0]

    await until("the change is in the audit log", recorded, within_s=20)
    assert ADDRESS not in seen[0]


async def test_the_metadata_of_services_is_refused(installation: Closed, victim: Company) -> None:
    """A caller that states a principal is none, whatever credential it has."""
    viewer = victim.caller(Role.VIEWER).credential
    stated = {"flowmesh-principal": ACTOR}
    route = next(each for each in READS if each.path == "/api/v1/executions")
    assert (await answer(installation, victim, route, viewer, {}))[0] == 200
    assert (await answer(installation, victim, route, viewer, stated))[0] == 401
