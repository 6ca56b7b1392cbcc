"""Migrations of a service's schema: applied once, in order, by one process at a time.

A file `NNNN_name.sql` runs in one transaction; if its first line is `-- no-transaction`, each
statement runs on its own. An applied file must never change.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable

import asyncpg
import structlog

from flowmesh.failpoints import failpoint
from flowmesh.storage.errors import MigrationError

FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
NO_TRANSACTION = "-- no-transaction"
LOCK_PREFIX = "flowmesh.migrations."


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(folder: Traversable) -> list[Migration]:
    """Return the files of a folder in order; raise MigrationError for a wrong name or number."""
    found = []
    for file in folder.iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file.name}: a migration is named NNNN_name.sql")
        found.append(Migration(int(match[1]), file.name, file.read_text("utf-8")))
    found.sort(key=lambda migration: migration.version)
    for expected, migration in enumerate(found, start=1):
        if migration.version != expected:
            raise MigrationError(f"{migration.name}: expected number {expected:04d} here")
    return found


async def migrate(
    connection: "asyncpg.Connection[asyncpg.Record]", schema: str, folder: Traversable
) -> int:
    """Apply the missing files to the schema and return their number.

    Concurrent processes wait for each other. Raises MigrationError if an applied file has
    changed, or if the schema contains a migration that the folder does not.
    """
    migrations = read_migrations(folder)
    lock = LOCK_PREFIX + schema
    await connection.execute("select pg_advisory_lock(hashtextextended($1, 0))", lock)
    try:
        return await _apply_missing(connection, schema, migrations)
    finally:
        await connection.execute("select pg_advisory_unlock(hashtextextended($1, 0))", lock)


async def _apply_missing(
    connection: "asyncpg.Connection[asyncpg.Record]", schema: str, migrations: list[Migration]
) -> int:
    quoted = '"' + schema.replace('"', '""') + '"'
    # Without the right to create schemas, the statement fails also for one that exists.
    if not await connection.fetchval("select to_regnamespace($1) is not null", quoted):
        await connection.execute(f"create schema if not exists {quoted}")
    await connection.execute(f"set search_path = {quoted}, public")
    await connection.execute(
        "create table if not exists schema_migrations (version int primary key, name text not null,"
        " checksum text not null, applied_at timestamptz not null default now())"
    )
    rows = await connection.fetch("select version, name, checksum from schema_migrations")
    applied = {row["version"]: row for row in rows}
    _compare(schema, applied, migrations)
    missing = [migration for migration in migrations if migration.version not in applied]
    for migration in missing:
        failpoint("storage.migrating")
        await _apply(connection, schema, migration)
    return len(missing)


def _compare(schema: str, applied: dict[int, asyncpg.Record], migrations: list[Migration]) -> None:
    for migration in migrations:
        row = applied.get(migration.version)
        if row is not None and row["checksum"] != migration.checksum:
            raise MigrationError(
                f"{migration.name} was changed after it was applied to schema {schema};"
                " restore it and put the change in a new file"
            )
    if len(applied) > len(migrations):
        newest = max(applied)
        raise MigrationError(
            f"schema {schema} is at migration {newest:04d}, this program at {len(migrations):04d};"
            " run a newer program"
        )


async def _apply(
    connection: "asyncpg.Connection[asyncpg.Record]", schema: str, migration: Migration
) -> None:
    record = "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)"
    row = (migration.version, migration.name, migration.checksum)
    if migration.sql.startswith(NO_TRANSACTION):
        for statement in migration.sql.split(";\n"):
            if statement.strip():
                await connection.execute(statement)
        await connection.execute(record, *row)
    else:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(record, *row)
    log = structlog.get_logger("flowmesh.storage")
    log.info("migration_applied", schema=schema, file=migration.name)
