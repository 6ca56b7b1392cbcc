"""Credentials count until their end and not a moment longer, in calls and in open streams."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import aiohttp
import grpc.aio
import pytest

from flowmesh.access import Role
from flowmesh.api.common.v1.access_pb2 import IdKind
from flowmesh.api.event.v1 import event_service_pb2, event_service_pb2_grpc
from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
)
from flowmesh.testing.polling import pause
from tests.access.tenants import member
from tests.features.closed import OWNER, PASSWORD, Closed
from tests.hostile.conftest import Company

PROJECT = principal_pb2.LEVEL_PROJECT
LIFE_S = 2.0
LIST = "/api/v1/executions"


def project_of(company: Company) -> str:
    return company.tenant.ids[IdKind.ID_KIND_PROJECT]


async def renewed(installation: Closed) -> Closed:
    """Return the installation with a new access token of its owner; one is valid for 10 minutes."""
    login = auth_service_pb2.LoginRequest(email=OWNER, password=PASSWORD)
    session = await installation.caller("").auth.Login(login)
    return replace(installation, owner=installation.caller(session.tokens.access_token))


async def test_a_cached_key_ends_with_its_expiry(installation: Closed, attacker: Company) -> None:
    """Calls keep it known until its end, and none after it is served."""
    installation = await renewed(installation)
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


@pytest.mark.parametrize("ending", ["expiry", "rotation"])
async def test_open_streams_end_with_their_credential(
    installation: Closed, attacker: Company, ending: str
) -> None:
    """Server-sent events, a WebSocket and a stream of gRPC stop when a key expires, and when the
    overlap of its former secret is over."""
    installation = await renewed(installation)
    ends = time.time() + LIFE_S
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
    assert all(-0.1 <= each < 2 for each in late), late


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
    installation = await renewed(installation)
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
