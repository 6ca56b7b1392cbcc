"""Values that one language seals and another one opens, through the running suite."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, SealingKeys, Worker
from flowmesh.testing.cluster import Cluster
from sdks.conformance.conftest import Drivers
from sdks.conformance.process import Driver, DriverFailed
from sdks.conformance.script import source_of

KEYS = "\n".join(
    f"{kid} {b64encode(bytes(range(start, start + 32))).decode()}"
    for kid, start in (("k2", 32), ("k1", 0))
)
# A member with numbers that no language may change, and one that stays readable.
GIVEN: Json = {"card": {"no": "4242 é", "big": 9007199254740993, "part": 0.1}, "user": "ada"}
LARGE: Json = {"card": {"$text": 300_000}, "user": "ada"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of all parties; the first one seals."""
    path: Path = tmp_path_factory.mktemp("keys") / "values.keys"
    path.write_text(KEYS)
    return path


@pytest_asyncio.fixture(loop_scope="session")
async def driver(
    language: str, drivers: Drivers, cluster: Cluster, file: Path
) -> AsyncIterator[Driver]:
    """The driver of a language, with clients that seal all, that seal cards, and without keys."""
    found = await drivers.of(language)
    address = cluster.grpc_address
    await found.ask("open", address=address, sealing=str(file))
    await found.ask("open", client="cards", address=address, sealing=str(file), only=["card"])
    await found.ask("open", client="keyless", address=address)
    yield found
    await found.ask("reset")


async def apply(driver: Driver, prefix: str, **spec: Json) -> str:
    """Register a workflow of one step that returns its output; return its name."""
    nodes: Json = [{"id": "a", "taskRef": f"{prefix}echo", "input": "{{input}}"}]
    flow: Json = {"tasks": nodes, "output": "{{tasks.a.output}}", **spec}
    name = f"{prefix}main"
    await driver.ask("apply", client="keyless", source=source_of({name: flow}, prefix))
    return name


@pytest.mark.timeout(120)
async def test_a_language_opens_what_it_sealed_itself(language: str, driver: Driver) -> None:
    """Whole values and members, also large ones; a client without the key sees the form."""
    prefix = f"{language}-sealed-"
    name = await apply(driver, prefix)
    await driver.ask("serve", tasks={f"{prefix}echo": "echo"})
    for client in ("main", "cards"):
        for given in (GIVEN, LARGE):
            ran = await driver.ask("run", client=client, workflow=name, input=given)
            assert ran["output"]["user"] == "ada"
            assert ran["output"]["card"] in (
                GIVEN["card"],
                {**LARGE["card"], "sha256": ran["output"]["card"].get("sha256")},
            )
    started = await driver.ask("start", client="cards", workflow=name, input=GIVEN)
    await driver.ask("wait", client="cards", execution=started["id"])
    without = await driver.ask("wait", client="keyless", execution=started["id"])
    assert set(without["output"]["$sealed"]) == {"kid", "data"}
    outputs = await driver.ask("outputs", execution=started["id"])
    assert outputs == {"outputs": {"a": GIVEN}}


@pytest.mark.timeout(120)
async def test_another_language_opens_it(
    language: str, driver: Driver, cluster: Cluster, file: Path
) -> None:
    """Python starts and the language works, then the other way round; a request id counts once."""
    prefix = f"{language}-across-"
    name = await apply(driver, prefix)
    async with Client(cluster.grpc_address, codec=SealingKeys.read(file)) as client:
        await driver.ask("serve", tasks={f"{prefix}echo": "echo"})
        assert await client.run(name, GIVEN, timeout=30) == GIVEN
        await driver.ask("drain")

        async def echo(value: Json) -> Json:
            assert value == GIVEN
            return value

        async with Worker(client, {f"{prefix}echo": echo}):
            ran = await driver.ask("run", workflow=name, input=GIVEN)
            assert ran == {"output": GIVEN}
            asked: dict[str, Json] = {"workflow": name, "input": GIVEN, "requestId": prefix}
            first = await driver.ask("start", **asked)
            assert await driver.ask("start", **asked) == {**first, "created": False}


@pytest.mark.timeout(120)
async def test_a_value_without_its_key_fails_the_task(
    language: str, driver: Driver, cluster: Cluster
) -> None:
    """Before the handler runs; the failure names the key."""
    prefix = f"{language}-unread-"
    name = await apply(driver, prefix)
    await driver.ask("serve", tasks={f"{prefix}echo": "echo"})
    async with Client(cluster.grpc_address, codec=SealingKeys({"k9": bytes(32)})) as client:
        handle = await client.start(name, GIVEN)
    with pytest.raises(DriverFailed) as failed:
        await driver.ask("wait", execution=handle.id)
    failure = failed.value.error["failure"]
    assert failure["class"] == "ValidationError"
    assert "k9" in failure["message"]
    assert (await driver.ask("ledger"))["count"] == 0
