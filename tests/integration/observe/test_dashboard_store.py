"""Saved dashboards on a real database."""

from typing import Any

import pytest

from flowmesh.api.observe.v1 import dashboard_service_pb2 as pb
from flowmesh.errors import NotFound, WrongState
from flowmesh.observe.dashboard_store import DashboardStore
from flowmesh.observe.limits import DASHBOARDS_MAX


@pytest.fixture
def store(pool: Any) -> DashboardStore:
    return DashboardStore(pool)


async def test_a_full_namespace(store: DashboardStore) -> None:
    """One more is refused, one of a name that is there and those of others are not."""
    for number in range(DASHBOARDS_MAX):
        await store.put("full", pb.Dashboard(name=f"d-{number:03}"), "text")
    with pytest.raises(WrongState) as refused:
        await store.put("full", pb.Dashboard(name="more"), "text")
    assert refused.value.reason == "DASHBOARDS_FULL"
    await store.put("full", pb.Dashboard(name="d-001", title="New"), "other")
    await store.put("empty", pb.Dashboard(name="more"), "text")
    found, document = await store.get("full", "d-001")
    assert (found.title, document) == ("New", "other")
    assert [each.name for each in await store.listed("full")][:2] == ["d-000", "d-001"]
    await store.delete("full", "d-001")
    for missing in (store.get("full", "d-001"), store.delete("empty", "d-001")):
        with pytest.raises(NotFound):
            await missing
