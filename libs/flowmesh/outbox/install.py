"""Installation of the schema `flowmesh` in a database of users."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

SCHEMA: Final = files("flowmesh.outbox").joinpath("schema.sql").read_text()
_FUNCTIONS: Final = (
    "start(text, jsonb, text, text)",
    "signal(text, text, jsonb, text, text)",
    "publish(text, jsonb, text, text, text)",
)


@dataclass(frozen=True, slots=True)
class OutboxState:
    """The content of an outbox."""

    waiting: int
    retried: int
    refused: int
    # Seconds since the oldest waiting request was committed; 0 without any.
    oldest_s: float


async def install(connection: Any, roles: tuple[str, ...] = ()) -> None:
    """Create the schema in one transaction, and permit roles to call its functions."""
    async with connection.transaction():
        await connection.execute(SCHEMA)
        for role in roles:
            name = await connection.fetchval("select quote_ident($1)", role)
            await connection.execute(f"grant usage on schema flowmesh to {name}")
            for function in _FUNCTIONS:
                await connection.execute(f"grant execute on function flowmesh.{function} to {name}")


async def state(connection: Any) -> OutboxState:
    """Return the state of the outbox."""
    row = await connection.fetchrow(
        "select count(*) as waiting, count(*) filter (where attempts > 0) as retried,"
        " coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 as oldest,"
        " (select count(*) from flowmesh.refused) as refused from flowmesh.outbox"
    )
    return OutboxState(row["waiting"], row["retried"], row["refused"], row["oldest"])
