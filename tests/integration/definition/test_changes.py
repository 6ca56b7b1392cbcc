"""Labels, and concurrent changes of tasks, on a real database."""

import asyncio
import json

import asyncpg
import pytest

from flowmesh.bus import Bus
from flowmesh.definition import limits
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.storage.records import Author
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.versions import Versions
from flowmesh.errors import Conflict, FlowmeshError, Invalid, NotFound, WrongState
from tests.integration.definition.conftest import Overtaken, notices_on
from tests.integration.definition.sources import YAML, documents, steps, task, workflow

NS = "default"
ADA = Author("ada", "because")
ROUNDS = 5


@pytest.fixture
def versions(
    pool: "asyncpg.Pool[asyncpg.Record]", catalog: DefinitionCatalog, bus: Bus
) -> Versions:
    return Versions(store=DefinitionStore(pool), catalog=catalog, notices=notices_on(bus))


async def apply(catalog: DefinitionCatalog, *resources: object) -> None:
    await catalog.apply(NS, documents(*resources), YAML, "", ADA)  # type: ignore[arg-type]


async def register(catalog: DefinitionCatalog, *step_ids: str) -> None:
    await catalog.apply(NS, steps("w", *step_ids), "", "", ADA)


async def apply_steps(catalog: DefinitionCatalog, steps_of_it: list[dict[str, object]]) -> None:
    await catalog.apply(NS, json.dumps({"id": "w", "steps": steps_of_it}).encode(), "", "", ADA)


def shape(*kinds: str) -> object:
    return {"type": "object", "required": ["x"], "properties": {"x": {"type": list(kinds)}}}


def flow(name: str) -> dict[str, object]:
    made = workflow(name, "give", "take")
    made["spec"]["tasks"][1]["input"] = {"x": "{{tasks.t0.output.x}}"}
    return made


async def refused(change: object) -> str:
    """Return the reason of a rejection, or an empty text."""
    try:
        await change  # type: ignore[misc]
    except FlowmeshError as error:
        return error.reason
    return ""


async def test_two_valid_changes_cannot_be_invalid_together(
    catalog: DefinitionCatalog,
) -> None:
    """One of them is checked again together with the other, and rejected."""
    for number in range(ROUNDS):
        give, take = task("give", outputSchema=shape("number")), task("take")
        take["spec"]["inputSchema"] = shape("number", "string")
        name = f"w{number}"
        await apply(catalog, give, take, *[flow(f"w{each}") for each in range(number)], flow(name))
        reasons = await asyncio.gather(
            refused(apply(catalog, task("give", outputSchema=shape("string")))),
            refused(apply(catalog, task("take", inputSchema=shape("number")))),
        )
        assert sorted(reasons) == ["", "TYPE_MISMATCH"]


async def test_a_workflow_is_checked_with_a_concurrently_changed_task(
    catalog: DefinitionCatalog,
) -> None:
    """In either order, the second one is rejected or fits."""
    for number in range(ROUNDS):
        await apply(
            catalog,
            task("give", outputSchema=shape("number")),
            task("take", inputSchema=shape("number")),
        )
        reasons = await asyncio.gather(
            refused(apply(catalog, flow(f"w{number}"))),
            refused(apply(catalog, task("give", outputSchema=shape("string")))),
        )
        assert sorted(reasons) == ["", "TYPE_MISMATCH"]
        if not reasons[0]:
            await catalog.delete_workflow(NS, f"w{number}", "", ADA)


async def test_only_unpinned_workflows_are_affected(catalog: DefinitionCatalog) -> None:
    """Pinned workflows and unused versions do not count."""
    await apply(catalog, task("t"), workflow("floats", "t"), workflow("left", "t"))
    await apply(catalog, workflow("pinned", "t@1"), workflow("left", "noop"))
    checked = await catalog.validate(NS, documents(task("t", timeout="5s")), YAML)
    assert [workflow_id for _, workflow_id, _ in checked.affected] == ["floats"]


async def test_a_changed_url_of_a_task_needs_no_recheck(
    catalog: DefinitionCatalog,
) -> None:
    """An existing problem of a workflow does not block the change."""
    await apply(catalog, task("t"), workflow("w", "t"))
    await apply(catalog, task("t", http={"url": "http://elsewhere/"}))
    assert (await catalog.plan(NS, "w", 0)).specs[0].config == (
        b'{"method":"GET","url":"http://elsewhere/"}'
    )


async def test_a_move_that_is_repeated_is_made_once(
    catalog: DefinitionCatalog, versions: Versions
) -> None:
    """A repeated request id returns the first answer; other content with the id is rejected."""
    for step in "abc":
        await register(catalog, step)
    await versions.set_label(NS, "w", "live", "1", ADA, "r1")
    for _ in range(2):
        moved = await versions.set_label(NS, "w", "live", "2", ADA, "r2")
        assert (moved.label.version, moved.previous_version) == (2, 1)
    with pytest.raises(Conflict):
        await versions.set_label(NS, "w", "live", "3", ADA, "r2")
    for _ in range(2):
        moved = await versions.rollback_label(NS, "w", "live", ADA, "r3")
        assert (moved.label.version, moved.previous_version) == (1, 2)
    changes, _ = await versions.changes(NS, "Workflow", "w", label="live", size=0, token="")
    assert [change.details.version for change in changes] == [1, 2, 1]
    assert {change.author for change in changes} == {ADA}


async def test_moves_at_once_are_made_one_by_one(
    catalog: DefinitionCatalog, versions: Versions
) -> None:
    """No move is lost: each starts at the result of another one."""
    for number in range(6):
        await register(catalog, f"s{number}")
    await asyncio.gather(
        *(versions.set_label(NS, "w", "live", str(number), ADA, "") for number in (1, 2, 3))
    )
    changes, _ = await versions.changes(NS, "Workflow", "w", label="live", size=0, token="")
    moves = [(change.details.previous_version, change.details.version) for change in changes]
    assert len(moves) == 3
    assert [before for before, _ in moves] == [*(after for _, after in moves[1:]), 0]


@pytest.mark.long
async def test_labels_are_bounded(catalog: DefinitionCatalog, versions: Versions) -> None:
    """A workflow has a maximum number of labels."""
    await register(catalog, "a")
    for number in range(limits.LABELS_MAX):
        await versions.set_label(NS, "w", f"l{number}", "1", ADA, "")
    with pytest.raises(WrongState) as full:
        await versions.set_label(NS, "w", "one-more", "1", ADA, "")
    assert full.value.reason == "LABELS_FULL"
    await versions.set_label(NS, "w", "l0", "1", ADA, "")


@pytest.mark.long
async def test_concurrent_labels_are_bounded_too(
    catalog: DefinitionCatalog, versions: Versions, overtaken: Overtaken
) -> None:
    """Concurrent new labels cannot exceed the maximum."""
    await register(catalog, "a")
    for number in range(limits.LABELS_MAX - 1):
        await versions.set_label(NS, "w", f"l{number}", "1", ADA, "")
    overtaken.store.first = lambda: versions.set_label(NS, "w", "last", "1", ADA, "")
    with pytest.raises(WrongState) as full:
        await overtaken.versions.set_label(NS, "w", "one-more", "1", ADA, "")
    assert full.value.reason == "LABELS_FULL"
    with pytest.raises(NotFound):
        await versions.rollback_label(NS, "w", "one-more", ADA, "")


async def test_a_label_is_not_set_on_a_recreated_workflow(
    catalog: DefinitionCatalog, overtaken: Overtaken
) -> None:
    """The result is that of a later call."""
    await register(catalog, "a")

    async def make_again() -> None:
        await catalog.delete_workflow(NS, "w", "", ADA)
        await register(catalog, "a")

    overtaken.store.first = make_again
    with pytest.raises(NotFound) as gone:
        await overtaken.versions.set_label(NS, "w", "live", "1", ADA, "")
    assert gone.value.reason == "WORKFLOW_NOT_FOUND"


async def test_labels_are_deleted_with_the_workflow(
    catalog: DefinitionCatalog, versions: Versions
) -> None:
    """A recreated workflow has no labels; recorded changes are kept."""
    await register(catalog, "a")
    await versions.set_label(NS, "w", "live", "1", ADA, "")
    await catalog.delete_workflow(NS, "w", "", ADA)
    await register(catalog, "a")
    assert await versions.labels(NS, "w") == []
    changes, _ = await versions.changes(NS, "Workflow", "w", label="", size=0, token="")
    assert [change.details.action.name for change in changes] == [
        "CREATED",
        "DELETED",
        "LABEL_SET",
        "CREATED",
    ]


async def test_a_large_change_is_truncated_and_marked(
    catalog: DefinitionCatalog, versions: Versions
) -> None:
    """The number of differences and the size of a value are limited."""
    many = limits.DIFFERENCES_KEPT_MAX + 50
    await catalog.apply(NS, steps("w", "a", note=""), "", "", ADA)
    await register(catalog, "a", *(f"s{number}" for number in range(many)))
    changes, _ = await versions.changes(NS, "Workflow", "w", label="", size=1, token="")
    assert len(changes[0].details.differences) == limits.DIFFERENCES_KEPT_MAX
    assert changes[0].details.truncated


async def test_an_unknown_kind_is_rejected(versions: Versions) -> None:
    """The error lists the valid kinds."""
    with pytest.raises(Invalid) as wrong:
        await versions.changes(NS, "Cat", "w", label="", size=0, token="")
    assert "WorkflowTask" in wrong.value.message


@pytest.mark.long
async def test_a_page_of_large_changes_ends_before_it_grows_too_large(
    catalog: DefinitionCatalog, versions: Versions
) -> None:
    """Each change is on one page, and no page is empty."""
    for number in range(4):
        body = {"url": "http://service/", "method": "POST", "body": f"{number}" * 4_000}
        many: list[dict[str, object]] = [
            {"id": f"s{each}", "action": "http.request", "params": body} for each in range(150)
        ]
        await apply_steps(catalog, many)
    seen, token, pages = [], "", 0
    while token or not pages:
        page, token = await versions.changes(NS, "Workflow", "w", label="", size=0, token=token)
        size = sum(len(str(each)) for change in page for each in change.details.differences)
        assert page
        assert size <= limits.PAGE_BYTES_MAX
        seen += [change.details.version for change in page]
        pages += 1
    assert seen == [4, 3, 2, 1]
    assert pages > 1
