"""Opens a service's own schema of a database: migrated, with a pool of connections."""

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

COMMAND_TIMEOUT_S = 10.0
MIGRATION_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
# How long a process that starts waits for its database.
REACH_TIMEOUT_S = 30.0
REACH_DELAY_MIN_S = 0.05
REACH_DELAY_MAX_S = 1.0
IDLE_CONNECTION_S = 60.0
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
    """Waits for the database and migrates it; the pool's search path is the schema.

    A commit is answered when it is on the disk, whatever the server does by default.
    """
    try:
        async with asyncio.timeout(REACH_TIMEOUT_S):
            connection = await _reach(address, application)
    except TimeoutError:
        text = (
            f"no PostgreSQL answers at {_place(address)} within {REACH_TIMEOUT_S:.0f} s;"
            " see --postgres"
        )
        raise DatabaseUnreachable(text) from None
    try:
        await migrate(connection, schema, migrations)
        kept = await durability(connection)
    finally:
        await _close(connection)
    if off := unsafe(kept):
        _not_durable(_place(address), *off)
    pool = asyncpg.create_pool(
        address,
        min_size=1,
        max_size=pool_max,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        max_inactive_connection_lifetime=IDLE_CONNECTION_S,
        reset=_nothing,
        server_settings=_settings(
            application,
            search_path=f"{schema}, public",
            synchronous_commit=kept["synchronous_commit"],
        ),
    )
    await pool
    try:
        yield pool
    finally:
        await _close(pool)


async def _reach(address: str, application: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Connects; keeps trying for a while, because the database may just be starting."""
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
def _not_durable(place: str, *off: str) -> None:
    """Says it once in a process, however many of its services share the database."""
    structlog.get_logger("flowmesh.storage").warning(
        "database_not_durable",
        at=place,
        off=", ".join(off),
        consequence="a crash of its machine may lose what was committed",
    )


def _place(address: str) -> str:
    """Where the address leads, without user and password."""
    parts = urlsplit(address)
    return parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0]


def _settings(application: str, **more: str) -> dict[str, str]:
    return {"jit": "off", "application_name": application, **more}


async def _nothing(connection: object) -> None:
    """What a released connection needs: nobody leaves locks, cursors or settings in a session.

    The driver would ask the server to clear them, a round trip for each use of a connection. A
    transaction that was left open it ends all the same.
    """


async def _close(
    opened: "asyncpg.Connection[asyncpg.Record] | asyncpg.Pool[asyncpg.Record]",
) -> None:
    """Closes in bounded time: the driver's own closing may wait for a cancel for ever."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await opened.close()
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        opened.terminate()
