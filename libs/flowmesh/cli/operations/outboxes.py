"""`outbox install|show`: requests to Flowmesh in the transactions of a database of users."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Texts
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.outbox import UserDatabase

Database = Annotated[str, Parameter(help="Name of the database in the file.")]
FileOption = Annotated[str, Parameter(help="TOML file of databases; FLOWMESH_DATABASES.")]


@command
async def install(
    *, database: Database, databases: FileOption = "", grant: Texts = None, common: Common = COMMON
) -> int:
    """Create the schema `flowmesh` in a database; repeating it changes nothing.

    Args:
        grant: Role that may call its functions; can be repeated.
    """
    from flowmesh import outbox

    found = _database(database, databases)
    connection = await _connect(found)
    try:
        await outbox.install(connection, tuple(grant or ()))
    except connection_errors() as error:
        raise Refused(f"{database}: {error}") from error
    finally:
        await connection.close()
    document = {"database": database, "installed": True, "granted": list(grant or ())}
    output.result(document, f"{database} has an outbox; {_relayed(found)}")
    return exit_codes.DONE


@command
async def show(*, database: Database, databases: FileOption = "", common: Common = COMMON) -> int:
    """Show the waiting and the refused requests of an outbox."""
    from flowmesh import outbox

    connection = await _connect(_database(database, databases))
    try:
        state = await outbox.state(connection)
    except connection_errors() as error:
        hint = f"`flowmesh outbox install --database {database}` installs one"
        raise Refused(f"{database} has no readable outbox: {error}", hint) from error
    finally:
        await connection.close()
    document = (
        {"database": database}
        | output.members(state, "waiting retried refused")
        | {"oldestSeconds": round(state.oldest_s, 3)}
    )
    text = f"{state.waiting} waiting, {state.retried} of them retried; {state.refused} refused"
    output.result(document, text)
    return exit_codes.DONE


def connection_errors() -> Any:
    """Return the errors of the driver, imported when they are needed."""
    import asyncpg

    return (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


def _database(name: str, path: str) -> "UserDatabase":
    from flowmesh.outbox import user_databases
    from flowmesh.runtime.settings import Settings

    file = path or Settings().databases
    if not file:
        raise Refused("no file of databases", "set FLOWMESH_DATABASES, or give --databases")
    try:
        found = user_databases(file)
    except ValueError as error:
        raise Refused(str(error)) from error
    if name not in found:
        raise Refused(f"{file} has no database {name!r}", f"it has {', '.join(found) or 'none'}")
    return found[name]


async def _connect(database: "UserDatabase") -> Any:
    import asyncpg

    try:
        return await asyncpg.connect(database.url, timeout=10)
    except (*connection_errors(), TimeoutError, ValueError) as error:
        raise Refused(f"{database.name} cannot be reached: {error}") from error


def _relayed(database: "UserDatabase") -> str:
    if database.outbox:
        return "the event service relays it"
    return "set `outbox = true` in the file for the event service to relay it"
