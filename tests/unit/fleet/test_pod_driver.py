"""Agents as pods on an API server in memory: started, seen, ended, and what is refused."""

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest
from lightkube import AsyncClient

from flowmesh.errors import Unavailable, WrongState
from flowmesh.fleet.driving import pods
from flowmesh.fleet.driving.pod_driver import PodDriver, cluster_client
from flowmesh.fleet.storage.records import AgentRow, SpecRow
from flowmesh.runtime import Settings, StartError
from tests.api_server import SYSTEM, ApiServer, Refused, api_server
from tests.unit.fleet.rows import NAMESPACE, agent_row, spec_row

VARIABLES = {"FLOWMESH_ADDRESS": "gateway:7070", pods.KEY: "made-up-key"}


class Known:
    """Credentials that a test sets."""

    def __init__(self) -> None:
        self.variables: Mapping[str, str] = dict(VARIABLES)

    async def of(self, _agent: AgentRow, _spec: SpecRow) -> Mapping[str, str]:
        return self.variables


class Place:
    """A driver and its cluster."""

    def __init__(self, server: ApiServer, client: AsyncClient) -> None:
        self.server, self.client, self.credentials = server, client, Known()
        self.driver = self.another()

    def another(self, **settings: Any) -> PodDriver:
        """Return the driver of another fleet of the same cluster."""
        return PodDriver(
            client=self.client,
            credentials=cast("Any", self.credentials),
            settings=Settings(app_image="flowmesh:1", **settings),
        )

    def pod(self, name: str = "agent-1", namespace: str = SYSTEM) -> dict[str, Any]:
        found = self.server.get("pods", name, namespace)
        assert found is not None
        return found

    def becomes(self, phase: str, **status: Any) -> None:
        """Give the pod a status, as its node would."""
        self.server.put("pods", {**self.pod(), "status": {"phase": phase, **status}})


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with api_server() as opened:
        yield Place(*opened)


async def test_an_agent_is_a_pod_with_its_secret_and_policy(place: Place) -> None:
    """The key and the files are in the Secret; the limits are those of the container."""
    content: dict[str, Any] = {
        "command": ["./run.sh", "-v"],
        "files": {"run.sh": "#!/bin/sh", "lib/a.txt": "a"},
        "environment": {"LOG": "debug"},
        "limits": {"cpu": 0.5, "memory_bytes": 64 << 20, "disk_bytes": 1 << 30},
        "drain_timeout_ms": 10_000,
    }
    started = await place.driver.spawn(agent_row(), spec_row(**content))
    assert started.enforcement == {
        "cpu": "cgroup",
        "memory_bytes": "cgroup",
        "disk_bytes": "kubelet",
    }
    spec = place.pod()["spec"]
    (container,) = spec["containers"]
    assert (container["image"], container["command"]) == ("flowmesh:1", ["/agent/run.sh", "-v"])
    assert container["resources"]["limits"] == {
        "cpu": "500m",
        "memory": str(64 << 20),
        "ephemeral-storage": str(1 << 30),
    }
    named = {each["name"]: each for each in container["env"]}
    assert named["LOG"]["value"] == "debug"
    assert named[pods.KEY]["valueFrom"]["secretKeyRef"]["name"] == "agent-1"
    assert spec["terminationGracePeriodSeconds"] == 15
    assert [each["path"] for each in spec["volumes"][1]["secret"]["items"]] == [
        *("lib/a.txt", "run.sh"),
    ]
    secret = place.server.get("secrets", "agent-1", SYSTEM)
    assert secret is not None
    data = {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
    assert data == {"file-0": "a", "file-1": "#!/bin/sh", pods.KEY: "made-up-key"}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == place.pod()["metadata"]["uid"]


@pytest.mark.parametrize("egress", ["open", "public"])
async def test_the_connections_of_agents_are_bounded_once_for_each_namespace(
    place: Place, egress: str
) -> None:
    """By the egress policy of the suite."""
    driver = place.another(egress=egress, egress_allow="10.1.0.0/16")
    place.credentials.variables = {}
    for name in ("agent-1", "agent-2"):
        await driver.spawn(agent_row(name), spec_row())
    policies = [each for each in place.server.requests if "networkpolicies" in each]
    assert policies == [f"PATCH networkpolicies/{SYSTEM}/{pods.POLICY}"]
    found = place.server.get("networkpolicies", pods.POLICY, SYSTEM)
    assert found is not None
    blocks = [each["ipBlock"] for each in found["spec"]["egress"][2]["to"]]
    assert blocks[0]["cidr"] == "0.0.0.0/0"
    assert ("except" in blocks[0]) is (egress == "public")
    assert blocks[1] == {"cidr": "10.1.0.0/16"}
    # Without files and key there is no Secret.
    assert place.server.names("secrets") == []


def owned(place: Place, namespace: str, **metadata: Any) -> None:
    known = {"name": "packers", "namespace": namespace, **metadata}
    place.server.put(
        "agentspecs", {"kind": "AgentSpec", "metadata": known, "spec": {"command": ["python"]}}
    )


async def test_an_agent_is_in_the_namespace_of_its_resource(place: Place) -> None:
    """The one for the namespace of the suite, unless it is being deleted."""
    labels = {"annotations": {pods.NAMESPACE: NAMESPACE}}
    for name in ("ending", "other", "shop"):
        place.server.put("namespaces", {"metadata": {"name": name, **labels}})
    place.server.put("namespaces", {"metadata": {"name": "other"}})
    owned(place, "ending", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["x"])
    owned(place, "other")
    owned(place, "shop")
    await place.driver.spawn(agent_row(), spec_row())
    (reference,) = place.pod(namespace="shop")["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"]) == ("AgentSpec", "packers")
    driver = place.another(agent_namespaces="other,system")
    with pytest.raises(WrongState, match="no agents may be in the namespace shop"):
        await driver.spawn(agent_row("agent-2"), spec_row())


async def test_an_agent_is_seen_from_pending_to_its_end(place: Place) -> None:
    """With its exit code and last words; it is forgotten once that is recorded."""
    driver = place.driver
    await driver.spawn(agent_row(), spec_row())
    place.server.put(
        "pods", {"metadata": {"name": "foreign", "namespace": SYSTEM}, "spec": {"nodeName": "n"}}
    )
    seen = await driver.observe()
    assert {name: (each.running, each.code) for name, each in seen.items()} == {
        "agent-1": (False, None)
    }
    place.becomes("Running")
    assert (await driver.observe())["agent-1"].running
    ended = {"terminated": {"exitCode": 3, "message": "no such queue"}}
    place.becomes("Failed", containerStatuses=[{"name": "agent", "state": ended}])
    seen = await driver.observe()
    assert (seen["agent-1"].code, seen["agent-1"].words) == (3, "no such queue")
    await driver.forget("agent-1")
    assert place.server.names("pods") == ["foreign"]
    for call in (driver.forget, driver.drain):
        await call("agent-1")
    await driver.kill("nowhere", "SILENT")


async def test_a_killed_agent_keeps_its_reason(place: Place) -> None:
    """That of the fleet, or why no node took its pod."""
    driver = place.driver
    await driver.spawn(agent_row(), spec_row())
    scheduled = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}
    place.becomes("Pending", conditions=[{"type": "Ready", "status": "False"}, scheduled])
    await driver.observe()
    await driver.kill("agent-1", "START_TIMEOUT")
    seen = await driver.observe()
    assert (seen["agent-1"].killed, seen["agent-1"].code) == ("NO_CAPACITY: 0/3 nodes", -9)
    await driver.spawn(agent_row("agent-2"), spec_row())
    await driver.observe()
    await driver.kill("agent-2", "SILENT")
    assert (await driver.observe())["agent-2"].killed == "SILENT"
    await driver.end()
    await driver.drain("agent-2")
    assert not await driver.alone()


def usage(cpu: str, memory: str) -> dict[str, Any]:
    return {"usage": {"cpu": cpu, "memory": memory}}


@pytest.mark.parametrize(
    ("containers", "memory"),
    [
        ([usage("250m", "64Mi")], 64 << 20),
        # As a mesh adds one to each pod.
        ([usage("200m", "64Mi"), usage("50m", "16Mi")], 80 << 20),
        ([], 0),
    ],
    ids=["one", "two", "none yet"],
)
async def test_an_agent_has_the_use_of_its_pod(
    place: Place, containers: list[Any], memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as the cluster measures it."""
    monkeypatch.setattr("flowmesh.fleet.driving.pod_driver.METRICS_S", 0.0)
    driver = place.another()
    await driver.spawn(agent_row(), spec_row())
    pod = place.pod()
    named = {name: pod["metadata"][name] for name in ("name", "namespace", "labels")}
    place.server.put("podmetrics", {"metadata": named, "containers": containers})
    for _ in range(2):
        seen = (await driver.observe())["agent-1"]
    assert seen.memory == memory
    assert (seen.cpu_s > 0) is bool(containers)


async def test_a_cluster_without_metrics_is_asked_seldom(place: Place) -> None:
    """It answers by plain text."""
    place.server.failures["GET podmetrics"] = None
    await place.driver.spawn(agent_row(), spec_row())
    for _ in range(3):
        assert (await place.driver.observe())["agent-1"].memory == 0
    assert place.server.requests.count("GET podmetrics") == 1


@pytest.mark.parametrize(
    ("failure", "error", "said"),
    [
        (Refused(403, "quota exceeded"), WrongState, "the pod agent-1: quota exceeded"),
        (Refused(422, "bad name"), WrongState, "bad name"),
        (Refused(500, "etcd is away"), Unavailable, "etcd is away"),
        (None, Unavailable, "the API server does not answer: HTTPStatusError"),
    ],
    ids=["quota", "wrong", "away", "no answer"],
)
async def test_a_pod_that_is_not_made_is_an_error_of_the_suite(
    place: Place, failure: Refused | None, error: type[Exception], said: str
) -> None:
    """One that stays, or one that may pass."""
    place.server.failures["POST pods"] = failure
    with pytest.raises(error, match=said):
        await place.driver.spawn(agent_row(), spec_row())


async def test_a_pod_that_is_gone_needs_no_deletion(place: Place) -> None:
    """Other errors are told."""
    await place.driver.spawn(agent_row(), spec_row())
    place.server.remove("pods", "agent-1", SYSTEM)
    await place.driver.drain("agent-1")
    place.server.failures["DELETE pods"] = Refused(500, "etcd is away")
    with pytest.raises(Unavailable, match="etcd is away"):
        await place.driver.drain("agent-1")


def test_a_fleet_of_pods_needs_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what would be right."""
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")
    with pytest.raises(StartError, match="run the fleet in a pod"):
        cluster_client("")
