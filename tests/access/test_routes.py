"""The same over REST, Server-Sent Events and WebSockets: foreign names are missing ones."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from flowmesh.access import Role
from flowmesh.gateway.http.operation_docs import Route, SocketRoute
from tests.access.answers import Answer, rest, socket
from tests.access.crossing import Pair
from tests.access.paths import CALLS, Sent, crossings, sent
from tests.features.closed import Caller

pytestmark = [pytest.mark.long, pytest.mark.feature("S4-62", "S3-129")]
ROLES = (Role.VIEWER, Role.ADMIN)


@pytest.fixture(scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def name_of(route: Route | SocketRoute) -> str:
    method = route.method if isinstance(route, Route) else "WS"
    return f"{method} {route.path}"


async def answered(
    session: aiohttp.ClientSession, caller: Caller, route: Route | SocketRoute, request: Sent
) -> Answer:
    headers = {"flowmesh-namespace": request.namespace}
    if isinstance(route, SocketRoute):
        return await socket(caller, session, request.path, headers=headers, params=request.query)
    return await rest(
        caller,
        session,
        request.method,
        request.path,
        params=request.query,
        json=request.body,
        headers=headers,
    )


@pytest.mark.parametrize("route", CALLS, ids=name_of)
async def test_own_routes_show_nothing_of_another_tenant(
    route: Route | SocketRoute, pair: Pair, session: aiohttp.ClientSession
) -> None:
    """No list, search or stream has a canary of another tenant."""
    for role in ROLES:
        own = await answered(session, pair.caller.keys[role], route, sent(route, pair.caller))
        assert pair.revealed(own) == [], own


@pytest.mark.parametrize("route", CALLS, ids=name_of)
async def test_routes_answer_foreign_names_as_missing_ones(
    route: Route | SocketRoute, pair: Pair, session: aiohttp.ClientSession
) -> None:
    """In the path, the query, the namespace and the body, one at a time and all together."""
    for role in ROLES:
        caller = pair.caller.keys[role]
        for what, foreign, missing in crossings(route, pair.caller, pair.other, pair.nothing):
            answers = [
                await answered(session, caller, route, request) for request in (foreign, missing)
            ]
            about = (name_of(route), role, what, *map(str, answers))
            assert pair.blind(answers[0]) == pair.blind(answers[1]), about
            assert pair.revealed(answers[0], foreign.text) == [], about


@pytest.mark.parametrize("route", CALLS, ids=name_of)
async def test_routes_need_a_credential(
    route: Route | SocketRoute, pair: Pair, session: aiohttp.ClientSession
) -> None:
    """Without one, and with one that is not valid, nothing of a request is looked at."""
    for credential in ("", "fm_unknown", "x.y.z"):
        caller = Caller(pair.caller.admin.suite, credential)
        answer = await answered(session, caller, route, sent(route, pair.caller))
        assert answer.code == "401", answer
