"""One request across languages: its call, its execution and the attempts of each in one picture."""

import pytest

from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from sdks.conformance.conftest import Drivers, languages
from sdks.conformance.script import source_of

PREFIX = "request-"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
WITHIN_S = 60.0


@pytest.mark.feature("S1-196")
@pytest.mark.timeout(300)
async def test_workers_of_all_languages_are_in_the_picture_of_a_request(
    drivers: Drivers, cluster: Cluster, pytestconfig: pytest.Config
) -> None:
    """Each worker has two attempts in the trace of the call, and a record of the failed one."""
    names = languages(pytestconfig)
    tasks = [
        {
            "id": name,
            "taskRef": f"{PREFIX}{name}",
            "input": {"attempts": 2, "class": "OutOfInk"},
            "retry": {"initialDelay": "10ms"},
        }
        for name in names
    ]
    running = {name: await drivers.of(name) for name in names}
    for name, driver in running.items():
        await driver.ask("open", address=cluster.grpc_address)
        tasks_of = {f"{PREFIX}{name}": "flaky"}
        await driver.ask("serve", tasks=tasks_of, workerId=f"worker-{name}")
    try:
        workflow = f"{PREFIX}main"
        source = source_of({workflow: {"tasks": tasks}}, PREFIX)
        await running[names[0]].ask("apply", source=source)
        answer = await cluster.request(
            "POST",
            f"/api/v1/workflows/{workflow}/execute",
            {},
            headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
        )
        assert answer.json["status"] == "completed", answer.text
        path = f"/api/v1/observe/spans?trace={TRACE}"

        async def kept() -> bool:
            spans = (await cluster.get(path)).json["spans"]
            found = {(each["kind"], each["process"]) for each in spans}
            return {("call", "gateway"), ("execution", "orchestrator")} <= found

        await until("the call of the gateway", kept, within_s=WITHIN_S)
        found = (await cluster.get(path)).json
        workers = {each["process"] for each in found["spans"] if each["kind"] == "attempt"}
        assert workers == {f"worker-{name}" for name in names}
        gateway = next(each for each in found["spans"] if each["process"] == "gateway")
        whole = next(each for each in found["spans"] if each["kind"] == "execution")
        assert gateway["start"] <= whole["start"]
        failures = {each["instanceId"] for each in found["logs"] if "OutOfInk" in each["event"]}
        assert failures == workers
        assert {each["traceId"] for each in found["logs"]} == {TRACE}
    finally:
        for driver in running.values():
            await driver.ask("reset")
