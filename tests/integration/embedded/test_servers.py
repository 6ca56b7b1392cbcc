"""The embedded servers start, keep their data, come back, and never outlive their parent."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from flowmesh.bus import Bus
from flowmesh.embedded import DataDirLocked, EmbeddedServers, binaries
from flowmesh.storage.redis_cache import CONNECTIONS_MAX, open_cache

HOLDER = """
import asyncio, sys
from flowmesh.embedded import EmbeddedServers
async def main():
    async with EmbeddedServers(sys.argv[1]) as servers:
        print(*servers.pids().values(), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""

pytestmark = pytest.mark.long


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EmbeddedServers]:
    """Servers that this test may break."""
    async with EmbeddedServers(tmp_path / "data") as servers:
        yield servers


async def query(servers: EmbeddedServers, statement: str) -> object:
    connection = await asyncpg.connect(servers.postgres)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_all_three_answer(servers: EmbeddedServers) -> None:
    """PostgreSQL 18, JetStream and Redis are there at the addresses told."""
    assert str(await query(servers, "show server_version")).startswith("18")
    cache = open_cache(servers.redis)
    assert await cache.ping()
    await cache.aclose()
    bus = Bus(servers.nats)
    bus.start()
    await bus.until_connected()
    await bus.ensure_stream("TEST_EMBEDDED", ["test.embedded"], 60, 1_000_000)
    await bus.close()


@pytest.mark.feature("S4-02")
async def test_many_callers_of_redis_share_a_few_connections(servers: EmbeddedServers) -> None:
    """No client is refused for lack of a connection, and the limit of connections holds."""
    cache = open_cache(servers.redis)
    before = len(await cache.client_list())
    assert await asyncio.gather(*(cache.ping() for _ in range(300))) == [True] * 300
    assert len(await cache.client_list()) < before + CONNECTIONS_MAX
    await cache.aclose()


async def test_postgres_is_durable(servers: EmbeddedServers) -> None:
    """An answered commit is on disk."""
    assert await query(servers, "show fsync") == "on"
    assert await query(servers, "show synchronous_commit") == "on"
    assert await query(servers, "show full_page_writes") == "on"


async def test_nats_refuses_a_client_without_token(servers: EmbeddedServers) -> None:
    """Other users of the machine cannot read the bus."""
    _, _, address = servers.nats.partition("@")
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    writer.write(b'CONNECT {"verbose":true}\r\n')
    assert b"Authorization" in await reader.readline()
    writer.close()


@pytest.mark.parametrize("name", ["postgres", "nats", "redis"])
async def test_a_killed_server_comes_back_at_its_address(own: EmbeddedServers, name: str) -> None:
    """A crash is mended without a person: another process, the same address."""
    before, addresses = own.pids()[name], (own.postgres, own.nats, own.redis)
    own.kill(name)
    await own.until_ready(name)
    assert own.pids()[name] not in (0, before)
    assert own.restarts(name) == 1
    assert (own.postgres, own.nats, own.redis) == addresses


async def test_committed_rows_survive_a_killed_postgres(own: EmbeddedServers) -> None:
    """Crash recovery gives back what was answered."""
    await query(own, "create table kept (x int)")
    await query(own, "insert into kept values (7)")
    own.kill("postgres")
    await own.until_ready("postgres")
    assert await query(own, "select x from kept") == 7


async def test_a_stopped_server_stays_down_until_started(own: EmbeddedServers) -> None:
    """Stop is not a crash: nothing brings the server back but start."""
    await own.stop("postgres")
    assert own.pids()["postgres"] == 0
    with pytest.raises(OSError):
        await query(own, "select 1")
    await own.start("postgres")
    assert await query(own, "select 1") == 1


async def test_data_is_kept_from_start_to_start(tmp_path: Path) -> None:
    """The second start finds what the first one stored."""
    async with EmbeddedServers(tmp_path) as servers:
        await query(servers, "create table kept as select 1 as x")
    async with EmbeddedServers(tmp_path) as servers:
        assert await query(servers, "select x from kept") == 1


async def test_a_second_start_names_the_pid_of_the_first(own: EmbeddedServers) -> None:
    """Two sets of servers never share a data directory."""
    with pytest.raises(DataDirLocked, match=f"process {os.getpid()}"):
        async with EmbeddedServers(own.data_dir.path):
            pass


async def test_works_below_a_closed_and_deep_folder(tmp_path: Path) -> None:
    """Mode 700 above the data and paths longer than a socket's limit are no obstacle."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with EmbeddedServers(closed / ("d" * 60) / ("e" * 60)) as servers:
        assert await query(servers, "select 1") == 1


async def test_works_when_the_programs_lie_below_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment below mode 700, as in a clone under mktemp -d, works for root too."""
    installed = binaries.postgres_bin().parent
    package = installed.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in (f"{package.name}/{installed.name}", f"{package.name}.libs"):
        shutil.copytree(package.parent / folder, closed / folder)
    programs = closed / package.name / installed.name / "bin"
    monkeypatch.setattr(binaries, "postgres_bin", lambda: programs)
    async with EmbeddedServers(tmp_path / "data", only=["postgres"]) as servers:
        assert await query(servers, "select 1") == 1


def start_redis(binary: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start an unsupervised server."""
    argv = [binary, "--port", "0", "--unixsocket", "other.sock"]
    return subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL)


def start_holder(data_dir: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Another process that runs the servers of the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


async def test_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    """kill -9 of the parent leaves none of the three behind, and the next start recovers."""
    holder, pids = await asyncio.to_thread(start_holder, tmp_path / "data")
    children = [psutil.Process(pid) for pid in pids]
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 10)
    assert alive == []
    async with EmbeddedServers(tmp_path / "data") as servers:
        assert await query(servers, "select 1") == 1


async def test_leftovers_of_a_killed_parent_are_ended(tmp_path: Path) -> None:
    """A server that outlived its parent is ended by the next start; nothing else is touched."""
    folder = tmp_path / "data" / "redis"
    async with EmbeddedServers(tmp_path / "data") as servers:
        binary = psutil.Process(servers.pids()["redis"]).exe()
    (tmp_path / "data" / "servers.json").write_text("{}")
    leftover, stranger = start_redis(binary, folder), start_redis(binary, tmp_path)
    try:
        async with EmbeddedServers(tmp_path / "data") as servers:
            assert await asyncio.to_thread(leftover.wait, 5) is not None
            assert stranger.poll() is None
            assert servers.pids()["redis"] != leftover.pid
    finally:
        stranger.kill()
        stranger.wait()
