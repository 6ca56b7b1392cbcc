"""The operator after kills, restarts of the API server, and a suite that was away."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.testing.polling import pause, until
from tests.features.agents.crew import Crew
from tests.kubernetes.cluster import cluster
from tests.kubernetes.conftest import FULL, SYSTEM, Place, equip, start_operator, until_ready
from tests.kubernetes.test_agents import agent_spec, policy
from tests.kubernetes.test_operator import noop, task, workflow

pytestmark = pytest.mark.kubernetes
CREW = (("agentspec", "packers"), ("scalingpolicy", "packing"))
OBJECTS, KILLS, AWAY_S = (200, 50, 60) if FULL else (30, 5, 5)


async def agrees(place: Place, namespace: str, names: set[str]) -> bool:
    """Return whether the suite has these workflows, and each object says so."""
    found = await place.cluster.get("workflows", "-n", namespace)
    ready = {
        each["metadata"]["name"]
        for each in found["items"]
        if each.get("status", {}).get("observedGeneration") == each["metadata"]["generation"]
        and each["status"]["conditions"][0]["status"] == "True"
    }
    return ready == names == set(await place.workflows(namespace))


@pytest.mark.timeout(1800)
async def test_kills_lose_and_repeat_nothing(place: Place, namespace: str) -> None:
    """Operators are killed while objects are applied and deleted; another one continues."""
    names = [f"w{number}" for number in range(OBJECTS)]
    draw = random.Random(7)
    operator = place.operators[-1]

    async def change() -> None:
        for at in range(0, OBJECTS, 10):
            ten = [workflow(name, noop("a")) for name in names[at : at + 10]]
            # While no operator serves nothing is stored: it is applied again.
            while "rror" in await place.apply(namespace, *ten, check=False):
                continue
        await place.kubectl("delete", "wf", "-n", namespace, "--wait=false", *names[:10])

    changing = asyncio.ensure_future(change())
    for _ in range(KILLS):
        operator.kill()
        # The next one leads at once, and not after the 15 s of a killed leader's Lease.
        await place.kubectl("delete", "lease", "flowmesh-operator", "-n", SYSTEM)
        operator = await place.start()
        await until_ready(operator)
        await asyncio.wait({changing}, timeout=draw.random())
    await changing
    kept = set(names[10:])
    await until("agreed", lambda: agrees(place, namespace, kept), within_s=120, poll_s=0.5)
    versions = await place.cluster.get("workflows", "-n", namespace)
    assert {each["status"]["version"] for each in versions["items"]} == {1}


@pytest.mark.timeout(240)
async def test_a_definition_deleted_in_the_suite_comes_back(place: Place, namespace: str) -> None:
    """With the next operator that leads: it compares every object."""
    await place.apply(namespace, workflow("order", noop("a")))
    await place.until_ready(namespace, "workflow", "order")
    system = await place.cluster.get("namespace", "kube-system")
    await DefinitionServiceStub(place.suite.channel).DeleteWorkflow(
        pb.DeleteWorkflowRequest(
            namespace=namespace,
            workflow_id="order",
            owner=f"kubernetes/{system['metadata']['uid']}/{namespace}",
        )
    )
    assert await place.workflows(namespace) == []
    place.operators[-1].stop()
    await place.start()

    async def is_back() -> bool:
        return await place.workflows(namespace) == ["order"]

    await until("back", is_back, within_s=60, poll_s=0.5)


async def test_a_missing_task_is_waited_for(place: Place, namespace: str) -> None:
    """In a namespace that says so; the workflow is registered once the task appears."""
    label = "workflow.io/missing-tasks=wait"
    await place.kubectl("label", "namespace", namespace, label)

    async def stored() -> bool:
        output = await place.apply(
            namespace, workflow("pay", {"id": "c", "taskRef": "charge"}), check=False
        )
        return "created" in output and "TASK_NOT_FOUND" in output

    await until("stored with a warning", stored, within_s=10)
    ready = await place.until_ready(namespace, "workflow", "pay", "False")
    assert ready["reason"] == "MissingTask"
    await place.apply(namespace, task("charge"))
    await place.until_ready(namespace, "workflow", "pay")


@pytest.mark.timeout(300)
async def test_what_waits_for_the_suite_is_registered_when_it_is_back(
    place: Place, namespace: str
) -> None:
    """Meanwhile each object says that the suite does not answer, and nothing is deleted."""
    await place.apply(namespace, workflow("before", noop("a")), workflow("ended", noop("a")))
    await place.until_ready(namespace, "workflow", "before")
    await place.until_ready(namespace, "workflow", "ended")
    # Without reviews objects are stored, although nobody can check them.
    await place.kubectl("label", "namespace", namespace, "workflow.io/admission=off")
    names = [f"w{number}" for number in range(10)]

    async def stored() -> bool:
        # API servers follow the label a moment later.
        waiting = (workflow(name, noop("a")) for name in names)
        return "rror" not in await place.apply(namespace, *waiting, check=False)

    os.kill(place.suite.pid, signal.SIGSTOP)
    try:
        await until("stored", stored, within_s=30, poll_s=0.5)
        await place.kubectl("delete", "wf", "ended", "-n", namespace, "--wait=false")
        away = place.until_ready(namespace, "workflow", names[0], "False", timeout_s=40)
        state, _ = await asyncio.gather(away, pause(AWAY_S))
        assert state["reason"] == "Unavailable"
        found = await place.cluster.get("workflows", "-n", namespace)
        assert {each["metadata"]["name"] for each in found["items"]} == {"before", "ended", *names}
    finally:
        os.kill(place.suite.pid, signal.SIGCONT)
    kept = {"before", *names}
    await until("agreed", lambda: agrees(place, namespace, kept), within_s=120, poll_s=0.5)


@pytest.mark.timeout(300)
async def test_of_two_operators_one_works_and_the_other_takes_over(
    place: Place, namespace: str
) -> None:
    """Each object is registered once, with both alive and after the leader is killed."""
    first = place.operators[-1]
    second = await place.start()
    await until_ready(second)
    names = {f"w{number}" for number in range(10)}
    await place.apply(namespace, *(workflow(name, noop("a")) for name in sorted(names)))
    await until("agreed", lambda: agrees(place, namespace, names), within_s=60, poll_s=0.5)
    first.kill()
    await place.apply(namespace, *(workflow(name, noop("a"), noop("b")) for name in sorted(names)))
    await until("agreed", lambda: agrees(place, namespace, names), within_s=60, poll_s=0.5)
    found = await place.cluster.get("workflows", "-n", namespace)
    assert {each["status"]["version"] for each in found["items"]} == {2}


@pytest.mark.timeout(300)
async def test_the_second_of_two_clusters_changes_nothing_of_the_first(
    place: Place, namespace: str, tmp_path: Path
) -> None:
    """It says who manages a definition or agents, and deletes nothing of them in the suite."""
    packers, packing = agent_spec(replicas=0), policy(strategy="fixed", max=1)
    await place.apply(namespace, workflow("order", noop("a")), packers, packing)
    for kind, name in (("workflow", "order"), *CREW):
        await place.until_ready(namespace, kind, name)
    async with cluster(1) as second:
        await equip(second)
        await second.kubectl("delete", "validatingwebhookconfiguration", "flowmesh")
        await second.kubectl("create", "namespace", namespace)
        operator = await start_operator(second, place.suite, tmp_path)
        other = Place(second, place.suite, place.start, [operator])
        try:
            await other.apply(namespace, workflow("order", noop("b")), workflow("own", noop("a")))
            ready = await other.until_ready(namespace, "workflow", "order", "False", timeout_s=60)
            assert ready["reason"] == "OwnedElsewhere"
            await other.until_ready(namespace, "workflow", "own")
            await other.apply(namespace, packers, policy(strategy="fixed", max=2))
            for kind, name in CREW:
                ready = await other.until_ready(namespace, kind, name, "False", timeout_s=60)
                assert ready["reason"] == "OwnedElsewhere", ready
                await second.kubectl("delete", kind, name, "-n", namespace, "--timeout=30s")
            listed = (await Crew(place.suite, namespace).call("GET", "scaling-policies")).json
            assert [each["max"] for each in listed["policies"]] == [1]
            assert list(listed["owners"]) == ["packing"]
            await second.kubectl("delete", "wf", "order", "own", "-n", namespace, "--timeout=30s")
            assert await place.workflows(namespace) == ["order"]
            assert await agrees(place, namespace, {"order"})
        finally:
            operator.kill()
