"""docs/adoption.md as its readers follow it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmesh.testing.world import World
from tests.features.blocks import blocks
from tests.features.commands import command
from tests.kubernetes.conftest import Place, rendered

pytestmark = pytest.mark.kubernetes
PAGE = Path(__file__).resolve().parents[2] / "docs" / "adoption.md"
APIS = "http://apis.example"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The APIs of the company."""
    async with World() as running:
        yield running


def documents(kind: str, apis: str) -> list[dict[str, Any]]:
    """Return the resources of a kind on the page, with the address of the APIs."""
    found = [
        document
        for block in blocks(PAGE.read_text())
        if block.language == "yaml"
        for document in yaml.safe_load_all(block.text.replace(APIS, apis))
    ]
    return [each for each in found if each["kind"] == kind]


@pytest.mark.feature("S0-149")
async def test_the_first_week(place: Place, namespace: str, world: World) -> None:
    """Three tasks and a workflow are applied in one go, and a run over REST calls the APIs."""
    tasks, flows = (documents(kind, world.address) for kind in ("WorkflowTask", "Workflow"))
    await place.apply(namespace, *tasks, *flows)
    await place.until_ready(namespace, "workflow", "first-order")
    answer = await place.suite.request(
        "POST",
        "/api/v1/workflows/first-order/execute",
        {"input": {"order": "o-1", "sku": "tea", "amount": 12.5}},
        headers={"Flowmesh-Namespace": namespace},
    )
    assert answer.status == 200, answer.text
    (charge,) = world.calls("charges")
    assert charge.json == {"order": "o-1", "amount": 12.5}
    assert [len(world.calls(api)) for api in ("stock", "parcels")] == [1, 1]


@pytest.mark.feature("S0-151")
async def test_the_second_month(place: Place, namespace: str, world: World) -> None:
    """A template of the cluster makes a workflow, beside the bundled library; alerts are loaded."""
    await place.apply(namespace, *documents("WorkflowTask", world.address))
    await place.apply(namespace, *documents("WorkflowTemplate", world.address))
    await place.until_ready(namespace, "workflowtemplate", "charge-and-ship")
    await place.until_ready(namespace, "workflowtask", "send-parcel")
    made = await place.suite.request(
        "POST",
        "/api/v1/templates/charge-and-ship:instantiate",
        {"name": "tea-order", "parameters": {"timeout": "20s"}},
        headers={"Flowmesh-Namespace": namespace},
    )
    assert made.status in (200, 201), made.text
    assert "tea-order" in await place.workflows(namespace)
    installed = await command(
        place.suite, "workflow", "library", "install", "--namespace", namespace
    )
    assert installed.code == 0, installed.err
    assert "order-checkout" in await place.workflows(namespace)
    rules = [
        each["alert"]
        for document in yaml.safe_load_all(rendered("--set", "monitoring.rules=true"))
        if document["kind"] == "PrometheusRule"
        for group in document["spec"]["groups"]
        for each in group["rules"]
    ]
    assert rules, "no alert rule is loaded"
