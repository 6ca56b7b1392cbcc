"""Starts inside transactions of a database of users, on a real PostgreSQL."""

import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from flowmesh import outbox
from flowmesh.embedded import EmbeddedServers
from flowmesh.sdk import Client
from flowmesh.testing.databases import fresh_database
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, workflow

PATIENCE_S = 30
pytestmark = pytest.mark.long


class Shop:
    """A suite that relays the outbox of a database, and that database."""

    def __init__(self, suite: Suite, address: str, file: Path) -> None:
        self.suite, self.address, self.file = suite, address, file
        self.environment = {"FLOWMESH_DATABASES": str(file)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(
    tmp_path_factory: pytest.TempPathFactory, servers: EmbeddedServers
) -> AsyncIterator[Shop]:
    """Installed by the command before the first use."""
    folder = tmp_path_factory.mktemp("shop")
    async with fresh_database(servers.postgres) as address:
        file = folder / "databases.toml"
        file.write_text(f'[orders]\nurl = "{address}"\noutbox = true\n')
        environment = {"FLOWMESH_DATABASES": str(file)}
        async with Suite(folder / "data", environment=environment) as suite:
            made = Shop(suite, address, file)
            installed = await command(
                suite,
                "outbox",
                "install",
                "--database",
                "orders",
                addressed=False,
                environment=environment,
            )
            assert installed.code == 0, installed.err
            name = {"id": "done", "taskRef": "noop"}
            await applied(suite, workflow("ordered", name, output="{{input}}"))
            yield made


@pytest_asyncio.fixture(loop_scope="session")
async def connection(shop: Shop) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(shop.address)
    yield opened
    await opened.close()


async def started(shop: Shop) -> set[Any]:
    """The order numbers of the executions there are."""
    async with Client(shop.suite.grpc_address) as client:
        ids = [each.id async for each in client.list_executions(workflow_id="ordered")]
        return {(await client.handle(each).result(PATIENCE_S))["n"] for each in ids}


async def empty(connection: Any) -> None:
    async def is_empty() -> bool:
        return (await outbox.state(connection)).waiting == 0

    await until("an empty outbox", is_empty, within_s=PATIENCE_S)


async def test_a_committed_start_is_made_and_a_rolled_back_one_never(
    shop: Shop, connection: Any
) -> None:
    """Fifty of each in turn, by the SDK and by plain SQL."""
    for number in range(50):
        async with connection.transaction():
            await outbox.start(connection, "ordered", {"n": number})
        transaction = connection.transaction()
        await transaction.start()
        statement = "select flowmesh.start('ordered', jsonb_build_object('n', $1::int))"
        await connection.fetchval(statement, -1 - number)
        await transaction.rollback()
    await empty(connection)
    assert await started(shop) >= set(range(50))
    assert not {each for each in await started(shop) if each < 0}


async def test_a_start_follows_its_commit_at_once(shop: Shop, connection: Any) -> None:
    """A median within a second even on a busy machine; the notification wakes the relay."""
    took = []
    for number in range(20):
        began = time.monotonic()
        await outbox.start(connection, "ordered", {"n": 1_000 + number})
        await empty(connection)
        took.append(time.monotonic() - began)
    assert sorted(took)[10] < 1.0


async def test_the_same_request_id_starts_once(shop: Shop, connection: Any) -> None:
    """Also if it is committed twice."""
    name = uuid.uuid4().hex
    for _ in range(2):
        await outbox.start(connection, "ordered", {"n": 2_000}, request_id=name)
        await empty(connection)
    async with Client(shop.suite.grpc_address) as client:
        again = await client.start("ordered", {"n": 2_000}, request_id=name)
        assert not again.created


async def test_a_refused_request_is_kept_with_its_reason(shop: Shop, connection: Any) -> None:
    """An unknown workflow, and a namespace that the file does not list; the next row is made."""
    unknown = await outbox.start(connection, "no-such-workflow", {})
    foreign = await outbox.start(connection, "ordered", {"n": 0}, namespace="foreign")
    await outbox.start(connection, "ordered", {"n": 3_000})
    await empty(connection)
    rows = await connection.fetch(
        "select request_id, reason from flowmesh.refused where request_id = any($1::text[])",
        [unknown, foreign],
    )
    assert {row["request_id"]: row["reason"] for row in rows} == {
        unknown: "WORKFLOW_NOT_FOUND",
        foreign: "FORBIDDEN",
    }
    assert 3_000 in await started(shop)


async def test_wrong_calls_fail_in_the_transaction(connection: Any) -> None:
    """Ids of the wrong form, and a body of 256 KiB and one byte; nothing is stored."""
    before = await connection.fetchval("select count(*) from flowmesh.outbox")
    wrong: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("is no id", ("no such id", "{}", None)),
        ("is no id", ("", "{}", None)),
        ("is no id", ("x" * 129, "{}", None)),
        ("is no request id", ("ordered", "{}", "a b")),
        ("at most 262144 are allowed", ("ordered", f'"{"x" * 262_143}"', None)),
    )
    for text, values in wrong:
        with pytest.raises(asyncpg.PostgresError, match=text):
            await connection.fetchval("select flowmesh.start($1, $2::jsonb, $3)", *values)
    assert await connection.fetchval("select count(*) from flowmesh.outbox") == before


async def test_another_role_can_call_the_functions_alone(shop: Shop, connection: Any) -> None:
    """With a grant; it cannot write or read the tables, and without a grant nothing."""
    role = f"clerk_{uuid.uuid4().hex[:8]}"
    await connection.execute(f"create role {role}")
    try:
        await connection.execute(f"set role {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await outbox.start(connection, "ordered", {"n": 4_000})
        await connection.execute("reset role")
        await outbox.install(connection, (role,))
        await connection.execute(f"set role {role}")
        await outbox.start(connection, "ordered", {"n": 4_001})
        for statement in (
            "insert into flowmesh.outbox (kind, namespace, target, body, request_id)"
            " values ('start', 'default', 'ordered', '{}', 'forged')",
            "select * from flowmesh.outbox",
            "select flowmesh.enqueue('start', 'ordered', '', '{}', null, 'default')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.execute("reset role")
        await connection.execute(f"drop owned by {role}; drop role {role}")
    await empty(connection)
    assert 4_001 in await started(shop)


async def test_requests_wait_for_a_suite_that_is_away(shop: Shop, connection: Any) -> None:
    """Killed and started again: each committed row starts once, none is lost."""
    await shop.suite.kill()
    for number in range(20):
        await outbox.start(connection, "ordered", {"n": 5_000 + number})
    shown = await command(
        shop.suite,
        "outbox",
        "show",
        "--database",
        "orders",
        "--json",
        addressed=False,
        environment=shop.environment,
    )
    assert shown.json["waiting"] == 20
    await shop.suite.start()
    await empty(connection)
    assert await started(shop) >= set(range(5_000, 5_020))
