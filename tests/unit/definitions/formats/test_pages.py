"""Maps by pages: their plan, and the problem of each mistake."""

from typing import Any

import pytest

from flowmesh.definitions import compile_source, errors_in, limits
from tests.unit.definitions.factories import documents, node, problems, task, workflow


def found(*tasks: dict[str, Any], tasks_of: tuple[dict[str, Any], ...] = ()) -> str:
    """Return the errors of a workflow as lines: code, place, message."""
    errors = errors_in(problems(documents(*tasks_of, workflow(*tasks))))
    return "\n".join(f"{p.code} {p.place}: {p.message}" for p in errors)


def by_pages(**more: Any) -> dict[str, Any]:
    """Return a map over the pages that the task `t` fetches."""
    pages = {"taskRef": "t", **more.pop("pages", {})}
    tasks = [node("ship", "t", input={"order": "{{item}}"})]
    return {"id": "each", "map": {"pages": pages, "tasks": tasks, **more}}


def test_a_map_by_pages_is_a_task_and_a_map_for_each_page() -> None:
    """The task sees the cursor; the items and the next cursor are where it says."""
    pages = {"items": "data.orders", "next": "data.next-page", "maxPages": 9, "timeout": "3s"}
    tolerate = {"count": 2, "share": 0.5}
    made = by_pages(pages=pages, concurrency=7, results="COUNT", tolerate=tolerate)
    (planned,) = compile_source(documents(task("t"), workflow(made))).nodes
    assert (planned.map.pages_max, planned.map.counted) == (9, True)
    page, items = planned.map.nodes
    assert (page.id, page.input_template, page.timeout_ms) == (
        "each:page",
        b'{"cursor":"{{cursor}}"}',
        3_000,
    )
    assert items.input_template == b'"{{tasks[\\"each:page\\"].output.data.orders}}"'
    assert list(items.map.next_path) == ["data", "next-page"]
    assert (items.map.concurrency, items.map.tolerated_failures, items.map.counted) == (7, 2, True)
    assert items.map.tolerated_share == 0.5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"items": [1]},
            "DEFINITION_INVALID documents[1].tasks[0].map.items: items is the whole list",
        ),
        ({"pages": {"taskRef": "u"}}, "TASK_NOT_FOUND documents[1].tasks[0].map.pages.taskRef"),
        ({"pages": {"next": "a..b"}}, "DEFINITION_INVALID documents[1].tasks[0].map.pages.next"),
        ({"pages": {"maxPages": 0}}, "DEFINITION_INVALID documents[1].tasks[0].map.pages.max"),
        ({"pages": {"size": 1}}, "DEFINITION_INVALID documents[1].tasks[0].map.pages.size"),
        (
            {"pages": {"input": "{{cursr}}"}},
            "TEMPLATE_UNKNOWN_REFERENCE documents[1].tasks[0].map.pages.input",
        ),
        ({"results": "SOME"}, "DEFINITION_INVALID documents[1].tasks[0].map.results"),
    ],
)
def test_problems_of_pages_have_their_place(more: dict[str, Any], message: str) -> None:
    """Each mistake once."""
    assert found(by_pages(**more), tasks_of=(task("t"),)).startswith(message)


def test_the_output_of_a_map_by_pages_is_known() -> None:
    """A list of what its items give, or how many there were."""
    reads = node("sum", "t", input="{{tasks.each.output[0]}}")
    assert found(by_pages(), reads, tasks_of=(task("t"),)) == ""
    counts = node("sum", "t", input="{{tasks.each.output.count}}")
    assert found(by_pages(results="COUNT"), counts, tasks_of=(task("t"),)) == ""
    wrong = node("sum", "t", input="{{tasks.each.output.total}}")
    assert "no field 'total'" in found(by_pages(results="COUNT"), wrong, tasks_of=(task("t"),))


def test_a_map_by_pages_has_so_many_pages_at_most() -> None:
    """A hundred thousand."""
    most = limits.MAP_PAGES_MAX
    assert found(by_pages(pages={"maxPages": most}), tasks_of=(task("t"),)) == ""
    for more in (most + 1, most * 100):
        message = found(by_pages(pages={"maxPages": more}), tasks_of=(task("t"),))
        assert message.startswith("DEFINITION_INVALID documents[1].tasks[0].map.pages.maxPages"), (
            message
        )
