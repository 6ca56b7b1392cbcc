"""A text is compiled once, and again when an input of its compilation has changed."""

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
    """The executed stages, in order."""
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
    """A workflow that passes an output to that input."""
    node = {"id": "a", "taskRef": ref or name, "input": {"x": text}}
    return documents(workflow("w") | {"spec": {"tasks": [node]}})


async def codes(catalog: DefinitionCatalog, source: bytes, namespace: str = NS) -> list[str]:
    checked = await catalog.validate(namespace, source, YAML)
    return [problem.code for problem in errors_in(checked.problems)]


async def test_the_second_time_compiles_nothing(
    catalog: DefinitionCatalog, compilations: list[str]
) -> None:
    """For validation, linting, applying, planning and analyzing."""
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


async def test_a_registered_workflow_is_planned_without_loading_it(
    catalog: DefinitionCatalog, other_catalog: DefinitionCatalog, compilations: list[str]
) -> None:
    """The first plan uses the registered object; another process loads it once."""
    await catalog.apply(NS, steps("w", "a", "b"), JSON, "")
    plan = await catalog.plan(NS, "w", 0)
    assert "load_workflow" not in compilations
    assert await other_catalog.plan(NS, "w", 0) == plan
    assert compilations.count("load_workflow") == 1


async def test_references_of_a_text_are_resolved_every_time(catalog: DefinitionCatalog) -> None:
    """For an added, changed, hidden, restored and deleted task."""
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


async def test_a_dry_run_uses_the_current_tasks(catalog: DefinitionCatalog) -> None:
    """A changed task changes the plan."""
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
    """A new version of the task does not affect it."""
    await catalog.apply(NS, documents(taking("take", "string")), YAML, "")
    source = giving("take", "abc", "take@1")
    assert await codes(catalog, source) == []
    await catalog.apply(NS, documents(taking("take", "integer")), YAML, "")
    compilations.clear()
    assert await codes(catalog, source) == []
    assert compilations == []


async def test_a_namespace_has_its_own_tasks(catalog: DefinitionCatalog) -> None:
    """The same text resolves to other tasks there."""
    await catalog.apply(NS, documents(taking("take", "string")), YAML, "")
    source = giving("take", "abc")
    assert await codes(catalog, source) == []
    assert await codes(catalog, source, "other") == ["TASK_NOT_FOUND"]


async def test_concurrent_requests_compile_a_text_once(
    catalog: DefinitionCatalog, compilations: list[str]
) -> None:
    """Concurrent requests share one compilation; a canceled one does not cancel it."""
    source = steps("w", *(f"s{number}" for number in range(200)))
    waiting = [asyncio.create_task(catalog.validate(NS, source, JSON)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    found = await asyncio.gather(*waiting[1:])
    assert {checked.problems for checked in found} == {()}
    assert sorted(compilations) == ["check", "read_source"]


async def test_a_text_is_read_by_its_content_type(catalog: DefinitionCatalog) -> None:
    """An error as JSON may be valid as YAML."""
    source = b"{id: w, steps: [{id: a}]}"
    for _ in range(2):
        assert errors_in((await catalog.validate(NS, source, JSON)).problems)
        assert not errors_in((await catalog.validate(NS, source, YAML)).problems)


async def test_a_cache_is_bounded_by_count_and_by_bytes() -> None:
    """Least recently used entries are evicted; too large ones are never added."""
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
