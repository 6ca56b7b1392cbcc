"""No header of a peer that is no configured proxy says who or where a caller is."""

import asyncio
import json
from collections import defaultdict
from dataclasses import replace

import aiohttp
import pytest

from flowmesh.access import Role
from flowmesh.gateway.http.operation_docs import Route
from flowmesh.gateway.routes import ROUTES
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


@pytest.mark.long
async def test_no_route_believes_what_a_caller_claims(
    installation: Closed, victim: Company
) -> None:
    """All routes without a credential, and those that read with the key of a viewer."""
    assert len(CLOSED) > 300
    assert await differing(installation, victim, CLOSED, "") == []
    viewer = victim.caller(Role.VIEWER).credential
    assert await differing(installation, victim, READS, viewer) == []


async def test_the_metadata_of_services_is_refused(installation: Closed, victim: Company) -> None:
    """A caller that states a principal is none, whatever credential it has."""
    viewer = victim.caller(Role.VIEWER).credential
    stated = {"flowmesh-principal": ACTOR}
    route = next(each for each in READS if each.path == "/api/v1/executions")
    assert (await answer(installation, victim, route, viewer, {}))[0] == 200
    assert (await answer(installation, victim, route, viewer, stated))[0] == 401
