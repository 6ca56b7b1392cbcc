"""Projections: commits from a checkpoint, states by key, and rebuilds."""

import pytest

from flowmesh.api.eventstore.v1 import projection_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import Invalid, NotFound, WrongState
from tests.integration.eventstore.made import NAMESPACE, Parts


@pytest.fixture
async def projected(parts: Parts) -> Parts:
    """The projection `p` of all events."""
    assert (await parts.projections.put(NAMESPACE, pb.Projection(projection="p"))).created
    return parts


async def commit(parts: Parts, generation: int, since: int, to: int, *keys: str) -> None:
    states = [pb.ProjectionState(key=key, state=b'{"generation":%d}' % generation) for key in keys]
    request = pb.CommitProjectionRequest(
        projection="p",
        generation=generation,
        from_checkpoint=since,
        to_checkpoint=to,
        states=states,
    )
    await parts.projections.commit(NAMESPACE, request)


async def read(parts: Parts, **options: object) -> pb.ReadProjectionResponse:
    request = pb.ReadProjectionRequest(projection="p", **options)  # type: ignore[arg-type]
    return await parts.projections.read(NAMESPACE, request)


async def test_a_commit_begins_where_the_last_one_ended(projected: Parts) -> None:
    """Another one stores nothing."""
    await commit(projected, 1, 0, 5, "a", "b")
    for generation, since in ((1, 0), (1, 4), (2, 5)):
        with pytest.raises(WrongState, match="no longer at position"):
            await commit(projected, generation, since, 9, "c")
    await commit(projected, 1, 5, 6)
    found = await read(projected)
    assert ([each.key for each in found.states], found.checkpoint) == (["a", "b"], 6)
    with pytest.raises(NotFound):
        await projected.projections.get(NAMESPACE, "q")


async def test_states_are_read_by_key_or_by_pages(projected: Parts) -> None:
    """A key is a text; a page names where the next one begins."""
    await commit(projected, 1, 0, 1, "a", "b", "c")
    found = await read(projected, keys=["c", "x", "a"])
    assert sorted(each.key for each in found.states) == ["a", "c"]
    with pytest.raises(Invalid, match=r"keys\[1\]"):
        await read(projected, keys=["a", ""])
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        page = await read(projected, page_size=2, page_token=token)
        pages.append([each.key for each in page.states])
        token = page.next_page_token
    assert pages == [["a", "b"], ["c"]]


async def test_a_shadow_replaces_the_states_when_it_has_caught_up(projected: Parts) -> None:
    """Until then the former ones are read; no other generation is swapped in."""
    await commit(projected, 1, 0, 5, "a", "b")
    shadow = (await projected.projections.rebuild(NAMESPACE, "p")).shadow_generation
    assert shadow == 2

    def swap(generation: int) -> pb.SwapProjectionRequest:
        return pb.SwapProjectionRequest(projection="p", generation=generation)

    await commit(projected, shadow, 0, 4, "a")
    assert (await read(projected)).checkpoint == 5
    assert (await read(projected, generation=shadow)).checkpoint == 4
    for generation, problem in ((1, "no shadow"), (3, "no shadow"), (shadow, "behind")):
        with pytest.raises(WrongState, match=problem):
            await projected.projections.swap(NAMESPACE, swap(generation))
    await commit(projected, shadow, 4, 5)
    swapped = await projected.projections.swap(NAMESPACE, swap(shadow))
    assert (swapped.generation, swapped.shadow_generation, swapped.checkpoint) == (shadow, 0, 5)
    found = await read(projected)
    assert [(each.key, each.state) for each in found.states] == [("a", b'{"generation":2}')]
    with pytest.raises(WrongState, match="no shadow"):
        await projected.projections.swap(NAMESPACE, swap(shadow))


async def test_a_projection_keeps_its_filter(projected: Parts) -> None:
    """With another one it is refused; a deleted one may have any."""
    chosen = stored_event_pb2.EventFilter(category="a")
    other = pb.Projection(projection="p", filter=chosen)
    assert not (await projected.projections.put(NAMESPACE, pb.Projection(projection="p"))).created
    with pytest.raises(WrongState) as refused:
        await projected.projections.put(NAMESPACE, other)
    assert refused.value.reason == "PROJECTION_DIFFERS"
    await projected.projections.delete(NAMESPACE, "p")
    assert await projected.projections.all(NAMESPACE) == []
    assert (await projected.projections.put(NAMESPACE, other)).projection.filter == chosen
