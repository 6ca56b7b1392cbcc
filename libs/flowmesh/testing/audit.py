"""Who owned which partition when, and who committed what: written down by the database itself.

Triggers note every change of an owner and every commit in the order in which their locks were
held. That is the recorded history for I5: epochs only rise, and nobody commits to a partition
that is somebody else's by then.
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
create function audit.owner_changed() returns trigger language plpgsql as $$ begin
    insert into audit.owners
    values (nextval('audit.moment'), new.id, new.epoch, new.incarnation);
    return null;
end $$;
create function audit.committed() returns trigger language plpgsql as $$ begin
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
    """A partition has this epoch and owner (None: nobody) from this moment on."""

    moment: int
    partition: int
    epoch: int
    incarnation: int | None


@dataclass(frozen=True, slots=True)
class Commit:
    """An incarnation has committed a position: rows of history by execution and sequence."""

    moment: int
    at_us: int
    incarnation: int
    position: int
    rows: tuple[tuple[str, int], ...]
    partitions: tuple[int, ...]


async def install(postgres: str) -> None:
    """Begins to write down; before there is any load."""
    connection = await asyncpg.connect(postgres, timeout=TIMEOUT_S)
    try:
        async with connection.transaction():
            await connection.execute("lock table orchestrator.partitions, orchestrator.outbox")
            await connection.execute(_INSTALL)
    finally:
        await connection.close()


async def read(connection: asyncpg.Connection) -> tuple[list[Owned], list[Commit]]:
    """All that was written down, as one consistent read."""
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
    """I5: epochs never fall, only the owner of the time commits, each position is there once."""
    problems: list[str] = []
    now: dict[int, Owned] = {}
    last: dict[int, int] = {}
    entries: list[Owned | Commit] = [*owners, *commits]
    for entry in sorted(entries, key=lambda entry: entry.moment):
        if isinstance(entry, Owned):
            before = now.get(entry.partition)
            if before is not None and entry.epoch < before.epoch:
                problems.append(f"I5 partition {entry.partition}: {before.epoch}, then {entry}")
            now[entry.partition] = entry
            continue
        if entry.position != last.get(entry.incarnation, entry.position - 1) + 1:
            problems.append(f"I5 position {last.get(entry.incarnation)}, then {entry}")
        last[entry.incarnation] = entry.position
        for partition in entry.partitions:
            owner = now.get(partition)
            if owner is not None and owner.incarnation != entry.incarnation:
                problems.append(f"I5 {entry} commits to a partition of {owner}")
    return problems
