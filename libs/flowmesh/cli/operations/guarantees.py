"""What the servers promise of what they have taken: asked of one's own, known of the suite's."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.cli.common import CONNECT_TIMEOUT_S

if TYPE_CHECKING:
    from flowmesh.runtime.settings import Settings

UNKNOWN = "unknown"


class NotAsked(Exception):
    """The server cannot be asked; says why, without its secret."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One setting that decides what a crash may take, as it is in force."""

    server: str
    setting: str
    value: str
    source: str
    meaning: str


async def promises(settings: "Settings") -> list[Promise]:
    """Those of a suite with these settings; a server that cannot be asked promises nothing."""
    from flowmesh.embedded.postgres import SETTINGS
    from flowmesh.storage import DURABLE

    source = "set by `flowmesh dev`"
    kept = {name: SETTINGS[name] for name in DURABLE}
    if settings.postgres:
        try:
            kept, source = await ask_postgres(settings.postgres), "the server"
        except NotAsked as error:
            kept, source = dict.fromkeys(DURABLE, UNKNOWN), str(error)
    found = [
        Promise("PostgreSQL", name, value, source, DURABLE[name]) for name, value in kept.items()
    ]
    events = "events outlive the server; the history in PostgreSQL has them all"
    states = "keeps nothing that has to outlive it"
    return [
        *found,
        Promise("NATS", "storage", "file", "set by the suite", events),
        Promise("Redis", "persistence", "not needed", "", states),
    ]


async def ask_postgres(address: str) -> dict[str, str]:
    """Its settings as the suite's sessions have them; NotAsked if it lets nobody in."""
    import asyncpg

    from flowmesh.storage import durability

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await asyncpg.connect(address)
            try:
                return await durability(connection)
            finally:
                connection.terminate()
    except TimeoutError:
        raise NotAsked(f"no answer within {CONNECT_TIMEOUT_S:.0f} s") from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotAsked(str(error) or type(error).__name__) from None
