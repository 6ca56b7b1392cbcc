"""Data keys that Vault's transit engine or AWS KMS wraps: use, outage, rotation."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from flowmesh.api.identity.v1 import encryption_service_pb2 as pb
from flowmesh.api.identity.v1.encryption_service_pb2_grpc import EncryptionServiceStub
from flowmesh.testing.polling import pause, until
from tests.features.application_hosts.app_servers import aws
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.commands import command
from tests.features.encryption.vault import Vault, vault_server
from tests.features.natives import workflow

pytestmark = pytest.mark.long

WITHIN_S = 30
PROJECTS = 12
CALLS_PER_S = 200
CALLS = 2_000
# One of so many calls starts an execution; the others read one.
STARTS_ONE_OF = 8
ROTATIONS = 4
AWS_KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@asynccontextmanager
async def vault_suite(folder: Path, kept_s: int = 3_600) -> AsyncIterator[tuple[Vault, Closed]]:
    """Start a server with a key, and a suite whose data keys it wraps."""
    async with (
        vault_server(folder) as vault,
        closed_suite(
            folder,
            FLOWMESH_WRAPPING_KEY=vault.address,
            FLOWMESH_WRAPPING_KEPT_SECONDS=str(kept_s),
        ) as closed,
    ):
        yield vault, closed


def stub(caller: Caller) -> Any:
    return EncryptionServiceStub(caller.channel)


async def wrapping(closed: Closed) -> pb.GetWrappingResponse:
    found: pb.GetWrappingResponse = await stub(closed.owner).GetWrapping(pb.GetWrappingRequest())
    return found


async def uses(closed: Closed) -> dict[str, int]:
    """Return the number of data keys by their wrapping key."""
    return {each.wrapping_key: each.data_keys for each in (await wrapping(closed)).uses}


async def encrypted(closed: Closed, name: str) -> Caller:
    """Create a project with a workflow and a secret; return its admin. Its values are sealed."""
    project = await closed.project(name)
    admin = await closed.key(project.id, "admin")
    flow = workflow(
        "echo",
        {"id": "waits", "taskRef": "delay", "input": {"duration": 1}},
        output={"card": "{{input.card}}"},
    )
    path = f"/api/v1/projects/{project.id}/encryption"
    status, shown = await admin.rest("PUT", path)
    assert (status, shown["encryption"]) == (200, "required"), shown
    status, body = await admin.rest("POST", "/api/v1/workflows", flow, flowmesh_namespace=name)
    assert status == 201, body
    return admin


async def execute(admin: Caller, name: str) -> tuple[int, Any]:
    body = {"input": {"card": "1234"}}
    path = "/api/v1/workflows/echo/execute"
    return await admin.rest("POST", path, body, flowmesh_namespace=name)


async def sql(closed: Closed, statement: str) -> list[Any]:
    connection = await asyncpg.connect(
        str(closed.suite.about["postgres"]), server_settings={"search_path": "identity"}
    )
    try:
        found: list[Any] = await connection.fetch(statement)
        return found
    finally:
        await connection.close()


async def rewrapped(closed: Closed, name: str) -> None:
    """Wait until one wrapping key wraps all data keys."""

    async def done() -> bool:
        return list(await uses(closed)) == [name]

    await until(f"all data keys are wrapped by {name}", done, within_s=WITHIN_S)


async def test_vault_wraps_the_keys_of_values_and_of_secrets(tmp_path: Path) -> None:
    """Rows hold what Vault alone opens, `show` names the key; a refused token is told."""
    async with vault_suite(tmp_path) as (vault, closed):
        admin = await encrypted(closed, "cards")
        project = (await sql(closed, "select id from projects where namespace = 'cards'"))[0]["id"]
        await admin.rest("PUT", f"/api/v1/projects/{project}/secrets/key", {"value": "hush"})
        rows = await sql(
            closed,
            "select sealed_key, wrapped_by from payload_keys"
            " union all select sealed_key, wrapped_by from data_keys",
        )
        assert len(rows) == 2
        for row in rows:
            assert row["sealed_key"].startswith(b"vault:v1:")
            assert row["wrapped_by"] == vault.name(1)
        status, body = await execute(admin, "cards")
        assert (status, body["output"]) == (200, {"card": "1234"})
        environment = {"FLOWMESH_API_KEY": admin.credential, "FLOWMESH_NAMESPACE": "cards"}
        shown = await command(
            closed.suite, "project", "encryption", "show", environment=environment
        )
        assert vault.name(1) in shown.out, shown
        vault.token_file.write_text("hvs.another")

        async def told() -> bool:
            return "403: permission denied" in (await wrapping(closed)).problem

        await until("the refusal is shown", told, within_s=WITHIN_S)
        shown = await command(
            closed.suite,
            "project",
            "encryption",
            "wrapping",
            environment={"FLOWMESH_API_KEY": closed.owner.credential},
        )
        assert "permission denied" in shown.out, shown
        assert "flowmesh_wrapping_key_usable 0.0" in await closed.owner.text("/metrics")
        # Opened keys hold for an hour.
        assert (await execute(admin, "cards"))[0] == 200


async def ready(closed: Closed) -> dict[str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{closed.suite.http_url}/ready") as answer,
    ):
        checks: dict[str, str] = (await answer.json())["checks"]
        return checks


async def test_opened_keys_hold_for_a_bounded_time(tmp_path: Path) -> None:
    """Then encrypted projects start nothing until Vault is back; others go on."""
    async with vault_suite(tmp_path, kept_s=3) as (vault, closed):
        admin = await encrypted(closed, "cards")
        plain = await closed.project("plain")
        other = await closed.key(plain.id, "admin")
        flow = workflow(
            "echo",
            {"id": "waits", "taskRef": "delay", "input": {"duration": 1}},
            output={"card": "{{input.card}}"},
        )
        await other.rest("POST", "/api/v1/workflows", flow, flowmesh_namespace="plain")
        assert (await execute(admin, "cards"))[0] == 200
        vault.away = True

        async def refused() -> bool:
            status, body = await execute(admin, "cards")
            reason = body.get("error", {}).get("reason")
            assert (status, reason) in ((200, None), (503, "WRAPPING_KEY_UNAVAILABLE")), body
            return bool(status == 503)

        await until("starts are refused", refused, within_s=WITHIN_S)
        assert (await execute(other, "plain"))[0] == 200
        assert (await ready(closed))["wrapping_key"] == "Unavailable"
        vault.away = False

        async def works() -> bool:
            return (await execute(admin, "cards"))[0] == 200

        await until("starts are accepted", works, within_s=WITHIN_S)
        assert (await ready(closed))["wrapping_key"] == "ok"


async def test_a_new_version_rewraps_all_keys_also_after_kill_9(tmp_path: Path) -> None:
    """The process is killed in the middle; the former version can be disabled at the end."""
    async with vault_suite(tmp_path) as (vault, closed):
        names = [f"p{number}" for number in range(PROJECTS)]
        admins = {name: await encrypted(closed, name) for name in names}
        vault.wrap_s = 1.0
        newest = vault.rotate()

        async def half_done() -> bool:
            return 0 < (await uses(closed)).get(vault.name(newest), 0) < PROJECTS

        await until("some keys are wrapped anew", half_done, within_s=WITHIN_S, poll_s=0.05)
        await closed.suite.kill()
        vault.wrap_s = 0.0
        await closed.suite.start()
        closed = Closed(closed.suite, closed.caller(closed.owner.credential), closed.session)
        await rewrapped(closed, vault.name(newest))
        # The former version is of no use any longer, also for a new process.
        vault.minimum = newest
        await closed.suite.kill()
        await closed.suite.start()
        for name in names[:3]:
            caller = closed.caller(admins[name].credential)
            assert (await execute(caller, name))[0] == 200
        changes = await sql(
            closed,
            "select target from audit_entries where method = 'payload_keys update'",
        )
        # Each key once: the second process began where the first one stopped.
        assert sorted(each["target"] for each in changes) == sorted(f"{n}/1" for n in names)


async def test_data_keys_move_from_the_key_file_to_aws_kms(tmp_path: Path) -> None:
    """And on to another key, when the alias names it."""
    async with aws() as address:
        credentials = tmp_path / "aws"
        lines = (f"{name} = {value}" for name, value in AWS_KEYS.items())
        credentials.write_text("\n".join(("[default]", *lines)) + "\n")
        kms = _kms(address)
        first, second = (kms.create_key()["KeyMetadata"] for _ in range(2))
        kms.create_alias(AliasName="alias/flowmesh", TargetKeyId=first["KeyId"])
        async with closed_suite(tmp_path) as closed:
            admin = await encrypted(closed, "cards")
            assert await uses(closed) == {"key file": 1}
            await closed.suite.stop()
            closed.suite._environment["FLOWMESH_WRAPPING_KEY"] = (
                "aws-kms://eu-central-1/alias/flowmesh"
                f"?endpoint={address}&credentials_file={credentials}"
            )
            await closed.suite.start()
            closed = Closed(closed.suite, closed.caller(closed.owner.credential), closed.session)
            admin = closed.caller(admin.credential)
            await rewrapped(closed, f"aws-kms:{first['Arn']}")
            assert (await execute(admin, "cards"))[0] == 200
            kms.update_alias(AliasName="alias/flowmesh", TargetKeyId=second["KeyId"])
            await rewrapped(closed, f"aws-kms:{second['Arn']}")
            kms.disable_key(KeyId=first["KeyId"])
            assert (await execute(admin, "cards"))[0] == 200


@pytest.mark.long
async def test_no_call_fails_while_versions_change(tmp_path: Path) -> None:
    """10 s of starts and reads of an encrypted project, and four new versions of the key.

    The first version is disabled.
    """
    async with vault_suite(tmp_path) as (vault, closed):
        admin = await encrypted(closed, "cards")
        statuses: Counter[int] = Counter()

        _, first = await execute(admin, "cards")
        history = f"/api/v1/executions/{first['executionId']}/history"

        async def call(number: int) -> None:
            if number % STARTS_ONE_OF == 0:
                status, _ = await execute(admin, "cards")
            else:
                status, _ = await admin.rest("GET", history, flowmesh_namespace="cards")
            statuses[status] += 1

        async def rotate() -> None:
            for _ in range(ROTATIONS):
                await rewrapped(closed, vault.name(vault.rotate()))
            vault.minimum = ROTATIONS + 1

        loop = asyncio.get_running_loop()
        begins, rotating = loop.time(), asyncio.create_task(rotate())
        calls = []
        for number in range(CALLS):
            await pause(begins + number / CALLS_PER_S - loop.time())
            calls.append(asyncio.create_task(call(number)))
        await asyncio.gather(rotating, *calls)
        assert statuses == {200: CALLS}
        assert await uses(closed) == {vault.name(ROTATIONS + 1): 1}


def _kms(address: str) -> Any:
    from botocore.session import Session

    session = Session()
    session.set_credentials(*AWS_KEYS.values())
    return session.create_client("kms", region_name="eu-central-1", endpoint_url=address)
