"""Infrastructure on an API server in memory: servers, their Secrets, and external ones."""

import base64
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from flowmesh.operator.objects import Objects
from flowmesh.operator.provisioning.checks import Checks
from flowmesh.operator.provisioning.infrastructure import KINDS
from flowmesh.operator.provisioning.provisioner import SEED, Provisioner
from tests.api_server import SYSTEM, ApiServer, api_server
from tests.stubs import Stub
from tests.unit.operator.made import key, made


class Place:
    """A provisioner and its cluster."""

    def __init__(self, server: ApiServer, client: Any) -> None:
        self.server, self._client = server, client
        self.provisioner = self.another()

    def another(self) -> Provisioner:
        """Return the provisioner of another replica."""
        checks = Checks(executions=cast("Any", Stub()), objects=Objects())
        return Provisioner(
            client=self._client,
            objects=Objects(),
            checks=checks,
            namespace=SYSTEM,
            image="flowmesh:1",
        )

    async def reconcile(self, found: dict[str, Any]) -> Any:
        return (await self.provisioner.reconcile(key(found), found))[0]

    def secret(self, name: str, namespace: str = "shop") -> dict[str, str]:
        found = self.server.get("secrets", name, namespace)
        assert found is not None
        return {key: base64.b64decode(text).decode() for key, text in found["data"].items()}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with api_server() as opened:
        yield Place(*opened)


def server(kind: str, **spec: Any) -> dict[str, Any]:
    content = {"kind": kind, "size": "1Gi", "deletionPolicy": "delete", **spec}
    return made("Infrastructure", "orders", content)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_has_an_address_a_service_and_a_volume(place: Place, kind: str) -> None:
    """It is ready with its pod; the outputs are in its Secret."""
    outcome = await place.reconcile(server(kind))
    assert (outcome.ready, outcome.reason) == (False, "Progressing")
    assert outcome.more == {"secret": "orders-address"}
    found = place.server.get("statefulsets", "orders")
    assert found is not None
    place.server.put("statefulsets", {**found, "status": {"readyReplicas": 1}})
    outcome = await place.reconcile(server(kind))
    assert (outcome.ready, outcome.reason) == (True, "Running")
    outputs = place.secret("orders-address")
    assert set(KINDS[kind].outputs) | {"password"} == outputs.keys()
    assert "orders.shop.svc" in outputs["url"]
    spec = found["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
    (container,) = spec["template"]["spec"]["containers"]
    assert container["image"] == f"{KINDS[kind].image}:{KINDS[kind].version}"
    assert ("command" in container, "args" in container) == (
        bool(KINDS[kind].command),
        bool(KINDS[kind].arguments),
    )
    service = place.server.get("services", "orders")
    assert service is not None
    assert service["spec"]["ports"][0]["port"] == KINDS[kind].port


async def test_a_server_of_the_spec_has_its_image_and_storage(place: Place) -> None:
    """With `retain`, its Secret stays as its volume does."""
    chosen = {"image": "mine", "version": "7", "storageClass": "fast", "deletionPolicy": "retain"}
    await place.reconcile(server("redis", **chosen))
    found = place.server.get("statefulsets", "orders")
    assert found is not None
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "mine:7"
    assert found["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    secret = place.server.get("secrets", "orders-address")
    assert secret is not None
    assert secret["metadata"]["ownerReferences"] == []


async def test_a_lost_secret_is_made_again_with_its_password(place: Place) -> None:
    """From the seed of the cluster, which a later operator reads."""
    await place.reconcile(server("redis"))
    before = place.secret("orders-address")
    assert len(place.secret(SEED, SYSTEM)["seed"]) > 40
    place.server.remove("secrets", "orders-address")
    place.provisioner = place.another()
    await place.reconcile(server("redis"))
    assert place.secret("orders-address") == before


async def test_a_password_that_was_set_by_hand_is_kept(place: Place) -> None:
    """Only what is missing is made."""
    data = {"password": base64.b64encode(b"made-up-by-hand").decode()}
    place.server.put(
        "secrets", {"metadata": {"name": "orders-address", "namespace": "shop"}, "data": data}
    )
    await place.reconcile(server("redis"))
    outputs = place.secret("orders-address")
    assert outputs["password"] == "made-up-by-hand"
    assert outputs["url"] == "redis://:made-up-by-hand@orders.shop.svc:6379"


@pytest.mark.parametrize(
    ("data", "reason", "said"),
    [
        (None, "SecretIncomplete", "the Secret mine has no url"),
        ({"url": ""}, "SecretIncomplete", "the Secret mine has no url"),
        ({"url": "cmVkaXM6Ly9oZXJl"}, "External", ""),
    ],
)
async def test_an_external_server_needs_its_secret_only(
    place: Place, data: dict[str, str] | None, reason: str, said: str
) -> None:
    """No server is run for it."""
    if data is not None:
        place.server.put(
            "secrets", {"metadata": {"name": "mine", "namespace": "shop"}, "data": data}
        )
    outcome = await place.reconcile(server("redis", external={"secret": "mine"}))
    assert (outcome.reason, outcome.message) == (reason, said)
    assert outcome.ready is (reason == "External")
    assert place.server.names("statefulsets") == []
    assert await place.provisioner.check(server("redis", external={"secret": "mine"})) == []
