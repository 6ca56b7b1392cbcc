"""The database of a service: its migrated schema and a pool of connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources.abc import Traversable
from urllib.parse import parse_qs, urlsplit

import asyncpg
import structlog

from flowmesh.storage.durability import durability, unsafe
from flowmesh.storage.errors import DatabaseUnreachable
from flowmesh.storage.migrations import migrate
from flowmesh.storage.service_roles import service_address

COMMAND_TIMEOUT_S = 10.0
MIGRATION_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
# The wait of a starting process for its database.
REACH_TIMEOUT_S = 30.0
REACH_DELAY_MIN_S = 0.05
REACH_DELAY_MAX_S = 1.0
# A start needs several times the connections of an idle process, each 2 MiB of the server.
IDLE_CONNECTION_S = 20.0
CLOSE_TIMEOUT_S = 2.0
UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)


@asynccontextmanager
async def open_database(
    address: str,
    *,
    schema: str,
    migrations: Traversable,
    application: str = "flowmesh",
    pool_max: int = 10,
) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """Wait for the database, migrate the schema, and yield a pool with it as search path.

    On a server that asks for it, both are done by the role of the schema; see `service_roles`.
    Commits are confirmed after they are on the disk, independent of the server's default.
    """
    try:
        async with asyncio.timeout(REACH_TIMEOUT_S):
            connection = await _reach(address, application)
    except TimeoutError:
        text = (
            f"no response from PostgreSQL at {_place(address)} within {REACH_TIMEOUT_S:.0f} s;"
            " see --postgres"
        )
        raise DatabaseUnreachable(text) from None
    try:
        own = await service_address(connection, address, schema)
        if own != address:
            await _close(connection)
            address, connection = own, await _reach(own, application)
        await migrate(connection, schema, migrations)
        settings = await durability(connection)
    finally:
        await _close(connection)
    if off := unsafe(settings):
        _warn_not_durable(_place(address), *off)
    pool = asyncpg.create_pool(
        address,
        min_size=1,
        max_size=pool_max,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        max_inactive_connection_lifetime=IDLE_CONNECTION_S,
        reset=_no_reset,
        server_settings=_settings(
            application,
            search_path=f"{schema}, public",
            synchronous_commit=settings["synchronous_commit"],
        ),
    )
    await pool
    try:
        yield pool
    finally:
        await _close(pool)


async def _reach(address: str, application: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect, with retries while the database starts."""
    log = structlog.get_logger("flowmesh.storage")
    delay = REACH_DELAY_MIN_S
    while True:
        try:
            return await asyncpg.connect(
                address,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=MIGRATION_TIMEOUT_S,
                server_settings=_settings(application),
            )
        except UNREACHABLE as error:
            if delay == REACH_DELAY_MIN_S:
                log.warning(
                    "database_unreachable",
                    at=_place(address),
                    problem=type(error).__name__,
                    waits_s=REACH_TIMEOUT_S,
                )
        await asyncio.sleep(delay)
        delay = min(2 * delay, REACH_DELAY_MAX_S)


@cache
def _warn_not_durable(place: str, *off: str) -> None:
    """Log a warning, once per database and process."""
    structlog.get_logger("flowmesh.storage").warning(
        "database_not_durable",
        at=place,
        off=", ".join(off),
        consequence="a crash of its machine may lose commits",
    )


def _place(address: str) -> str:
    """Return the host of the address, without user and password."""
    parts = urlsplit(address)
    return parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0]


def _settings(application: str, **more: str) -> dict[str, str]:
    return {"jit": "off", "application_name": application, **more}


async def _no_reset(connection: object) -> None:
    """Do nothing on release: services leave no locks, cursors or settings in a session.

    The driver's reset costs a round trip for each use. The driver still ends an open
    transaction.
    """


async def _close(
    opened: "asyncpg.Connection[asyncpg.Record] | asyncpg.Pool[asyncpg.Record]",
) -> None:
    """Close in bounded time; the driver may wait for a cancellation without limit."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await opened.close()
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        opened.terminate()
