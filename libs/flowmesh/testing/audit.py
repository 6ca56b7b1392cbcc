"""An audit of partition owners and commits, recorded by triggers of the database.

The triggers record every change of an owner and every commit in the order of their locks. The
record proves the invariant I5: epochs only rise, and only the owner of a partition commits to it.
Services have no rights in its schema, so its functions run with those of their owner.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg

TIMEOUT_S = 10.0
_INSTALL = """
create schema if not exists audit;
create sequence audit.moment;
create table audit.owners (moment bigint, partition int, epoch bigint, incarnation bigint);
create table audit.commits (moment bigint, at_us bigint, incarnation bigint, position bigint,
                            execution_ids text[], seqs bigint[]);
insert into audit.owners select nextval('audit.moment'), id, epoch, incarnation
from orchestrator.partitions;
create function audit.owner_changed() returns trigger language plpgsql security definer as $$ begin
    insert into audit.owners
    values (nextval('audit.moment'), new.id, new.epoch, new.incarnation);
    return null;
end $$;
create function audit.committed() returns trigger language plpgsql security definer as $$ begin
    insert into audit.commits
    values (nextval('audit.moment'), (extract(epoch from clock_timestamp()) * 1000000)::bigint,
            new.incarnation, new.position, new.execution_ids, new.seqs);
    return null;
end $$;
create trigger audit after update on orchestrator.partitions
for each row execute function audit.owner_changed();
create trigger audit after insert on orchestrator.outbox
for each row execute function audit.committed();
"""
_OWNERS = "select moment, partition, epoch, incarnation from audit.owners order by moment"
_COMMITS = """
select c.*, array(select distinct e.partition from orchestrator.executions e
                  where e.id = any (c.execution_ids)) as partitions
from audit.commits c order by c.moment"""


@dataclass(frozen=True, slots=True)
class Owned:
    """The epoch and owner (None if unowned) of a partition from a moment on."""

    moment: int
    partition: int
    epoch: int
    incarnation: int | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of an incarnation: its position and rows by execution and sequence."""

    moment: int
    at_us: int
    incarnation: int
    position: int
    rows: tuple[tuple[str, int], ...]
    partitions: tuple[int, ...]


async def install(postgres: str) -> None:
    """Start to record; call it before any load."""
    connection = await asyncpg.connect(postgres, timeout=TIMEOUT_S)
    try:
        async with connection.transaction():
            await connection.execute("lock table orchestrator.partitions, orchestrator.outbox")
            await connection.execute(_INSTALL)
    finally:
        await connection.close()


async def read(connection: asyncpg.Connection) -> tuple[list[Owned], list[Commit]]:
    """Read all records in one consistent snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        owners = [Owned(*row) for row in await connection.fetch(_OWNERS)]
        commits = [_commit(row) for row in await connection.fetch(_COMMITS)]
    return owners, commits


def _commit(row: asyncpg.Record) -> Commit:
    return Commit(
        row["moment"],
        row["at_us"],
        row["incarnation"],
        row["position"],
        tuple(zip(row["execution_ids"], row["seqs"], strict=True)),
        tuple(row["partitions"]),
    )


def check_epochs(owners: Iterable[Owned], commits: Iterable[Commit]) -> list[str]:
    """Check I5: epochs never fall, only the current owner commits, positions have no gap."""
    problems: list[str] = []
    owner_of: dict[int, Owned] = {}
    last: dict[int, int] = {}
    entries: list[Owned | Commit] = [*owners, *commits]
    for entry in sorted(entries, key=lambda entry: entry.moment):
        if isinstance(entry, Owned):
            before = owner_of.get(entry.partition)
            if before is not None and entry.epoch < before.epoch:
                problems.append(f"I5 partition {entry.partition}: {before.epoch}, then {entry}")
            owner_of[entry.partition] = entry
            continue
        if entry.position != last.get(entry.incarnation, entry.position - 1) + 1:
            problems.append(f"I5 position {last.get(entry.incarnation)}, then {entry}")
        last[entry.incarnation] = entry.position
        for partition in entry.partitions:
            owner = owner_of.get(partition)
            if owner is not None and owner.incarnation != entry.incarnation:
                problems.append(f"I5 {entry} commits to a partition of {owner}")
    return problems
