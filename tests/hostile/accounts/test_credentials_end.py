"""Credentials count until their end and not a moment longer, in calls and in open streams."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import grpc.aio
import jwt
import pytest

from flowmesh.access import Role
from flowmesh.access.keys import read_key_file
from flowmesh.access.sealing import Sealer
from flowmesh.api.common.v1.access_pb2 import IdKind
from flowmesh.api.event.v1 import event_service_pb2, event_service_pb2_grpc
from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
)
from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.limits import ACCESS_TOKEN_S
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.sessions import SessionStore
from flowmesh.testing.polling import pause
from tests.access.tenants import member
from tests.features.closed import Caller, Closed
from tests.hostile.conftest import Company

PROJECT = principal_pb2.LEVEL_PROJECT
LIFE_S = 2.0
# A stream ends this late at most.
LATE_S = 1.0
LIST = "/api/v1/executions"


def project_of(company: Company) -> str:
    return company.tenant.ids[IdKind.ID_KIND_PROJECT]


async def ending_token(installation: Closed) -> tuple[Caller, float]:
    """Return the owner with an access token of its session that is valid for some seconds only,
    and the time of its end. Identity issues it, by a clock that is behind."""
    key_file = installation.suite.environment["FLOWMESH_KEY_FILE"]
    sealer = Sealer(read_key_file(Path(key_file)).wrapping)
    claims = jwt.decode(installation.owner.credential, options={"verify_signature": False})
    postgres = str(installation.suite.about["postgres"])
    async with asyncpg.create_pool(
        postgres, min_size=1, server_settings={"search_path": "identity"}
    ) as pool:
        tokens = AccessTokens(
            sessions=SessionStore(Database(pool)),
            sealer=sealer,
            now=lambda: time.time() + LIFE_S + 1 - ACCESS_TOKEN_S,
        )
        token, expires_us = await tokens.issue(claims["sub"], claims["sid"])
    return installation.caller(token), expires_us / 1_000_000


async def test_a_cached_key_ends_with_its_expiry(installation: Closed, attacker: Company) -> None:
    """Calls keep it known until its end, and none after it is served."""
    installation = await installation.renewed()
    ends = time.time() + LIFE_S
    key = await installation.key(
        project_of(attacker), "viewer", expires_at_us=int(ends * 1_000_000)
    )
    caller = replace(attacker, tenant=replace(attacker.tenant, keys={Role.EDITOR: key}))
    served = 0
    while (before := time.time()) < ends + 1:
        status, _ = await caller.rest("GET", LIST)
        served += status == 200
        assert status == 401 or before < ends, before - ends
        await pause(0.02)
    assert served > 10


@pytest.mark.parametrize("ending", ["expiry", "rotation", "token"])
async def test_open_streams_end_with_their_credential(
    installation: Closed, attacker: Company, ending: str
) -> None:
    """Server-sent events, a WebSocket and a stream of gRPC stop when a key expires, when the
    overlap of its former secret is over, and at the `exp` of an access token."""
    installation = await installation.renewed()
    ends = time.time() + LIFE_S
    if ending == "token":
        key, ends = await ending_token(installation)
    else:
        expires_at_us = int(ends * 1_000_000) if ending == "expiry" else 0
        key = await installation.key(project_of(attacker), "viewer", expires_at_us=expires_at_us)
    headers = {"authorization": f"Bearer {key.credential}"}
    headers["flowmesh-namespace"] = attacker.namespace
    url = f"{installation.suite.http_url}/api/v1/events"
    watched = event_service_pb2.WatchEventsRequest(namespace=attacker.namespace)
    watch = event_service_pb2_grpc.EventServiceStub(key.channel).WatchEvents(watched)
    await watch.read()
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers) as events,
        session.ws_connect(f"{url}/ws", headers=headers) as socket,
    ):
        assert events.status == 200
        if ending == "rotation":
            key_id = (await key.auth.GetMe(auth_service_pb2.GetMeRequest())).principal.id
            request = key_service_pb2.RotateApiKeyRequest(
                key_id=key_id, overlap_seconds=int(LIFE_S)
            )
            ends = time.time() + LIFE_S
            await installation.owner.keys.RotateApiKey(request)

        async def over(stream: Coroutine[Any, Any, None]) -> float:
            await stream
            return time.time() - ends

        async with asyncio.timeout(LIFE_S + 5):
            late = await asyncio.gather(
                over(drained(events)), over(closed(socket)), over(refused(watch))
            )
    assert all(-0.1 <= each < LATE_S for each in late), late


async def drained(events: aiohttp.ClientResponse) -> None:
    with suppress(aiohttp.ClientError):
        while await events.content.readany():
            continue


async def closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
        continue


async def refused(watch: Any) -> None:
    with suppress(grpc.aio.AioRpcError):
        async for _ in watch:
            continue
    assert await watch.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("role", ["", "viewer"])
async def test_a_key_has_no_right_that_its_maker_has_lost(
    installation: Closed, attacker: Company, role: str
) -> None:
    """The key of a removed member ends; that of one who reads now reads."""
    installation = await installation.renewed()
    email = f"maker-{role or 'gone'}@{attacker.namespace}.example"
    made = await member(installation, email, PROJECT, project_of(attacker), Role.ADMIN)
    maker = installation.caller(made.tokens.access_token)
    created: Any = await maker.keys.CreateApiKey(
        key_service_pb2.CreateApiKeyRequest(
            project_id=project_of(attacker), name="left behind", role="editor"
        )
    )
    key = installation.caller(created.secret)
    headers = {"flowmesh_namespace": attacker.namespace}
    event = {"type": "a", "source": "/a", "data": {}}
    assert (await key.rest("POST", "/api/v1/events", event, **headers))[0] < 300
    grant = principal_pb2.Grant(level=PROJECT, level_id=project_of(attacker), role=role)
    await installation.owner.members.SetMember(
        member_service_pb2.SetMemberRequest(user_id=made.user.id, grant=grant)
    )
    status, body = await key.rest("POST", "/api/v1/events", event, **headers)
    assert status == (403 if role else 401), body
    assert (await key.rest("GET", LIST, **headers))[0] == (200 if role else 401)
