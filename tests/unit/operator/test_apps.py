"""Apps on an API server in memory: blue and green, checks, rollback, and what is refused."""

import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from lightkube import ApiError

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.operator.kinds import Key
from flowmesh.operator.limits import PROVISION_AGAIN_S, PROVISION_PROGRESS_S
from flowmesh.operator.objects import Objects
from flowmesh.operator.provisioning.checks import Checks
from flowmesh.operator.provisioning.manifests import COLOUR, SWITCHED
from flowmesh.operator.provisioning.provisioner import Provisioner
from flowmesh.operator.status import Outcome
from tests.api_server import SYSTEM, ApiServer, Refused, api_server
from tests.stubs import Stub
from tests.unit.operator.made import key, made, ready


class Place:
    """A provisioner, its cluster, and the workflows that check colours."""

    def __init__(self, server: ApiServer, client: Any) -> None:
        self.server, self.objects, self.suite = server, Objects(), Stub()
        executions = cast("Any", self.suite)
        self.provisioner = Provisioner(
            client=client,
            objects=self.objects,
            checks=Checks(executions=executions, objects=self.objects),
            namespace=SYSTEM,
            image="flowmesh:1",
        )

    async def reconcile(self, found: dict[str, Any]) -> Outcome:
        outcome, again_s = await self.provisioner.reconcile(key(found), found)
        assert again_s == (PROVISION_AGAIN_S if outcome.ready else PROVISION_PROGRESS_S)
        return outcome

    def start(self, colour: str) -> None:
        """Make the pods of a colour ready, as the cluster would."""
        found = self.server.get("deployments", f"shop-{colour}")
        assert found is not None
        replicas = found["spec"]["replicas"]
        status = {
            "observedGeneration": found["metadata"]["generation"],
            "updatedReplicas": replicas,
            "availableReplicas": replicas,
        }
        self.server.put("deployments", {**found, "status": status})

    async def serve(self, found: dict[str, Any], colour: str) -> Outcome:
        """Reconcile an App until a colour has the traffic."""
        await self.reconcile(found)
        self.start(colour)
        outcome = await self.reconcile(found)
        assert (outcome.ready, outcome.reason) == (True, "Serving")
        assert self.serving == colour
        return await self.reconcile(found)

    @property
    def serving(self) -> str:
        """The colour with the traffic."""
        service = self.server.get("services", "shop")
        return str(service["spec"]["selector"][COLOUR]) if service else ""

    def replicas(self, colour: str) -> int:
        found = self.server.get("deployments", f"shop-{colour}")
        return int(found["spec"]["replicas"]) if found else 0

    def pod(self, colour: str = "blue") -> Any:
        found = self.server.get("deployments", f"shop-{colour}")
        return found and found["spec"]["template"]["spec"]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with api_server() as opened:
        yield Place(*opened)


def app(document: str = "name: shop", **spec: Any) -> dict[str, Any]:
    """Return an App of two replicas."""
    source = {"source": {"document": document}} if document else {}
    return made("App", "shop", {**source, "port": 8080, "replicas": 2, **spec})


async def test_the_first_colour_gets_the_traffic_once_it_is_ready(place: Place) -> None:
    """Its objects are those of the App."""
    outcome = await place.reconcile(app())
    assert (outcome.ready, outcome.reason, outcome.message) == (
        *(False, "Progressing"),
        "blue is not ready",
    )
    assert outcome.more == {"next": "blue"}
    assert place.serving == ""
    place.start("blue")
    outcome = await place.reconcile(app())
    assert (outcome.ready, outcome.message) == (True, "blue has the traffic")
    assert outcome.more["colour"] == "blue"
    assert place.server.names("services") == ["shop", "shop-blue"]
    assert (place.serving, place.replicas("blue")) == ("blue", 2)
    for plural in ("services", "deployments", "configmaps"):
        found = place.server.get(plural, "shop-blue")
        assert found is not None
        assert found["metadata"]["ownerReferences"][0]["uid"] == "uid-shop"
    outcome = await place.reconcile(app())
    assert (outcome.ready, outcome.message) == (True, "blue has the traffic")


async def test_a_new_spec_goes_to_the_other_colour_and_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one keeps traffic until then, and its pods for a while after."""
    await place.serve(app(), "blue")
    changed = app("name: other", strategy={"keepSeconds": 60})
    outcome = await place.reconcile(changed)
    assert outcome.message == "green is not ready; blue keeps the traffic"
    assert outcome.more["next"] == "green"
    assert place.serving == "blue"
    await place.serve(changed, "green")
    assert place.replicas("blue") == 2
    pinned = app("name: other", strategy={"keepSeconds": 60}, active="blue")
    await place.reconcile(pinned)
    assert place.serving == "blue"
    await place.reconcile(changed)
    assert place.serving == "green"
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 61)
    await place.reconcile(changed)
    assert (place.replicas("blue"), place.replicas("green")) == (0, 2)
    # A rollback starts its pods again.
    outcome = await place.reconcile(pinned)
    assert outcome.message == "blue is not ready; green keeps the traffic"
    assert place.replicas("blue") == 2


async def test_a_colour_that_fails_its_check_gets_no_traffic(place: Place) -> None:
    """Until the check passes."""
    place.suite.answers["StartExecution"] = NotFound("WORKFLOW_NOT_FOUND", "no smoke")
    checked = app(strategy={"checks": [{"workflow": "smoke"}]})
    await place.reconcile(checked)
    place.start("blue")
    outcome = await place.reconcile(checked)
    assert (outcome.reason, outcome.message) == ("CheckFailed", "check smoke: no smoke")
    assert place.serving == ""
    assert isinstance(place.suite.last("StartExecution"), pb.StartExecutionRequest)


async def test_a_serving_colour_that_loses_its_pods_is_not_ready(place: Place) -> None:
    """The traffic stays, as there is no better place."""
    await place.serve(app(), "blue")
    found = place.server.get("deployments", "shop-blue")
    assert found is not None
    place.server.put(
        "deployments", {**found, "status": {**found["status"], "availableReplicas": 1}}
    )
    outcome = await place.reconcile(app())
    assert (outcome.ready, outcome.reason, outcome.message) == (
        *(False, "Unready"),
        "blue is not ready",
    )
    assert place.serving == "blue"


async def test_an_autoscaler_owns_the_count_while_the_spec_has_one(place: Place) -> None:
    """It follows the traffic, and goes with `scaling`."""
    scaling = {"minReplicas": 3, "maxReplicas": 9, "cpuPercent": 70}
    await place.serve(app(scaling=scaling), "blue")
    found = place.server.get("horizontalpodautoscalers", "shop")
    assert found is not None
    assert found["spec"]["scaleTargetRef"]["name"] == "shop-blue"
    assert (found["spec"]["minReplicas"], place.replicas("blue")) == (3, 3)
    deployed = place.server.get("deployments", "shop-blue")
    assert deployed is not None
    deployed["spec"]["replicas"] = 7
    place.start("blue")
    await place.reconcile(app(scaling=scaling))
    assert place.replicas("blue") == 7
    await place.reconcile(app())
    assert place.server.names("horizontalpodautoscalers") == []
    assert place.replicas("blue") == 2


async def test_the_pods_have_what_the_spec_says(place: Place) -> None:
    """Files, variables, Secrets and probes; without a source, no document."""
    source = {"document": "name: shop", "files": {"b/two.yaml": "2", "a.yaml": "1"}}
    infrastructure = made("Infrastructure", "orders", {"kind": "postgres"})
    place.objects.put(Key("Infrastructure", "shop", "orders"), ready(infrastructure, "Running"))
    spec: dict[str, Any] = {
        "source": source,
        "env": {"LOG": "debug"},
        "secrets": ["mail"],
        "infrastructure": ["orders"],
        "readyPath": "/readyz",
    }
    await place.reconcile(app(**spec))
    (container,) = place.pod()["containers"]
    assert container["image"] == "flowmesh:1"
    assert container["command"] == ["flowmesh", "app", "run", "/app/app.yaml", "--public"]
    assert [each["name"] for each in container["env"]] == ["ORDERS_URL", "LOG"]
    reference = container["env"][0]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "orders-address", "key": "url"}
    assert container["envFrom"] == [{"secretRef": {"name": "mail"}}]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    document = place.server.get("configmaps", "shop-blue")
    assert document is not None
    assert document["data"] == {"app.yaml": "name: shop", "file-0": "1", "file-1": "2"}
    items = place.pod()["volumes"][1]["configMap"]["items"]
    assert [each["path"] for each in items] == ["app.yaml", "a.yaml", "b/two.yaml"]
    await place.reconcile(app("", image="nginx:1", command=["nginx"]))
    (container,) = place.pod()["containers"]
    assert (container["image"], container["command"]) == ("nginx:1", ["nginx"])
    assert len(place.pod()["volumes"]) == 1


async def test_an_app_waits_for_its_infrastructure(place: Place) -> None:
    """Nothing is deployed that would fail at its first connection."""
    key_of = Key("Infrastructure", "shop", "orders")
    for found in (None, ready(made("Infrastructure", "orders"), "Progressing", "False")):
        if found:
            place.objects.put(key_of, found)
        outcome = await place.reconcile(app(infrastructure=["orders"]))
        assert (outcome.reason, outcome.message) == ("InfrastructureMissing", "waits for orders")
    assert place.server.names("deployments") == []


@pytest.mark.parametrize("plural", ["services", "configmaps"])
async def test_an_object_of_another_is_not_taken(place: Place, plural: str) -> None:
    """The outcome names it."""
    name = "shop" if plural == "services" else "shop-blue"
    place.server.put(plural, {"metadata": {"name": name, "namespace": "shop"}, "spec": {"a": 1}})
    outcome = await place.reconcile(app())
    assert outcome.reason == "OwnedElsewhere"
    assert f"{name} exists and is not of this App" in outcome.message
    found = place.server.get(plural, name)
    assert found is not None
    assert found["spec"]["a"] == 1


async def test_a_refusal_of_the_api_server_stays_and_other_errors_may_pass(place: Place) -> None:
    """A wrong value is the author's to change."""
    place.server.failures["PATCH deployments"] = Refused(422, "cpu must be a number")
    outcome = await place.reconcile(app())
    assert (outcome.reason, outcome.message) == ("Invalid", "cpu must be a number")
    place.server.failures["PATCH deployments"] = Refused(403, "no rights yet")
    with pytest.raises(ApiError, match="no rights yet"):
        await place.reconcile(app())


async def test_a_check_tells_the_fields_that_the_api_server_refuses(place: Place) -> None:
    """Nothing is stored; what another owns, or no one may see, is left to the status."""
    causes = [
        {"field": "spec.template.spec.containers[0].env[0].name", "message": "is no name"},
        {"field": "spec.template.spec.volumes", "message": "too many"},
    ]
    scaling = {"minReplicas": 1, "maxReplicas": 2, "cpuPercent": 70}
    assert await place.provisioner.check(app(scaling=scaling)) == []
    assert place.server.objects == {}
    place.server.failures["PATCH deployments"] = Refused(422, "no", details={"causes": causes})
    place.server.failures["PATCH services"] = Refused(400, "no object")
    place.server.failures["PATCH configmaps"] = Refused(403, "no rights")
    found = await place.provisioner.check(app())
    assert [(each.path, each.message) for each in found] == [
        ("env", f"Deployment shop-blue: {causes[0]['field']}: is no name"),
        ("spec", f"Deployment shop-blue: {causes[1]['field']}: too many"),
        ("spec", "Service shop-blue: no object"),
    ]
    place.server.failures["PATCH services"] = Refused(500, "etcd is away")
    with pytest.raises(ApiError, match="etcd is away"):
        await place.provisioner.check(app())
    foreign = {"metadata": {"name": "shop-blue", "namespace": "shop"}}
    for plural in ("services", "deployments", "configmaps"):
        place.server.put(plural, foreign)
    assert await place.provisioner.check(app()) == []


async def test_the_time_of_a_switch_outlives_other_changes(place: Place) -> None:
    """By it the old colour loses its pods."""
    await place.serve(app(), "blue")
    before = place.server.get("services", "shop")
    await place.reconcile(app(port=9090))
    after = place.server.get("services", "shop")
    assert before is not None
    assert after is not None
    assert after["metadata"]["annotations"][SWITCHED] == before["metadata"]["annotations"][SWITCHED]
