"""Versions, lists, usages, plans: the catalog on a real database."""

import asyncio
import json

import orjson
import pytest

from flowmesh.bus import Bus
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.errors import Conflict, Invalid, NotFound, WrongState
from tests.integration.definition.conftest import PREFIX
from tests.integration.definition.sources import JSON, YAML, documents, steps, task, workflow

NS = "default"


async def used_by(catalog: DefinitionCatalog, task: str) -> list[str]:
    usages, _ = await catalog.usages(NS, task, 0, size=0, token="")
    return [usage.workflow_id for usage in usages]


async def apply(
    catalog: DefinitionCatalog, source: bytes, *, request_id: str = ""
) -> list[tuple[str, int, bool]]:
    kind = JSON if source.startswith(b"{") else YAML
    applied, _ = await catalog.apply(NS, source, kind, request_id)
    return [(resource.name, resource.version, resource.created) for resource in applied]


async def test_unchanged_content_keeps_its_version_and_changed_content_gets_the_next(
    catalog: DefinitionCatalog,
) -> None:
    """Content is compared independently of the order of keys."""
    assert await apply(catalog, steps("w", "a")) == [("w", 1, True)]
    turned = json.dumps(dict(reversed(json.loads(steps("w", "a")).items()))).encode()
    assert await apply(catalog, turned) == [("w", 1, False)]
    assert await apply(catalog, steps("w", "a", "b")) == [("w", 2, True)]


async def test_a_rollback_is_a_new_version_with_the_digest_of_the_old_one(
    catalog: DefinitionCatalog,
) -> None:
    """The last registered version is the newest, and equal content has an equal digest."""
    await apply(catalog, steps("w", "a"))
    await apply(catalog, steps("w", "b"))
    assert await apply(catalog, steps("w", "a")) == [("w", 3, True)]
    first, third = [await catalog.workflow(NS, "w", version) for version in (1, 0)]
    assert first.digest == third.digest
    assert third.version == 3


async def test_a_definition_comes_back_as_it_was_posted(catalog: DefinitionCatalog) -> None:
    """With unknown members and the order of keys."""
    posted = {"steps": [{"zeta": 1, "id": "a", "ui": {"x": 1.5}}], "id": "w", "extra": [None]}
    await apply(catalog, json.dumps(posted).encode())
    found = await catalog.workflow(NS, "w", 0)
    assert found.definition == orjson.dumps(posted)


async def test_numbers_are_not_used_again_after_a_deletion(catalog: DefinitionCatalog) -> None:
    """A deleted name is not found; registered again, it gets the next number."""
    await apply(catalog, steps("w", "a"))
    await catalog.delete_workflow(NS, "w", "")
    with pytest.raises(NotFound) as gone:
        await catalog.workflow(NS, "w", 0)
    assert gone.value.reason == "WORKFLOW_NOT_FOUND"
    with pytest.raises(NotFound):
        await catalog.delete_workflow(NS, "w", "")
    assert await apply(catalog, steps("w", "a")) == [("w", 2, True)]
    with pytest.raises(NotFound):
        await catalog.workflow(NS, "w", 1)


async def test_concurrent_registrations_of_one_name_get_numbers_without_gap(
    catalog: DefinitionCatalog,
) -> None:
    """Twenty concurrent registrations get 1 to 20, each once."""
    applied = await asyncio.gather(
        *(apply(catalog, steps("w", f"step-{number}")) for number in range(20))
    )
    assert sorted(version for ((_, version, _),) in applied) == list(range(1, 21))


async def test_concurrent_registrations_of_the_same_content_make_one_version(
    catalog: DefinitionCatalog,
) -> None:
    """One of them creates the version, the others return it."""
    applied = await asyncio.gather(*(apply(catalog, steps("w", "a")) for _ in range(10)))
    assert {version for ((_, version, _),) in applied} == {1}
    assert sum(created for ((_, _, created),) in applied) == 1


async def test_concurrent_applies_of_overlapping_sources_do_not_deadlock(
    catalog: DefinitionCatalog,
) -> None:
    """Names are locked in one order, independent of the source."""
    one = [task(name, timeout="1s") for name in "abcd"]
    other = [task(name, timeout="2s") for name in "dcba"]
    await asyncio.gather(*(apply(catalog, documents(*resources)) for resources in (one, other) * 5))
    page, _ = await catalog.tasks(NS, shared=False, size=0, token="")
    assert [found.name for found in page] == ["a", "b", "c", "d"]


async def test_an_apply_with_one_bad_resource_stores_nothing(catalog: DefinitionCatalog) -> None:
    """An apply is atomic."""
    with pytest.raises(Invalid):
        await apply(catalog, documents(task("good"), workflow("w", "good", "missing")))
    with pytest.raises(NotFound):
        await catalog.task(NS, "good", 0)


async def test_a_repeated_request_id_returns_the_first_answer(catalog: DefinitionCatalog) -> None:
    """With the first answer, including `created`; other content with the id is rejected."""
    source = steps("w", "a")
    assert await apply(catalog, source, request_id="r1") == [("w", 1, True)]
    assert await apply(catalog, source, request_id="r1") == [("w", 1, True)]
    with pytest.raises(Conflict) as reused:
        await apply(catalog, steps("w", "b"), request_id="r1")
    assert reused.value.reason == "REQUEST_ID_REUSED"
    await catalog.delete_workflow(NS, "w", "r2")
    await catalog.delete_workflow(NS, "w", "r2")


async def test_lists_page_to_their_end_without_gap_or_repeat(catalog: DefinitionCatalog) -> None:
    """By id; the last page has no token."""
    for number in range(7):
        await apply(catalog, steps(f"w{number}", "a"))
    names, token, pages = [], "", 0
    while token or not pages:
        page, token = await catalog.workflows(NS, filter_text="", size=3, token=token)
        names += [found.id for found in page]
        pages += 1
    assert names == [f"w{number}" for number in range(7)]
    assert pages == 3


async def test_a_page_ends_before_it_grows_too_large(catalog: DefinitionCatalog) -> None:
    """Three definitions of 1 MiB are two pages of at most 2 MiB."""
    for number in range(3):
        await apply(catalog, steps(f"w{number}", "a", note="x" * 1_000_000))
    page, token = await catalog.workflows(NS, filter_text="", size=10, token="")
    assert len(page) == 2
    page, token = await catalog.workflows(NS, filter_text="", size=10, token=token)
    assert ([found.id for found in page], token) == (["w2"], "")


async def test_filters_select_by_id_and_label(catalog: DefinitionCatalog) -> None:
    """`id:prefix*`, `id:name`, `label.key=value`; all terms must hold."""
    await apply(catalog, steps("order-a", "a", labels={"team": "shop", "tier": "1"}))
    await apply(catalog, steps("order-b", "a", labels={"team": "shop"}))
    await apply(catalog, steps("etl_x", "a"))

    async def ids(text: str) -> list[str]:
        page, _ = await catalog.workflows(NS, filter_text=text, size=0, token="")
        return [found.id for found in page]

    assert await ids("id:order-*") == ["order-a", "order-b"]
    assert await ids("id:order-b") == ["order-b"]
    assert await ids("label.team=shop label.tier=1") == ["order-a"]
    assert await ids("id:o* label.tier=2") == []


@pytest.mark.parametrize("text", ["name=x", "id:", "id:a*b", "label.=x", "id:a id:b", "label.x"])
async def test_a_filter_outside_the_grammar_is_refused(
    catalog: DefinitionCatalog, text: str
) -> None:
    """The violation names the first term that does not match."""
    with pytest.raises(Invalid) as refused:
        await catalog.workflows(NS, filter_text=text, size=0, token="")
    assert refused.value.reason == "FILTER_INVALID"


@pytest.mark.parametrize("token", ["x", "€", "bnVsbA", "W10", "x" * 5000])
async def test_a_foreign_page_token_is_rejected(catalog: DefinitionCatalog, token: str) -> None:
    """A token is valid for its own list only."""
    with pytest.raises(Invalid) as refused:
        await catalog.workflows(NS, filter_text="", size=0, token=token)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_versions_are_listed_newest_first(catalog: DefinitionCatalog) -> None:
    """For an existing name; another one is not found."""
    for step in "abc":
        await apply(catalog, steps("w", step))
    page, token = await catalog.versions(NS, "w", size=2, token="")
    assert [found.version for found in page] == [3, 2]
    page, token = await catalog.versions(NS, "w", size=2, token=token)
    assert ([found.version for found in page], token) == ([1], "")
    with pytest.raises(NotFound):
        await catalog.versions(NS, "other", size=2, token="")


async def test_usages_are_those_of_newest_versions(catalog: DefinitionCatalog) -> None:
    """A task can be deleted if only old versions refer to it."""
    await apply(catalog, documents(task("pay"), workflow("w1", "pay"), workflow("w2", "pay")))
    assert await used_by(catalog, "pay") == ["w1", "w2"]
    with pytest.raises(WrongState) as used:
        await catalog.delete_task(NS, "pay", "")
    assert used.value.reason == "TASK_IN_USE"
    assert "w1, w2" in used.value.message
    await apply(catalog, documents(workflow("w1", "noop")))
    await catalog.delete_workflow(NS, "w2", "")
    await catalog.delete_task(NS, "pay", "")
    with pytest.raises(NotFound) as gone:
        await used_by(catalog, "pay")
    assert gone.value.reason == "TASK_NOT_FOUND"


async def test_a_plan_follows_the_tasks_it_refers_to(catalog: DefinitionCatalog) -> None:
    """A changed retry policy of a shared task is in the next plan of each workflow."""
    await apply(catalog, documents(task("pay"), workflow("w1", "pay"), workflow("w2", "pay")))
    before = await catalog.plan(NS, "w1", 0)
    assert await catalog.plan(NS, "w1", 0) is before
    await apply(catalog, documents(task("pay", retry={"maxAttempts": 9})))
    for name in ("w1", "w2"):
        plan = await catalog.plan(NS, name, 0)
        assert plan.nodes[0].retry.max_attempts == 9
        assert plan.version == 1
    assert (await catalog.plan(NS, "w1", 0)).digest != before.digest


async def test_the_plan_of_an_old_version_with_a_deleted_task_is_rejected(
    catalog: DefinitionCatalog,
) -> None:
    """The plan is rejected with the name of the task."""
    await apply(catalog, documents(task("pay"), workflow("w", "pay")))
    await apply(catalog, documents(workflow("w", "noop")))
    await catalog.delete_task(NS, "pay", "")
    with pytest.raises(NotFound) as gone:
        await catalog.plan(NS, "w", 1)
    assert gone.value.reason == "TASK_NOT_FOUND"
    assert "pay" in gone.value.message


async def test_namespaces_do_not_see_each_other(catalog: DefinitionCatalog) -> None:
    """The same name in another namespace is another workflow."""
    await apply(catalog, steps("w", "a"))
    with pytest.raises(NotFound):
        await catalog.workflow("other", "w", 0)
    applied, _ = await catalog.apply("other", steps("w", "b"), JSON, "")
    assert applied[0].version == 1


async def test_changes_are_published_on_the_bus(catalog: DefinitionCatalog, bus: Bus) -> None:
    """One message with the names; an apply without changes sends none."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: object) -> None:
        heard.put_nowait(message.data)  # type: ignore[attr-defined]

    await bus.subscribe_core(f"{PREFIX}.definitions.changed", hear)
    await bus.flush()
    await apply(catalog, steps("w", "a"))
    await apply(catalog, steps("w", "a"))
    await catalog.delete_workflow(NS, "w", "")
    async with asyncio.timeout(5):
        messages = [json.loads(await heard.get()) for _ in range(2)]
    assert [(each["namespace"], each["names"]) for each in messages] == [(NS, ["w"])] * 2
    assert messages[0]["number"] < messages[1]["number"]
    assert heard.empty()


async def test_a_registration_requires_exactly_one_workflow(catalog: DefinitionCatalog) -> None:
    """RegisterWorkflow requires exactly one workflow."""
    for source in (documents(task("a")), documents(workflow("a", "noop"), workflow("b", "noop"))):
        with pytest.raises(Invalid) as refused:
            await catalog.apply(NS, source, YAML, "", one_workflow=True)
        assert refused.value.reason == "WORKFLOW_INVALID"
