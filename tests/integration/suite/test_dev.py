"""`flowmesh dev`: one command that starts, tells, refuses, recovers and leaves nothing."""

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
from pathlib import Path

import asyncpg
import psutil
import pytest

from flowmesh.suite.services import CORE
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

BARE = (sys.executable, "-m", "flowmesh.suite", "dev")
DEV = (*BARE, "--http-port", "0", "--grpc-port", "0")
IDLE_BYTES_MAX = 250 * 1024 * 1024
APPLIED = "select applied_at > pg_postmaster_start_time() from identity.schema_migrations"
HELLO = {
    "id": "hello",
    "name": "Hello",
    "steps": [
        {"id": "first", "name": "First"},
        {
            "id": "second",
            "name": "Second",
            "dependencies": ["first"],
            "action": "delay",
            "params": {"duration": 10},
        },
    ],
}


async def finished(*argv: str, timeout_s: float = 20.0) -> tuple[int, str, str]:
    """Runs a command to its end: exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(timeout_s):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


def listed() -> list[str]:
    """The temporary folders of suites."""
    return [str(path) for path in Path(tempfile.gettempdir()).glob("flowmesh-*")]


async def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them end within ten seconds."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 10)
    return alive == []


@pytest.mark.long
async def test_a_workflow_runs_and_survives_a_restart(tmp_path: Path) -> None:
    """State is there after an orderly stop, which ends with code 0 and no process left."""
    suite = Suite(tmp_path / "data")
    await suite.start()
    execution = await suite.run(HELLO, {"x": 1})
    assert execution["status"] == "completed"
    processes = [psutil.Process(pid) for pid in (suite.pid, *suite.pids.values())]
    assert await suite.stop() == 0
    assert await gone(processes)
    async with suite:
        assert await suite.execution(execution["executionId"]) == execution


@pytest.mark.long
async def test_it_recovers_from_a_killed_process_group(tmp_path: Path) -> None:
    """After kill -9 of everything the next start needs no person."""
    suite = Suite(tmp_path / "data")
    await suite.start()
    execution = await suite.run(HELLO)
    servers = [psutil.Process(pid) for pid in suite.pids.values()]
    await suite.kill()
    async with suite:
        assert await gone(servers)
        assert (await suite.execution(execution["executionId"]))["status"] == "completed"
        assert (await suite.run(HELLO))["status"] == "completed"


@pytest.mark.long
async def test_a_second_start_is_refused_by_pid(suite: Suite) -> None:
    """The error is one line that names the process and what to do."""
    code, _, errors = await finished(*DEV, "--data-dir", str(suite.data_dir))
    assert code == 1
    assert re.fullmatch(rf"flowmesh: .* is in use by process {suite.pid}; .*--data-dir\n", errors)


@pytest.mark.long
@pytest.mark.parametrize("command", ["dev", "cluster"])
@pytest.mark.parametrize(
    ("flag", "other"), [("--http-port", "--grpc-port"), ("--grpc-port", "--http-port")]
)
async def test_a_taken_port_is_reported_before_anything_starts(
    tmp_path: Path, command: str, flag: str, other: str
) -> None:
    """One line with the port and the flag that changes it; nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        data_dir = tmp_path / "data"
        ports = (flag, port, other, "0")
        argv = (*BARE[:-1], command, "--data-dir", str(data_dir), *ports)
        code, _, errors = await finished(*argv)
    assert code == 1
    assert errors.startswith("flowmesh: ")
    assert port in errors
    assert flag in errors
    assert not data_dir.exists()


@pytest.mark.long
async def test_it_works_below_a_closed_folder(tmp_path: Path) -> None:
    """A parent of mode 700, as mktemp -d makes, is no obstacle, for root neither."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with Suite(closed / "data") as suite:
        assert (await suite.run(HELLO))["status"] == "completed"


@pytest.mark.long
async def test_ephemeral_data_is_thrown_away() -> None:
    """What it prints says where the data is; after the end it is gone."""
    process = await asyncio.create_subprocess_exec(
        *DEV, "--ephemeral", stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    found = re.search(r"Data: (\S+) \(removed at exit\)", line)
    assert found, line
    folder = found[1]
    assert folder in listed()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(12):
        await process.communicate()
    assert process.returncode == 0
    assert folder not in listed()


@pytest.mark.long
async def test_a_signal_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    """Whoever changes their mind at once is left with no process either."""
    process = await asyncio.create_subprocess_exec(
        *DEV, "--data-dir", str(tmp_path / "data"), start_new_session=True
    )
    running = tmp_path / "data" / "servers.json"
    async with asyncio.timeout(20):
        while not running.exists():
            await asyncio.to_thread(os.sched_yield)
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    async with asyncio.timeout(12):
        assert await process.wait() == 0
    assert await gone(children)


async def test_the_banner_tells_where_everything_is(suite: Suite) -> None:
    """The files and ports of the running suite are in dev.json, for its owner only."""
    file = suite.data_dir / "dev.json"
    assert file.stat().st_mode & 0o077 == 0
    assert set(suite.about) >= {"pid", "http", "grpc", "postgres", "nats", "redis", "pids"}
    assert suite.about["pid"] == suite.pid


@pytest.mark.long
async def test_what_the_banner_says_to_try_works() -> None:
    """The two curl commands, copied into a shell, register a workflow and show its output."""
    process = await asyncio.create_subprocess_exec(
        *DEV, "--ephemeral", stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        banner = (await process.stdout.readuntil(b"Ctrl-C")).decode()
    try:
        commands = banner.partition("Try:\n")[2].removesuffix("Ctrl-C")
        code, output, errors = await finished("bash", "-euc", commands)
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert code == 0, errors
    assert "HELLO ADA" in output
    assert commands.count("/api/v1/workflows") == commands.count("curl ") == 2


async def test_all_core_services_are_there(suite: Suite) -> None:
    """The registry knows the suite's own services, and all of them are healthy soon."""

    async def healthy() -> bool:
        answer = await suite.get("/api/v1/services?type=core")
        return set(CORE) <= {
            each["name"] for each in answer.json["services"] if each["status"] == "HEALTHY"
        }

    await until("all services are healthy", healthy, within_s=10)


@pytest.mark.long
async def test_a_given_server_is_used(tmp_path: Path, servers: object) -> None:
    """An address instead of an embedded server: that server is not started."""
    redis = getattr(servers, "redis")  # noqa: B009
    async with Suite(tmp_path / "data", "--redis", redis) as suite:
        assert set(suite.pids) == {"postgres", "nats"}
        assert suite.about["redis"] == redis
        assert (await suite.run(HELLO))["status"] == "completed"


@pytest.mark.long
async def test_a_given_server_that_is_away_is_named(tmp_path: Path) -> None:
    """The banner does not say of it that it is there; what needs no bus is served."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"nats://127.0.0.1:{listener.getsockname()[1]}"
    argv = ("-m", "flowmesh.suite", "dev", "--ephemeral", "--http-port", "0", "--grpc-port", "0")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, "--nats", away, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = {}
    async with asyncio.timeout(60):
        async for line in process.stdout:
            lines[line.strip().partition(b" ")[0]] = line
            if line.startswith(b"Ctrl-C"):
                break
    process.terminate()
    async with asyncio.timeout(12):
        await process.wait()
    assert b"given address, does not answer yet" in lines[b"NATS"]
    assert b"does not answer" not in lines[b"Redis"]


@pytest.mark.long
async def test_idle_memory_is_bounded(tmp_path: Path) -> None:
    """The suite with its servers needs at most 250 MiB when it has just started.

    Shared pages count once: each connection is a process of PostgreSQL that maps the same ones.
    """
    async with Suite(tmp_path / "data", python=sys.executable) as suite:
        parent = psutil.Process(suite.pid)
        processes = [parent, *parent.children(recursive=True)]
        assert sum(each.memory_full_info().pss for each in processes) < IDLE_BYTES_MAX


@pytest.mark.long
async def test_suites_of_the_tests_have_their_migrations(tmp_path: Path) -> None:
    """A start applies none where the sources are those of the tests, and all of them elsewhere."""
    applied = list[set[bool]]()
    for environment in (dict[str, str](), {"PYTHONPATH": str(tmp_path)}):
        async with Suite(tmp_path / f"data{len(applied)}", environment=environment) as suite:
            connection = await asyncpg.connect(str(suite.about["postgres"]))
            rows = await connection.fetch(APPLIED)
            await connection.close()
        applied.append({row[0] for row in rows})
    assert applied == [{False}, {True}]
