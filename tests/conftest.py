"""Fixtures of all tests: one set of real servers, one running suite, a database per test."""

import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from zlib import crc32

import grpc.aio
import pytest
import pytest_asyncio
import structlog

from flowmesh import core
from flowmesh.embedded import EmbeddedServers, postgres
from flowmesh.testing.databases import InitialDatabase, Templates, fresh_database
from flowmesh.testing.suite import Suite, raw_channel
from tests.forks import Forks, can_fork

# Suites of the tests are open where a test does not close them.
os.environ.setdefault("FLOWMESH_AUTH", "open")


SERVICES = Path(__file__).resolve().parents[1] / "services" / "flowmesh"
# The migrations of each service with a schema.
SCHEMAS = {
    each.relative_to(SERVICES).parts[0]: each for each in sorted(SERVICES.glob("*/**/migrations"))
}
# Files that take half a minute and more, the longest first.
LONGEST = (
    "tests/integration/suite/test_wheel.py",
    "tests/console/test_scenarios.py",
    "tests/access/test_revocation.py",
    "tests/features/rest/test_rest_fuzzing.py",
    "tests/features/application_hosts/test_apphost.py",
    "tests/features/events/test_changes.py",
    "tests/simulation/test_limits_hold.py",
    "tests/features/programs/test_other_languages.py",
    "tests/features/security/test_tls.py",
    "tests/guarantees/test_cluster.py",
    "tests/features/formats/test_state.py",
    "tests/features/broker/test_broker_hostile.py",
    "tests/features/events/test_subscriptions.py",
    "tests/features/security/test_closed_commands.py",
    "tests/hostile/calls/test_calls_out.py",
)


PLACES = {name: place for place, name in enumerate(LONGEST)}


def _in(share: str, item: pytest.Item) -> bool:
    """Return whether the file of a test is in a share, such as the first third, `0/3`.

    The longest files are dealt out in turn, so that no share has most of them.
    """
    number, _, shares = share.partition("/")
    file = item.nodeid.partition("::")[0]
    return PLACES.get(file, crc32(file.encode())) % int(shares) == int(number)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Do not delay the messages of pytest-rerunfailures: 40 ms for each test of each process."""
    channel = getattr(getattr(config, "failures_db", None), "sock", None)
    if channel is not None:
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Commands of the tests are interrupted; a shell ignores that signal in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep modules and tests, which stay until the end, out of all garbage collections."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that none of them is left over at the end.

    With `TESTS_SHARE=1/3`, long tests of the other two thirds of the files are deselected.
    """
    if share := os.environ.get("TESTS_SHARE"):
        others = [
            each for each in items if each.get_closest_marker("long") and not _in(share, each)
        ]
        config.hook.pytest_deselected(items=others)
        left_out = set(others)
        items[:] = [each for each in items if each not in left_out]
    items.sort(key=lambda item: PLACES.get(item.nodeid.partition("::")[0], len(PLACES)))


def pytest_report_header() -> str:
    """In the head of each run: which core it has tested."""
    return f"core: {core.kind()}"


@pytest.fixture(scope="session", autouse=True)
def initial_database(tmp_path_factory: pytest.TempPathFactory) -> InitialDatabase:
    """New suites copy a migrated database, unless a test sets this to None."""
    initial = InitialDatabase(tmp_path_factory.mktemp("initialized"), SCHEMAS)
    Suite.initial_database = initial
    return initial


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[Forks]:
    """With `TESTS_FORK=1` suites and commands are forked, unless a test takes a Python by name."""
    with Forks() as running:
        if can_fork():
            Suite.launcher = running
        yield running
    Suite.launcher = None


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(
    tmp_path_factory: pytest.TempPathFactory, initial_database: InitialDatabase
) -> AsyncIterator[EmbeddedServers]:
    """PostgreSQL, NATS and Redis of this test session: `.postgres`, `.nats`, `.redis`."""
    folder = tmp_path_factory.mktemp("servers") / "data"
    await initial_database.copy_to(folder)
    # Nothing outlives the machine, and a database of a test is hundreds of files to force.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(postgres.SETTINGS, "fsync", "off")
        async with EmbeddedServers(folder) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def database(servers: EmbeddedServers) -> AsyncIterator[str]:
    """The address of an empty database that only this test has."""
    async with fresh_database(servers.postgres) as address:
        yield address


@pytest.fixture(scope="session")
def schema_templates(servers: EmbeddedServers) -> Templates:
    return Templates(servers.postgres, SCHEMAS)


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> str:
    """The service that a test is of: the name of its folder."""
    return request.path.parent.name


@pytest_asyncio.fixture(loop_scope="session")
async def migrated(
    servers: EmbeddedServers, schema_templates: Templates, schema: str
) -> AsyncIterator[str]:
    """The address of a database that only this test has, with the schema of its service."""
    async with fresh_database(
        servers.postgres, template=await schema_templates.of(schema)
    ) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """The suite as `flowmesh dev` starts it, shared by the tests that only use it."""
    async with Suite(tmp_path_factory.mktemp("suite") / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def channel(suite: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """A plain gRPC channel to the suite."""
    async with raw_channel(suite) as opened:
        yield opened


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is freed meanwhile is freed by the last reference to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Keep logs apart from what a command prints, and undo what it sets for all loggers."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.__stderr__),
    )
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = handlers
