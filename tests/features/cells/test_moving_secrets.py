"""`flowmesh cells move` takes secrets that neither its user nor its machine can read."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.world import World
from tests.features.cells.closed import ClosedCells, closed_cells
from tests.features.closed import OWNER, Caller, Closed
from tests.features.collector import Collector, collecting
from tests.features.natives import resource
from tests.features.natives import workflow as native_workflow
from tests.features.security.audited import Audited, call

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

CANARY, FORMER = "canary-4a9d81f07c33", "former-canary-77b1e9d2"
SHOP = {"flowmesh_namespace": "shop"}


@dataclass(frozen=True)
class Traced:
    """Two closed cells, and a collector of their traces."""

    cells: ClosedCells
    collector: Collector

    def holding(self, text: str) -> list[str]:
        """Return the files of both cells, logs included, and the spans that hold a text."""
        forms = (text.encode(), base64.b64encode(text.encode()).rstrip(b"="))
        files = [each for each in self.cells.folder.rglob("*") if each.is_file()]
        found = [str(each) for each in files if any(f in each.read_bytes() for f in forms)]
        return found + [str(each) for each in self.collector.spans if text in str(each)]


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    async with collecting() as collector:
        endpoint = ("--otlp-endpoint", collector.address)
        async with closed_cells(tmp_path, *endpoint, OTEL_BSP_SCHEDULE_DELAY="100") as cells:
            yield Traced(cells, collector)


async def pay(caller: Caller, url: str) -> None:
    """Register a workflow that sends a secret, in two versions."""
    http: Json = {
        "method": "POST",
        "url": url,
        "headers": {"X-Newest": "secret://bank", "X-First": "secret://bank#1"},
    }
    task = resource("WorkflowTask", "pay", type="http", http=http)
    for each in (task, native_workflow("pays", {"id": "pay", "taskRef": "pay"})):
        status, answer = await caller.rest("POST", "/api/v1/workflows", each, **SHOP)
        assert status in (200, 201), answer


async def recorded(closed: Closed, *methods: str) -> None:
    """Check that the audit log of a cell has these calls of its owner for the project."""
    for method in methods:
        entry = (await Audited(closed).found(method=f"SecretService.{method}"))[-1]
        assert (entry.actor, entry.target[:4]) == (OWNER, "shop"), entry


async def test_secrets_move_sealed(traced: Traced, world: World) -> None:
    """A workflow sends the same values at the target; no file, log, trace or output has them."""
    world.answers("bank", make=lambda call: {"status": "paid"})
    cells = traced.cells
    await cells.project("shop")
    owner = cells.source.owner
    for value in (FORMER, CANARY):
        put = {"namespace": "shop", "name": "bank", "value": value.encode()}
        await call(owner, "SecretService.PutSecret", **put)
    await pay(owner, world.url("bank"))
    await cells.log_in()
    moved = await cells.move("shop")
    assert moved.code == 0, moved.err
    status, answer = await cells.target.owner.rest(
        "POST", "/api/v1/workflows/pays/execute", {"input": {}}, **SHOP
    )
    assert (status, answer["status"]) == (200, "completed"), answer
    sent = world.calls("bank")[-1].headers
    assert (sent["x-newest"], sent["x-first"]) == (CANARY, FORMER)
    [listed] = (
        await call(cells.target.owner, "SecretService.ListSecrets", namespace="shop")
    ).secrets
    assert (listed.version, listed.created_by) == (2, OWNER)
    await recorded(cells.source, "ExportSecrets")
    await recorded(cells.target, "PrepareSecretImport", "ImportSecrets")
    assert traced.collector.spans
    assert traced.holding("pays")
    for text in (CANARY, FORMER):
        assert text not in moved.out + moved.err
        assert traced.holding(text) == []
