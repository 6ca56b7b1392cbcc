"""Revoked keys, sessions and roles: refused everywhere within a second, and streams end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from flowmesh.access import Role
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
)
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import allowed_s, pause
from flowmesh.testing.suite import Suite
from tests.access.answers import call
from tests.access.contracts import BY_NAME, Method, fill
from tests.access.tenants import member
from tests.features.closed import PASSWORD, Caller, Closed, closed_suite

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
TRIALS = 100
AT_ONCE = 5
WITHIN_S = 1.0
GIVEN_UP_S = 10.0
POLL_S = 0.02
# A method of each service that a viewer may call.
READS = {
    "definition": "DefinitionService.ListWorkflows",
    "event": "TriggerService.ListTriggers",
    "gateway": "ExecutionService.ListExecutions",
    "identity": "MemberService.ListMembers",
    "orchestrator": "ExecutionService.ListExecutions",
    "registry": "RegistryService.ListInstances",
}
Revoke = Callable[[], Awaitable[object]]


@dataclass
class Times:
    """Seconds until a revocation took effect, by the place."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    async def note(self, place: str, since: float, refused: Awaitable[object]) -> None:
        async with asyncio.timeout(GIVEN_UP_S):
            await refused
        self.taken.setdefault(place, []).append(time.monotonic() - since)

    def late(self) -> dict[str, float]:
        """Return the 99th percentile of each place where it is over the limit."""
        found, limit = {}, allowed_s(WITHIN_S)
        for place, taken in self.taken.items():
            value = sorted(taken)[int(len(taken) * 0.99) - 1]
            if value > limit:
                found[place] = value
        return found


class Watching:
    """A caller with all kinds of calls and streams open."""

    def __init__(self, caller: Caller, namespace: str, project: str) -> None:
        self._caller, self._namespace, self._project = caller, namespace, project
        self._stack = AsyncExitStack()
        self._session = aiohttp.ClientSession()
        self._headers = {
            "authorization": f"Bearer {caller.credential}",
            "flowmesh-namespace": namespace,
        }

    async def open(self) -> None:
        """Open a stream of each kind, and read what each sends at its begin."""
        await self._stack.enter_async_context(self._session)
        url = f"{self._caller.suite.http_url}/api/v1/events"
        self._sse = await self._stack.enter_async_context(
            self._session.get(url, headers=self._headers)
        )
        self._socket = await self._stack.enter_async_context(
            self._session.ws_connect(f"{url}/ws", headers=self._headers)
        )
        channel = await self._stack.enter_async_context(
            grpc.aio.insecure_channel(self._caller.suite.grpc_address)
        )
        watch: Any = channel.unary_stream(
            BY_NAME["EventService.WatchEvents"].path,
            request_serializer=event_service_pb2.WatchEventsRequest.SerializeToString,
            response_deserializer=event_service_pb2.WatchEventsResponse.FromString,
        )
        request = event_service_pb2.WatchEventsRequest(namespace=self._namespace)
        self._events = watch(request, metadata=self._caller.metadata)
        await self._events.read()
        assert self._sse.status == 200

    async def close(self) -> None:
        await self._stack.aclose()

    async def stream_ended(self) -> None:
        await self._events.code()

    async def sse_ended(self) -> None:
        async for _ in self._sse.content.iter_any():
            pass

    async def socket_ended(self) -> None:
        async for _ in self._socket:
            pass

    async def rest_refused(self) -> None:
        url = f"{self._caller.suite.http_url}/api/v1/executions"
        while True:
            async with self._session.get(url, headers=self._headers) as answer:
                if answer.status in (401, 404):
                    return
            await pause(POLL_S)

    async def call_refused(self, name: str, address: str) -> None:
        method = BY_NAME[name]
        async with grpc.aio.insecure_channel(address) as channel:
            while await self._code(method, channel) == "OK":
                await pause(POLL_S)

    async def _code(self, method: Method, channel: grpc.aio.Channel) -> str:
        request = method.request()
        for path in method.rule.namespaces:
            fill(request, path, self._namespace)
        if isinstance(request, member_service_pb2.ListMembersRequest):
            request.level, request.level_id = principal_pb2.LEVEL_PROJECT, self._project
        make: Any = channel.unary_unary(
            method.path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=bytes,
        )
        try:
            await make(request, metadata=self._caller.metadata)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    async def measure(self, times: Times, places: Iterable[tuple[str, str]]) -> None:
        """Note when each stream ends, and when each place refuses the next call."""
        since = time.monotonic()
        await asyncio.gather(
            times.note("stream", since, self.stream_ended()),
            times.note("SSE", since, self.sse_ended()),
            times.note("WebSocket", since, self.socket_ended()),
            times.note("REST", since, self.rest_refused()),
            *(
                times.note(address, since, self.call_refused(name, address))
                for name, address in places
            ),
        )


@dataclass(frozen=True)
class Project:
    """A project, and ways to come to a caller whose rights can be taken away."""

    closed: Closed
    id: str
    namespace: str

    async def key(self) -> tuple[Caller, Revoke]:
        """Return a caller with an API key, and the deletion of the key."""
        caller = await self.closed.key(self.id, "viewer")
        me = await caller.auth.GetMe(auth_service_pb2.GetMeRequest())
        request = key_service_pb2.DeleteApiKeyRequest(key_id=me.principal.id)
        return caller, lambda: self.closed.owner.keys.DeleteApiKey(request)

    async def session(self) -> tuple[Caller, Revoke]:
        """Return a caller with a session of a user, and its logout."""
        login = auth_service_pb2.LoginRequest(email="viewer@shop.example", password=PASSWORD)
        opened = await self.closed.caller("").auth.Login(login)
        caller = self.closed.caller(opened.tokens.access_token)
        return caller, lambda: caller.auth.Logout(auth_service_pb2.LogoutRequest())

    async def role(self, number: int) -> tuple[Caller, Revoke]:
        """Return a caller with a role, and the change that takes the role away."""
        level = principal_pb2.LEVEL_PROJECT
        email = f"viewer-{number}@shop.example"
        made = await member(self.closed, email, level, self.id, Role.VIEWER)
        gone = principal_pb2.Grant(level=level, level_id=self.id)
        request = member_service_pb2.SetMemberRequest(user_id=made.user.id, grant=gone)
        caller = self.closed.caller(made.tokens.access_token)
        return caller, lambda: self.closed.owner.members.SetMember(request)

    def places(self) -> list[tuple[str, str]]:
        """Return methods that need the role, each with the address of a process that serves it."""
        suite = self.closed.suite
        if isinstance(suite, Cluster):
            return [
                (READS[each.service], each.grpc)
                for each in suite.members().values()
                if each.service in READS
            ]
        return [(name, suite.grpc_address) for name in sorted(set(READS.values()))]


@pytest.fixture(params=["one process", "cluster"], scope="module")
async def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Project]:
    folder: Path = tmp_path_factory.mktemp("revoked")
    kind = Cluster if request.param == "cluster" else Suite
    async with closed_suite(folder, kind=kind) as closed:
        made = await closed.project("shop")
        level = principal_pb2.LEVEL_PROJECT
        await member(closed, "viewer@shop.example", level, made.id, Role.VIEWER)
        yield Project(closed, made.id, made.namespace)


async def revoked(project: Project, times: Times, made: tuple[Caller, Revoke]) -> None:
    """Open everything, take the right away, and note when that takes effect."""
    caller, revoke = made
    watching = Watching(caller, project.namespace, project.id)
    try:
        await watching.open()
        places = project.places()
        for name, address in places:
            # Known to each process, so that it has to hear of the change.
            async with grpc.aio.insecure_channel(address) as channel:
                assert await watching._code(BY_NAME[name], channel) == "OK"
        await revoke()
        await watching.measure(times, places)
    finally:
        await watching.close()


async def _trials(project: Project, make: Callable[[int], Awaitable[Any]], count: int) -> Times:
    """Make the callers first: hashing passwords keeps the processes busy."""
    times, turns = Times(), asyncio.Semaphore(AT_ONCE)
    callers = [await make(number) for number in range(count)]

    async def trial(made: tuple[Caller, Revoke]) -> None:
        async with turns:
            await revoked(project, times, made)

    await asyncio.gather(*map(trial, callers))
    return times


@pytest.mark.feature("S1-112", "S3-129")
async def test_a_deleted_key_is_refused_everywhere_within_a_second(project: Project) -> None:
    """Over REST, gRPC, SSE and WebSockets, at each process."""
    times = await _trials(project, lambda _: project.key(), TRIALS)
    assert times.late() == {}


@pytest.mark.feature("S1-112", "S3-129")
async def test_an_ended_session_is_refused_everywhere_within_a_second(project: Project) -> None:
    """The access token would be valid for ten minutes more."""
    times = await _trials(project, lambda _: project.session(), TRIALS)
    assert times.late() == {}


@pytest.mark.feature("S1-111", "S3-129")
async def test_a_lost_role_is_refused_everywhere_within_a_second(project: Project) -> None:
    """The session stays; the namespace and the project are gone for it."""
    times = await _trials(project, project.role, TRIALS)
    assert times.late() == {}


async def test_identity_answers_a_user_without_roles(project: Project) -> None:
    """A user that lost its role may still ask who it is."""
    caller, revoke = await project.role(TRIALS)
    await revoke()
    answer = await call(caller, BY_NAME["AuthService.GetMe"], auth_service_pb2.GetMeRequest())
    assert answer.code == "OK"
