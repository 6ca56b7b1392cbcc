"""Stored objectives on a real database."""

from typing import Any

import pytest

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import NotFound, WrongState
from flowmesh.observe.limits import OBJECTIVES_MAX
from flowmesh.observe.objective_store import STATE_US, ObjectiveStore

NOON_US = 1_795_953_600_000_000


@pytest.fixture
def store(pool: Any) -> ObjectiveStore:
    return ObjectiveStore(pool)


def objective(workflow: str, target: float = 99) -> pb.Slo:
    return pb.Slo(workflow_id=workflow, target=target)


async def test_a_full_namespace(store: ObjectiveStore) -> None:
    """One more is refused, another one of the same workflow and those of others are not."""
    for number in range(OBJECTIVES_MAX):
        await store.put("full", objective(f"w-{number}"))
    with pytest.raises(WrongState) as refused:
        await store.put("full", objective("more"))
    assert refused.value.reason == "SLOS_FULL"
    await store.put("full", objective("w-1", 95))
    await store.put("empty", objective("more"))
    assert (await store.get("full", "w-1")).target == 95
    await store.delete("full", "w-1")
    with pytest.raises(NotFound):
        await store.get("full", "w-1")


async def test_a_state_is_computed_by_one_process_a_minute(store: ObjectiveStore) -> None:
    """A claimed objective is free again after a minute, or at once when it is set anew."""
    await store.put("n", objective("w"))
    (claimed,) = await store.claim(NOON_US)
    assert await store.claim(NOON_US + 1) == []
    state = objective("w")
    state.burning = True
    await store.set_state(claimed, state, NOON_US)
    (again,) = await store.claim(NOON_US + STATE_US + 1)
    assert again.burning
    await store.put("n", objective("w", 90))
    await store.set_state(again, state, NOON_US + STATE_US + 1)
    (anew,) = await store.claim(NOON_US + STATE_US + 2)
    assert pb.Slo.FromString(anew.body).target == 90
