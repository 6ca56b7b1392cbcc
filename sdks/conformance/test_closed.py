"""SDKs in a closed installation that speaks TLS: API keys, their roles and certificates."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from flowmesh.contract.json_value import Json
from sdks.conformance.conftest import Drivers
from sdks.conformance.process import Driver, DriverFailed
from sdks.conformance.script import source_of
from tests.features.closed import Closed, closed_suite


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    """A closed suite whose ports speak TLS with an authority of its own."""
    async with closed_suite(tmp_path_factory.mktemp("closed"), "--tls") as made:
        yield made


async def refusal(driver: Driver, verb: str, **members: Json) -> tuple[str, str]:
    """Return kind and reason of a command that must fail."""
    with pytest.raises(DriverFailed) as failed:
        await driver.ask(verb, **members)
    return failed.value.error["kind"], failed.value.error["reason"]


@pytest.mark.timeout(120)
async def test_keys_of_roles_do_what_their_roles_permit(
    language: str, drivers: Drivers, closed: Closed
) -> None:
    """An editor registers and runs, a worker key serves and does not start, others are refused.

    No client names a namespace: the keys have one.
    """
    driver = await drivers.of(language)
    project = await closed.project(f"sdk-{language}")
    editor = await closed.key(project.id, "editor")
    worker = await closed.key(project.id, "worker")
    server: dict[str, Json] = {
        "address": f"grpcs://{closed.suite.grpc_address}",
        "ca": str(closed.suite.about["ca"]),
    }
    main, task_type = f"{language}-main", f"{language}-echo"
    spec = {"tasks": [{"id": "a", "taskRef": task_type, "input": "{{input}}"}]}
    flow = {main: {**spec, "output": "{{tasks.a.output}}"}}
    try:
        await driver.ask("open", client="editor", apiKey=editor.credential, **server)
        await driver.ask("open", client="worker", apiKey=worker.credential, **server)
        await driver.ask("open", client="nobody", **server)
        await driver.ask("open", client="wrong", apiKey="fmk_wrong", **server)
        await driver.ask("apply", client="editor", source=source_of(flow, f"{language}-"))
        await driver.ask("serve", client="worker", tasks={task_type: "echo"})
        # A value by reference, read by the worker with its own key.
        asked: dict[str, Json] = {"workflow": main, "input": {"$text": 300_000}}
        ran = await driver.ask("run", client="editor", **asked)
        assert ran["output"]["$text"] == 300_000
        assert (await refusal(driver, "start", client="worker", **asked))[0] == "Forbidden"
        found = await refusal(driver, "start", client="nobody", workflow=main)
        assert found == ("Unauthenticated", "CREDENTIALS_REQUIRED")
        kind, _ = await refusal(driver, "start", client="wrong", workflow=main)
        assert kind == "Unauthenticated"
        kind, _ = await refusal(
            driver, "serve", client="wrong", worker="wrong", tasks={task_type: "echo"}
        )
        assert kind == "Unauthenticated"
        untrusted = {"address": server["address"], "apiKey": editor.credential}
        found = await refusal(driver, "open", client="untrusted", **untrusted)
        assert found == ("WrongState", "TLS_FAILED")
    finally:
        await driver.ask("reset")
