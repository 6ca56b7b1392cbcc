"""Fixtures of the conformance run: one cluster, one stub, and a driver per language."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from flowmesh.testing.cluster import Cluster
from flowmesh.testing.databases import InitialDatabase
from flowmesh.testing.suite import Suite
from sdks.conformance.languages import LANGUAGES, available, command
from sdks.conformance.process import Driver
from sdks.conformance.stub import Stub
from tests.faults.harness.proxy import Proxy


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--languages", default=",".join(LANGUAGES), help="of drivers.yaml, with commas"
    )
    parser.addoption("--repeat", type=int, default=1, help="runs of every scenario")


def languages(config: pytest.Config) -> list[str]:
    """Return the languages to test."""
    return available(config.getoption("--languages").split(","))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "language" in metafunc.fixturenames:
        metafunc.parametrize("language", languages(metafunc.config), scope="session")
    for fixture, entry in (("example_language", "example"), ("readme_language", "readme")):
        if fixture in metafunc.fixturenames:
            chosen = [name for name in languages(metafunc.config) if entry in LANGUAGES[name]]
            metafunc.parametrize(fixture, chosen)
    if "repetition" in metafunc.fixturenames:
        metafunc.parametrize("repetition", range(metafunc.config.getoption("--repeat")))


class Drivers:
    """A running driver per language, built on first use and started again after its end."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._built: dict[str, list[str]] = {}
        self._running: dict[str, Driver] = {}
        self._stack = AsyncExitStack()

    async def of(self, language: str) -> Driver:
        """Return the driver of a language."""
        found = self._running.get(language)
        if found is None or not found.running:
            found = Driver(self.command(language), log=self._logs / f"{language}.log")
            self._running[language] = await self._stack.enter_async_context(found)
        return found

    def command(self, language: str) -> list[str]:
        """Build the driver once; return the command that runs it."""
        if language not in self._built:
            self._built[language] = command(language)
        return self._built[language]

    async def close(self) -> None:
        await self._stack.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def drivers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Drivers]:
    """The drivers of this run; their logs are kept in its folder."""
    running = Drivers(tmp_path_factory.mktemp("drivers"))
    yield running
    await running.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """The suite with a process per service, so that each can be killed."""
    Suite.initial_database = InitialDatabase(tmp_path_factory.mktemp("initialized"))
    async with Cluster(
        tmp_path_factory.mktemp("cluster") / "data", environment={"FLOWMESH_AUTH": "open"}
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stub() -> AsyncIterator[Stub]:
    """A scripted server."""
    async with Stub() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def other_stub() -> AsyncIterator[Stub]:
    """A second scripted server, the gateway of another cell."""
    async with Stub() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def aging_stub() -> AsyncIterator[Stub]:
    """A scripted server whose connections last a second."""
    async with Stub(connection_age_ms=1_000) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def proxy(cluster: Cluster) -> AsyncIterator[Proxy]:
    """A proxy before the gateway, whose connections can be cut."""
    host, _, port = cluster.grpc_address.rpartition(":")
    async with Proxy((host, int(port))) as running:
        yield running
