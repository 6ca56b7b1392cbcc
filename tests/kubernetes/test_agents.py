"""Agents by kubectl: specs and policies as resources, agents as pods that run a worker."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from tests.features.agents.crew import WORKER, Crew, tasks
from tests.kubernetes.conftest import Place
from tests.kubernetes.podrunner import PodRunner, running_pods

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(180)]
PATIENCE_S = 30.0


def agent_spec(name: str = "packers", **spec: Any) -> dict[str, Any]:
    """Return an AgentSpec of workers of the SDK."""
    content = {"command": ["python", "worker.py"], "files": {"worker.py": WORKER}}
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "AgentSpec",
        "metadata": {"name": name},
        "spec": {**content, "queues": ["packing"], **spec},
    }


def policy(**spec: Any) -> dict[str, Any]:
    """Return a ScalingPolicy by the load of the queue."""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "ScalingPolicy",
        "metadata": {"name": "packing"},
        "spec": {"agentSpec": "packers", "strategy": "workload_based", **spec},
    }


@pytest.fixture
async def pods(place: Place, namespace: str, tmp_path: Path) -> AsyncIterator[PodRunner]:
    """The pods of the namespace, whose AgentSpecs end before."""
    async with running_pods(place.cluster.kubeconfig, namespace, tmp_path) as runner:
        yield runner
        await place.kubectl("delete", "agentspec", "--all", "-n", namespace, "--timeout=50s")


async def until_agents(place: Place, namespace: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many pods run, and the status has them ready; return the pods."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        listed = await place.cluster.get("pods", "-n", namespace)
        found[:] = listed["items"]
        state = (await place.cluster.get("agentspec", "packers", "-n", namespace)).get("status")
        counts = [(state or {}).get(each) for each in ("replicas", "readyReplicas")]
        return len(found) == count and counts == [count, count]

    await until(f"{count} agents", there, within_s=PATIENCE_S, poll_s=0.5)
    return found


@pytest.mark.feature("S4-15")
async def test_agents_are_pods_of_their_resource(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """A task runs in one; kubectl scales them; a killed one is replaced; all go with the spec."""
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    await place.kubectl("label", "namespace", namespace, restricted)
    limits = {"cpu": 0.5, "memoryBytes": 256 << 20}
    await place.apply(namespace, agent_spec(replicas=1, limits=limits))
    (pod,) = await until_agents(place, namespace, 1)
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("AgentSpec", "packers")
    (container,) = pod["spec"]["containers"]
    bounds = {"cpu": "500m", "memory": str(256 << 20)}
    assert container["resources"] == {"requests": bounds, "limits": bounds}
    await place.kubectl("scale", "agentspec", "packers", "--replicas=2", "-n", namespace)
    await until_agents(place, namespace, 2)
    pods.pods[pod["metadata"]["name"]].process.kill()

    async def replaced() -> bool:
        listed = await place.cluster.get("pods", "-n", namespace)
        return pod["metadata"]["name"] not in [each["metadata"]["name"] for each in listed["items"]]

    await until("replaced", replaced, within_s=PATIENCE_S, poll_s=0.5)
    crew = Crew(place.suite, namespace)
    (failed,) = await crew.agents("failed", ended=True)
    assert (failed["reason"], failed["exitCode"]) == ("ended with signal 9", -9)
    await crew.ready(2)
    async with Client(place.suite.grpc_address, namespace=namespace) as client:
        handles = await tasks(client, 2, 3.0)

        async def busy() -> bool:
            return bool(sum(each["busy"] for each in await crew.agents()) == 2)

        await until("both are busy", busy, within_s=PATIENCE_S)
        await place.kubectl("scale", "agentspec", "packers", "--replicas=0", "-n", namespace)
        for each in handles:
            assert await each.result(timeout=30.0)
    await crew.ready(0)
    drained = await crew.agents("stopped", ended=True)
    ends = [(each["reason"], each["exitCode"]) for each in drained]
    assert ends == [("SCALED_DOWN", 0)] * 2
    await place.kubectl("scale", "agentspec", "packers", "--replicas=1", "-n", namespace)
    await until_agents(place, namespace, 1)
    await place.kubectl("delete", "agentspec", "packers", "-n", namespace, "--timeout=50s")

    async def gone() -> bool:
        return "No resources" in await place.kubectl("get", "pods", "-n", namespace)

    await until("no pod is left", gone, within_s=PATIENCE_S)


@pytest.mark.feature("S1-185")
async def test_load_changes_the_pods_by_the_policy(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """Waiting tasks add agents up to the most of the ScalingPolicy, which kubectl shows."""
    await place.apply(namespace, agent_spec(replicas=1), policy(min=1, max=3))
    await until_agents(place, namespace, 1)
    await place.until_ready(namespace, "scalingpolicy", "packing")
    async with Client(place.suite.grpc_address, namespace=namespace) as client:
        await tasks(client, 12, 5.0)
        await until_agents(place, namespace, 3)
    row = (await place.kubectl("get", "agent", "packers", "-n", namespace, "--no-headers")).split()
    assert row[:4] == ["packers", "True", "3", "3"]


async def test_the_next_fleet_adopts_the_pods_and_ends_orphans(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """The suite is killed: its agents run on, and are those of the suite that follows."""
    await place.apply(namespace, agent_spec(replicas=2))
    before = {each["metadata"]["name"] for each in await until_agents(place, namespace, 2)}
    processes = {each.process.pid for each in pods.pods.values()}
    await place.suite.kill()
    orphan = await place.cluster.get("pod", min(before), "-n", namespace)
    kept = {"labels": orphan["metadata"]["labels"], "finalizers": orphan["metadata"]["finalizers"]}
    spec = {
        "containers": [{"name": "agent", "image": "x", "command": ["python", "-m", "http.server"]}]
    }
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orphan", **kept}, "spec": spec}
    await place.apply(namespace, body)
    await until("the orphan runs", lambda: _is_there(pods, "orphan"), within_s=PATIENCE_S)
    await place.suite.start()
    found = {each["metadata"]["name"] for each in await until_agents(place, namespace, 2)}
    assert found == before
    assert {pods.pods[each].process.pid for each in found} == processes


async def test_a_spec_that_pods_cannot_hold_is_refused(place: Place, namespace: str) -> None:
    """By the API server, if the member is unknown; by the fleet for a program that is missing."""
    unknown = await place.apply(namespace, agent_spec(limits={"pids": 5}), check=False)
    assert "spec.limits.pids" in unknown, unknown
    # A namespace without reviews stores it, and the status says why it does not run.
    await place.kubectl("label", "namespace", namespace, "workflow.io/admission=off")
    await place.apply(namespace, agent_spec(command=["no-such-program"]))
    refused = await place.until_ready(namespace, "agentspec", "packers", "False")
    assert refused["reason"] == "Invalid"
    assert "no-such-program" in refused["message"]
    by_rest = await Crew(place.suite, namespace).apply("others", limits={"pids": 5})
    assert by_rest.status == 400
    assert "a pod has no such limit" in by_rest.text


async def test_wrong_agents_are_refused_at_the_door(place: Place, namespace: str) -> None:
    """By kubectl, with the field, as the fleet checks it; what is applied at once is accepted."""
    await place.apply(namespace, agent_spec(replicas=0), policy(min=0, max=2))
    crew = Crew(place.suite, namespace)
    quota = await crew.call("PUT", "agent-quota", {"agents": 3})
    assert quota.status == 200, quota.text
    await place.until_ready(namespace, "scalingpolicy", "packing")
    second = policy(max=2)
    second["metadata"] = {"name": "second"}
    for document, place_of, text in (
        (agent_spec(command=["no-such-program"]), "spec.command", "no-such-program"),
        (agent_spec(environment={"FLOWMESH_X": "1"}), "spec.environment", "FLOWMESH_X"),
        (agent_spec(limits={"cpu": 0.001}), "spec.limits.cpu", "0.001"),
        (agent_spec("more", replicas=4), "spec.replicas", "leaves 3 agents"),
        (agent_spec("a.b"), "metadata.name", "a.b"),
        (policy(), "spec.max", "at least 1"),
        (second, "spec.agentSpec", "has the policy packing already"),
    ):
        refused = await place.apply(namespace, document, check=False)
        assert "The request is invalid" in refused, refused
        assert f"{place_of}: " in refused, refused
        assert text in refused, refused
    other = {**policy(agentSpec="none", max=1), "metadata": {"name": "other"}}
    missing = await place.apply(namespace, other, check=False)
    assert "spec.agentSpec: there is no spec 'none'" in missing, missing
    await place.kubectl("label", "namespace", namespace, "workflow.io/missing-tasks=wait")
    stored = await place.apply(namespace, other)
    assert "Warning: spec.agentSpec: there is no spec" in stored
    waits = await place.until_ready(namespace, "scalingpolicy", "other", "False")
    assert waits["reason"] == "AgentSpecMissing"


async def _is_there(pods: PodRunner, name: str) -> bool:
    return name in pods.pods
