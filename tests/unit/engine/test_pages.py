"""A map whose items come page by page: a task fetches each, its items run as those of a map."""

from random import Random
from typing import Any

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import Collect, Pause, Resume, map_counts
from flowmesh.engine.state import state as s
from flowmesh.engine.state.pages import CURSOR_BYTES_MAX
from flowmesh.plan import render_input
from tests.unit.engine.factories import Run, json, node, paged, plan

TEMPLATE = plan_pb2.INPUT_MODE_TEMPLATE


def begun(*nodes: dict[str, Any], **fields: Any) -> Run:
    return Run(plan(*nodes, **fields))


def page(run: Run, number: int, items: list[Any], after: Any = None, **more: Any) -> None:
    """Answer the fetch of a page, then provide its items."""
    answer = {"items": items, "next": after, **more}
    run.complete(f"m[{number}]/m:page", orjson.dumps(answer))
    run.serve()


def item(number: int, index: int) -> str:
    return f"m[{number}]/m:items[{index}]/a"


def given(run: Run, node_id: str) -> Any:
    found = run.state.node(node_id)
    assert found is not None
    return orjson.loads(render_input(run.state, found).data)


def output(run: Run) -> Any:
    found = run.state.node("m")
    assert found is not None
    assert found.output is not None
    return orjson.loads(found.output.data)


def test_pages_are_fetched_one_after_the_other_with_the_cursor_of_the_one_before() -> None:
    """The first has none; the output is the list of all items in their order."""
    run = begun(paged("m", node("a"), concurrency=2), node("z", "m"))
    assert given(run, "m[0]/m:page") == {"cursor": None}
    page(run, 0, [1, 2], "p2")
    assert given(run, "m[1]/m:page") == {"cursor": "p2"}
    page(run, 1, [3])
    run.complete(item(0, 1), b'"b"')
    run.complete(item(1, 0), b'"c"')
    run.complete(item(0, 0), b'"a"')
    assert output(run) == ["a", "b", "c"]
    assert run.dispatched == ["z"]
    assert run.state.scopes == {}


def test_the_next_page_is_fetched_when_items_run_low() -> None:
    """Once the items left are at most the concurrency; a third page waits for the first."""
    run = begun(paged("m", node("a"), concurrency=1))
    page(run, 0, [1, 2, 3], "p2")
    assert run.dispatched == [item(0, 0)]
    run.complete(item(0, 0))
    assert set(run.dispatched) == {item(0, 1), "m[1]/m:page"}
    page(run, 1, [4], "p3")
    assert run.state.node("m[2]/m:page") is None
    run.complete(item(0, 1))
    assert run.state.node("m[2]/m:page") is None
    run.complete(item(0, 2))
    assert set(run.dispatched) == {item(1, 0), "m[2]/m:page"}


def test_items_of_two_pages_share_the_concurrency() -> None:
    """The earlier page first."""
    run = begun(paged("m", node("a"), concurrency=2))
    page(run, 0, [1, 2], "p2")
    page(run, 1, [3, 4])
    assert run.dispatched == []
    run.complete(item(0, 1))
    assert run.dispatched == [item(1, 0)]
    run.complete(item(1, 0))
    assert run.dispatched == [item(1, 1)]


def test_an_item_sees_its_position_among_all() -> None:
    """`index` counts over the pages."""
    shows = node("a", input_mode=TEMPLATE, input_template=b'["{{index}}","{{item}}"]')
    run = begun(paged("m", shows, concurrency=4))
    page(run, 0, ["x", "y"], 7)
    page(run, 1, ["z"])
    assert given(run, item(1, 0)) == [2, "z"]


def test_empty_pages_are_passed_over() -> None:
    """Nothing, false and an empty text are no cursor; the last page may be empty."""
    run = begun(paged("m", node("a")))
    page(run, 0, [], {"at": 1})
    page(run, 1, [5], 0)
    run.complete(item(1, 0), b"1")
    page(run, 2, [], "")
    assert output(run) == [1]


def test_a_map_by_pages_has_so_many_pages() -> None:
    """One more fails it."""
    run = begun(paged("m", node("a"), pages_max=1))
    page(run, 0, [1], "more")
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert run.state.failure.message == "m has more than 1 pages, the limit"


def test_a_page_that_cannot_be_fetched_fails_the_map() -> None:
    """After the items in progress have ended."""
    run = begun(paged("m", node("a"), concurrency=2))
    page(run, 0, [1], "p2")
    run.fail("m[1]/m:page")
    assert run.state.status == s.EXECUTION_RUNNING
    run.complete(item(0, 0))
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert run.state.failure.node == "m[1]/m:page"


def test_an_item_that_fails_lets_none_of_either_page_begin() -> None:
    """Those in progress end first."""
    run = begun(paged("m", node("a"), concurrency=2))
    page(run, 0, [1, 2], "p2")
    page(run, 1, [3, 4])
    run.complete(item(0, 1))
    run.fail(item(0, 0))
    assert run.dispatched == []
    run.complete(item(1, 0))
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert run.state.failure.node == item(0, 0)


def test_failures_of_all_pages_are_tolerated_together() -> None:
    """So many, however they lie."""
    run = begun(paged("m", node("a"), concurrency=4, tolerated=1, counted=True))
    page(run, 0, [1, 2], "p2")
    page(run, 1, [3])
    run.fail(item(0, 0))
    run.complete(item(0, 1))
    run.complete(item(1, 0))
    assert output(run) == {"count": 3, "failed": 1}
    run = begun(paged("m", node("a"), concurrency=4, tolerated=1))
    page(run, 0, [1, 2], "p2")
    page(run, 1, [3])
    run.fail(item(0, 0))
    run.fail(item(1, 0))
    run.complete(item(0, 1))
    assert run.state.status == s.EXECUTION_FAILED


def test_a_share_of_all_items_is_tolerated_once_the_last_page_is_there() -> None:
    """Until then the share is unknown, and all failures are tolerated."""
    run = begun(paged("m", node("a"), concurrency=4, tolerated_share=0.5, counted=True))
    page(run, 0, [1, 2], "p2")
    run.fail(item(0, 0))
    run.fail(item(0, 1))
    assert run.state.status == s.EXECUTION_RUNNING
    page(run, 1, [3, 4])
    run.complete(item(1, 0))
    run.complete(item(1, 1))
    assert output(run) == {"count": 4, "failed": 2}


def test_a_share_that_is_too_small_fails_the_map_with_its_last_page() -> None:
    """With the failure of the item that failed first; no item of the last page begins."""
    run = begun(paged("m", node("a"), concurrency=4, tolerated_share=0.5))
    page(run, 0, [1, 2], "p2")
    run.fail(item(0, 0), "ClientError")
    run.fail(item(0, 1))
    assert run.replayed().node("m").map.excused is not None  # type: ignore[union-attr]
    page(run, 1, [3])
    assert run.state.node(item(1, 0)) is None
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "ClientError"


def test_an_item_of_the_last_page_that_is_too_many_fails_the_map() -> None:
    """With its own failure, as in a map of a list."""
    run = begun(paged("m", node("a"), concurrency=1, tolerated_share=0.4))
    page(run, 0, [1], "p2")
    run.fail(item(0, 0), "ClientError")
    page(run, 1, [2, 3])
    run.fail(item(1, 0))
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.node(item(1, 1)) is None
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "ServerError"


@pytest.mark.parametrize("seed", range(60))
def test_a_map_by_pages_tolerates_what_a_map_of_the_same_list_does(seed: int) -> None:
    """With any items per page, any failures, and any order of ends."""
    rng = Random(seed)
    sizes = [rng.randint(0, 4) for _ in range(rng.randint(1, 5))]
    fails = [[rng.random() < 0.4 for _ in range(size)] for size in sizes]
    share, count = rng.choice([0.0, 0.2, 0.5, 0.9]), rng.choice([0, 0, 1, 3])
    how: dict[str, Any] = {"tolerated": count, "tolerated_share": share}
    run = begun(paged("m", node("a"), concurrency=rng.randint(1, 4), **how))
    while run.state.at_workers:
        name = rng.choice(list(run.state.at_workers))
        number = int(name[2 : name.index("]")])
        if name.endswith("page"):
            page(run, number, list(range(sizes[number])), number + 1 < len(sizes))
        elif fails[number][int(name.split("[")[2].split("]")[0])]:
            run.fail(name)
        else:
            run.complete(name)
        run.serve()
    failed, total = sum(map(sum, fails)), sum(sizes)
    tolerated = failed <= max(count, int(share * total))
    assert run.state.status == (s.EXECUTION_COMPLETED if tolerated else s.EXECUTION_FAILED)


def test_a_page_whose_result_was_accepted_is_not_fetched_again() -> None:
    """A new owner continues with its items, and with the cursor of the next page."""
    run = begun(paged("m", node("a"), concurrency=1))
    run.complete("m[0]/m:page", b'{"items":[1,2,3],"next":"p2"}')
    replayed = run.replayed()
    assert replayed.at_workers == {}
    run.serve()
    run.complete(item(0, 0))
    replayed = run.replayed()
    assert sorted(replayed.at_workers) == [item(0, 1), "m[1]/m:page"]
    fetched = replayed.node("m[1]/m:page")
    assert fetched is not None
    assert orjson.loads(render_input(replayed, fetched).data) == {"cursor": "p2"}


def test_items_of_all_pages_are_counted() -> None:
    """All so far, those in progress and those that wait."""
    run = begun(paged("m", node("a"), concurrency=1))
    page(run, 0, [1, 2, 3], "p2")
    assert map_counts(run.state.node("m").map) == (3, 1, 2)  # type: ignore[union-attr,arg-type]
    run.complete(item(0, 0))
    page(run, 1, [4])
    assert map_counts(run.state.node("m").map) == (4, 1, 2)  # type: ignore[union-attr,arg-type]


def test_outputs_too_large_for_one_event_are_collected() -> None:
    """The shell joins the lists of the pages."""
    run = begun(paged("m", node("a")))
    page(run, 0, [1])
    big = orjson.dumps("x" * 300_000)
    run.complete(item(0, 0), big)
    asked = [one.id for one in run.last.asks]
    assert asked == ["m[0]/m:items"]
    run.do(Collect(asked[0], json(b"[1]")))
    assert output(run) == [1]


def test_nothing_is_fetched_while_it_is_paused() -> None:
    """All of it continues after the resume."""
    run = begun(paged("m", node("a"), concurrency=2))
    run.do(Pause())
    page(run, 0, [1, 2], "p2")
    assert run.state.node("m[1]/m:page") is None
    run.do(Resume())
    run.serve()
    assert {item(0, 0), item(0, 1)} <= run.state.at_workers.keys()
    assert "m[1]/m:page" in run.state.at_workers


@pytest.mark.parametrize("times", [1, 100])
def test_a_cursor_is_small(times: int) -> None:
    """A cursor at the limit is accepted, one above it fails the map."""
    fits = "x" * (CURSOR_BYTES_MAX - 2)
    run = begun(paged("m", node("a")))
    page(run, 0, [], fits)
    assert not run.state.ended
    page(run, 1, [], fits * times + "x")
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "ResourceLimit"
    assert run.state.failure.message.startswith("a cursor of m has")
