"""NATS and Redis as the account of each service: its own subjects and keys only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import AuthenticationError, NoPermissionError

from flowmesh.bus import Bus
from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.binaries import nats_server, redis_server
from flowmesh.embedded.child import Child, Program
from flowmesh.embedded.ports import free_port, is_free
from flowmesh.runtime import Settings
from flowmesh.suite.accounts import CONTAINER_SEED, Accounts, Rights, rights_of, write_accounts
from flowmesh.suite.services import CORE
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, execute, workflow

RIGHTS = rights_of("fm", "events")
WITHIN_S = 10
# The only service that may send to a subject, and that may use a key.
SENDERS = {
    "fm.events.x": "orchestrator",
    "fm.identity.revocations": "identity",
    "fm.definitions.changed": "definition",
    "fm.queue.x": "event",
    "fm.delayed.x": "event",
    "events.x": "worker",
    "fm.apphost.changed": "apphost",
}
KEYS = {
    "fm:finished:x": "orchestrator",
    "fm:identity:x": "identity",
    "fm:registry:x": "registry",
    "fm:result:x": "worker",
}
# A subject of each stream that a service must not read by a consumer or delete.
STREAMS = ("$JS.API.STREAM.DELETE.FM_EVENTS", "$JS.API.CONSUMER.CREATE.FM_EVENTS.x")


def example(pattern: str) -> str:
    """Return a subject or key of a pattern."""
    return pattern.replace(">", "x").replace("*", "x")


def covers(patterns: Iterable[str], name: str) -> bool:
    """Return whether patterns of subjects or keys admit a name."""
    return any(
        name == each or (each[-1] in ">*" and name.startswith(each[:-1])) for each in patterns
    )


def others(own: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the names that no own pattern admits."""
    mine = list(own)
    return sorted({each for each in map(example, names) if not covers(mine, each)})


class Probe:
    """A connection of an account to NATS that counts what the server refuses."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.refused: list[str] = []

    async def note(self, error: Exception) -> None:
        self.refused.append(str(error))

    async def publishes(self, subject: str) -> bool:
        await self.bus.publish_core(subject, b"")
        return await self._admitted(subject)

    async def subscribes(self, subject: str) -> bool:
        await self.bus.client.subscribe(subject)
        return await self._admitted(subject)

    async def _admitted(self, subject: str) -> bool:
        await self.bus.flush()
        return not any(subject.lower() in each.lower() for each in self.refused)


@asynccontextmanager
async def probe(address: str) -> AsyncIterator[Probe]:
    bus = Bus(address)
    made = Probe(bus)
    bus.start()
    await bus.until_connected()
    bus.client._error_cb = made.note
    try:
        yield made
    finally:
        await bus.close()


async def test_each_service_touches_its_own_subjects_and_keys_only(tmp_path: Path) -> None:
    """Those of every other service are refused, and the replies to them."""
    accounts = Accounts.of(Settings(), tmp_path / "accounts")
    async with EmbeddedServers(
        tmp_path / "data", only=["nats", "redis"], accounts=accounts
    ) as servers:
        for name in CORE:
            own = RIGHTS[name]
            for patterns, owners in ((own.sends, SENDERS), (own.keys, KEYS)):
                admitted = {each for each in owners if covers(patterns, each)}
                assert admitted == {each for each, owner in owners.items() if owner == name}
            foreign = [RIGHTS[each] for each in CORE if each != name]
            await _on_nats(accounts.nats(servers.nats, name), RIGHTS[name], foreign)
            await _on_redis(accounts.redis(servers.redis, name), RIGHTS[name], foreign)


async def _on_nats(address: str, own: Rights, foreign: list[Rights]) -> None:
    async with probe(address) as connection:
        for subject in map(example, own.sends):
            assert await connection.publishes(subject), subject
        for subject in map(example, own.reads):
            assert await connection.subscribes(subject), subject
        sent = [*(s for each in foreign for s in each.sends), *STREAMS, "_INBOX.UANOTHER.x"]
        for subject in others(own.sends, sent):
            assert not await connection.publishes(subject), subject
        read = [*(s for each in foreign for s in each.reads), "_INBOX.>", "fm.>", "fm.events.x"]
        for subject in [*others(own.reads, read), ">", "$JS.>"]:
            assert not await connection.subscribes(subject), subject


async def _on_redis(address: str, own: Rights, foreign: list[Rights]) -> None:
    client = redis.asyncio.from_url(address)
    try:
        for key in map(example, own.keys):
            await client.set(key, "1")
        for key in others(own.keys, [key for each in foreign for key in each.keys]):
            with pytest.raises(NoPermissionError):
                await client.get(key)
            with pytest.raises(NoPermissionError):
                await client.set(key, "1")
        for channel in others(own.channels, [c for each in foreign for c in each.channels]):
            with pytest.raises(NoPermissionError):
                await client.publish(channel, "")
        forbidden: tuple[Awaitable[object], ...] = (
            client.keys("*"),
            client.config_get("requirepass"),
            client.acl_list(),
        )
        for call in forbidden:
            with pytest.raises(NoPermissionError):
                await call
    finally:
        await client.aclose()


@asynccontextmanager
async def served(folder: Path, port: int, *argv: str) -> AsyncIterator[None]:
    """Run a server that listens on a port of this machine."""

    async def listens() -> bool:
        return not is_free(port)

    log = folder / f"{port}.log"
    program = Program(str(port), argv, folder, log, ready=listens, before_start=lambda: None)
    server = Child(program, on_spawn=lambda: None)
    await server.start()
    try:
        yield
    finally:
        await server.stop()


async def test_servers_in_containers_take_the_accounts_that_the_command_writes(
    tmp_path: Path,
) -> None:
    """The files of `flowmesh accounts`, read by both servers; no user remains beside them."""
    folder, ports = tmp_path / "accounts", (free_port(), free_port())
    addresses = (f"nats://127.0.0.1:{ports[0]}", f"redis://127.0.0.1:{ports[1]}")
    await write_accounts(Settings(), folder, *addresses)
    nats = (str(nats_server()), "-c", f"{folder}/nats.conf", "-a", "127.0.0.1")
    store = (str(redis_server()), f"{folder}/redis.conf", "--bind", "127.0.0.1", "--save", "")
    async with (
        served(tmp_path, ports[0], *nats, "--jetstream", "-sd", "jetstream", "-p", str(ports[0])),
        served(tmp_path, ports[1], *store, "--port", str(ports[1])),
    ):
        for name in CORE:
            written = dict(
                line.split("=", 1) for line in (folder / f"{name}.env").read_text().splitlines()
            )
            address = written["FLOWMESH_NATS"].replace(CONTAINER_SEED, f"{folder}/{name}.nk")
            foreign = [RIGHTS[each] for each in CORE if each != name]
            await _on_nats(address, RIGHTS[name], foreign)
            await _on_redis(written["FLOWMESH_REDIS"], RIGHTS[name], foreign)
        anyone = redis.asyncio.from_url(addresses[1])
        with pytest.raises(AuthenticationError):
            await anyone.ping()
        await anyone.aclose()


async def users(suite: Suite) -> set[str]:
    """Return the users of Redis that processes of a suite use."""
    client = redis.asyncio.from_url(str(suite.about["redis"]))
    try:
        found: list[dict[str, Any]] = await client.client_list()
        return {each["user"] for each in found} - {"default"}
    finally:
        await client.aclose()


@pytest.mark.long
async def test_processes_of_flowmesh_dev_use_accounts(tmp_path: Path) -> None:
    """The first one that of all services, each other one its own; no one the administrator's."""
    async with Suite(tmp_path / "data", "--workers", "2", "--orchestrators", "2") as suite:
        flow = workflow("waits", {"id": "waits", "taskRef": "delay", "input": {"duration": 1}})
        await applied(suite, flow)
        assert (await execute(suite, "waits")).status == 200

        async def all_there() -> bool:
            return await users(suite) == {"dev", "worker", "orchestrator"}

        await until("all processes use Redis", all_there, within_s=WITHIN_S)


@pytest.mark.long
async def test_processes_of_a_cluster_use_accounts(tmp_path: Path) -> None:
    """Each that of its service; executions run, and messages and events arrive."""
    async with Cluster(tmp_path / "data") as suite:
        flow = workflow("waits", {"id": "waits", "taskRef": "delay", "input": {"duration": 1}})
        await applied(suite, flow)
        assert (await execute(suite, "waits")).status == 200
        assert (await suite.request("PUT", "/api/v1/message-queues/q", {})).status < 300
        messages = [{"body": {"n": 1}}, {"body": {"n": 2}, "delayMs": 500}]
        sent = await suite.post("/api/v1/message-queues/q:publish", {"messages": messages})
        assert sent.status == 200, sent.text
        for _ in messages:
            got = await suite.post(
                "/api/v1/message-queues/q:receive", {"count": 1, "waitMs": 10_000}
            )
            assert len(got.json["messages"]) == 1, got.text
        event = {"events": [{"type": "Made", "data": {"n": 1}}]}
        assert (await suite.post("/api/v1/streams/s/events", event)).status < 300
        assert (await suite.get("/api/v1/streams/s/events")).json["events"]

        async def all_there() -> bool:
            return await users(suite) == set(CORE)

        await until("all processes use Redis", all_there, within_s=WITHIN_S)
        for member in suite.processes:
            path = Path(f"/proc/{member['pid']}/environ")
            environment = await asyncio.to_thread(path.read_text)
            assert f"accounts/{member['service']}.nk" in environment, member
