"""A text is compiled once, and again when something changed that its outcome depends on."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.checks import checking, compiled
from flowmesh.definition.storage.caching import Cache, CacheMetrics
from flowmesh.definitions import errors_in
from flowmesh.telemetry import Metrics
from tests.integration.definition.sources import JSON, YAML, documents, steps, task, workflow

NS = "default"
STAGES = (
    (compiled, "read_source"),
    (compiled, "load_workflow"),
    (compiled, "analyse"),
    (checking, "check"),
    (checking, "lint"),
    (checking, "plan_in"),
)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that really ran, in order."""
    ran: list[str] = []

    def noted(name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            ran.append(name)
            return stage(*arguments, **named)

        return run

    for module, name in STAGES:
        monkeypatch.setattr(module, name, noted(name, getattr(module, name)))
    return ran


def taking(name: str, kind: str | list[str]) -> dict[str, Any]:
    """A task with one input of a type."""
    return task(name, inputSchema={"type": "object", "properties": {"x": {"type": kind}}})


def giving(name: str, text: str, ref: str = "") -> bytes:
    """A workflow that gives a task that input."""
    node = {"id": "a", "taskRef": ref or name, "input": {"x": text}}
    return documents(workflow("w") | {"spec": {"tasks": [node]}})


async def codes(catalog: DefinitionCatalog, source: bytes, namespace: str = NS) -> list[str]:
    checked = await catalog.validate(namespace, source, YAML)
    return [problem.code for problem in errors_in(checked.problems)]


async def test_the_second_time_compiles_nothing(
    catalog: DefinitionCatalog, compilations: list[str]
) -> None:
    """Whether a text is validated, linted, applied, planned or analysed."""
    source = steps("w", "a", "b")
    applied = []
    for _ in range(2):
        await catalog.validate(NS, source, JSON, linted=True)
        (resource,), _ = await catalog.apply(NS, source, JSON, "", one_workflow=True)
        applied.append((resource.version, resource.created))
        plan = await catalog.plan_of(NS, source, JSON, "")
        assert [node.id for node in plan.nodes] == ["a", "b"]
        await catalog.analysis(NS, "w", 0, 3, {"a": 7})
    assert applied == [(1, True), (1, False)]
    assert compilations == ["read_source", "check", "lint", "analyse", "plan_in", "analyse"]


async def test_what_was_registered_is_planned_without_loading_it(
    catalog: DefinitionCatalog, other_catalog: DefinitionCatalog, compilations: list[str]
) -> None:
    """For the first start; a service that knows of it only what is stored loads it, once."""
    await catalog.apply(NS, steps("w", "a", "b"), JSON, "")
    plan = await catalog.plan(NS, "w", 0)
    assert "load_workflow" not in compilations
    assert await other_catalog.plan(NS, "w", 0) == plan
    assert compilations.count("load_workflow") == 1


async def test_what_a_text_refers_to_is_looked_at_every_time(catalog: DefinitionCatalog) -> None:
    """A task that is there, another one, made private, as it was, and gone."""
    source = giving("take", "abc")
    assert await codes(catalog, source) == ["TASK_NOT_FOUND"]
    await catalog.apply(NS, documents(taking("take", "string")), YAML, "")
    assert await codes(catalog, source) == []
    await catalog.apply(NS, documents(taking("take", "integer")), YAML, "")
    assert await codes(catalog, source) == ["TYPE_MISMATCH"]
    private = taking("take", "string")
    private["spec"]["visibility"] = "private"
    await catalog.apply(NS, documents(private), YAML, "")
    assert await codes(catalog, source) == ["TASK_NOT_FOUND"]
    await catalog.apply(NS, documents(taking("take", "string")), YAML, "")
    assert await codes(catalog, source) == []
    await catalog.delete_task(NS, "take", "")
    assert await codes(catalog, source) == ["TASK_NOT_FOUND"]


async def test_a_dry_run_has_the_tasks_of_now(catalog: DefinitionCatalog) -> None:
    """Its plan is another one when a task is."""
    source = giving("take", "abc")
    kinds: list[str | list[str]] = ["string", ["string", "null"]]
    plans = set()
    for kind in kinds:
        await catalog.apply(NS, documents(taking("take", kind)), YAML, "")
        plan = await catalog.plan_of(NS, source, YAML, "")
        plans.add(plan.digest)
    assert len(plans) == len(kinds)


async def test_a_pinned_task_stays_what_it_is(
    catalog: DefinitionCatalog, compilations: list[str]
) -> None:
    """Another version of it changes nothing for who names the version."""
    await catalog.apply(NS, documents(taking("take", "string")), YAML, "")
    source = giving("take", "abc", "take@1")
    assert await codes(catalog, source) == []
    await catalog.apply(NS, documents(taking("take", "integer")), YAML, "")
    compilations.clear()
    assert await codes(catalog, source) == []
    assert compilations == []


async def test_a_namespace_has_its_own_tasks(catalog: DefinitionCatalog) -> None:
    """The same text means something else there."""
    await catalog.apply(NS, documents(taking("take", "string")), YAML, "")
    source = giving("take", "abc")
    assert await codes(catalog, source) == []
    assert await codes(catalog, source, "other") == ["TASK_NOT_FOUND"]


async def test_a_text_is_compiled_once_for_all_who_send_it_at_once(
    catalog: DefinitionCatalog, compilations: list[str]
) -> None:
    """One works, the others wait for it; one that goes away takes nothing from them."""
    source = steps("w", *(f"s{number}" for number in range(200)))
    waiting = [asyncio.create_task(catalog.validate(NS, source, JSON)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    found = await asyncio.gather(*waiting[1:])
    assert {checked.problems for checked in found} == {()}
    assert sorted(compilations) == ["check", "read_source"]


async def test_a_text_reads_as_what_it_is_sent_as(catalog: DefinitionCatalog) -> None:
    """What is wrong as JSON may be right as YAML."""
    source = b"{id: w, steps: [{id: a}]}"
    for _ in range(2):
        assert errors_in((await catalog.validate(NS, source, JSON)).problems)
        assert not errors_in((await catalog.validate(NS, source, YAML)).problems)


async def test_what_is_kept_is_bounded_by_count_and_by_bytes() -> None:
    """What was used longest ago goes first; what alone is too large is never kept."""
    cache: Cache[str, str] = Cache("test", CacheMetrics(Metrics()), count_max=3, bytes_max=10)

    async def made(key: str, size: int) -> bool:
        ran: list[str] = []

        def make() -> str:
            ran.append(key)
            return key

        assert await cache.get_or_make(key, make, lambda _: size) == key
        return bool(ran)

    for key in "abc":
        assert await made(key, 1)
    assert not await made("a", 1)
    assert await made("d", 1)
    assert [await made(key, 1) for key in "acd"] == [False, False, False]
    assert await made("e", 8)
    assert [await made(key, 1) for key in "ed"] == [False, False]
    assert await made("f", 11)
    assert await made("f", 11)
    assert not await made("e", 8)
