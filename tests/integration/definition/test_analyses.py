"""Analyses of the graph of a version are stored with it."""

import json

import asyncpg
import pytest

from flowmesh.api.definition.v1.definition_service_pb2 import AnalyzeWorkflowRequest
from flowmesh.definition.api.requests import durations_of
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definitions import analyse, load_workflow
from flowmesh.errors import Invalid
from tests.integration.definition.sources import JSON, steps

NS = "default"


async def test_an_analysis_is_stored_with_its_version_and_served_from_there(
    catalog: DefinitionCatalog,
    pool: "asyncpg.Pool[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is deleted with the version; unchanged content makes no other analysis."""
    for _ in range(2):
        await catalog.apply(NS, steps("w", "a", "b"), JSON, "")

    def fail(*_arguments: object) -> None:
        raise AssertionError("it was analysed again")

    monkeypatch.setattr("flowmesh.definition.checks.compiled.analyse", fail)
    version, analysis = await catalog.analysis(NS, "w", 0, 0, {})
    posted = load_workflow(json.loads(steps("w", "a", "b")))
    assert (version, analysis) == (1, analyse(posted))
    await catalog.delete_workflow(NS, "w", "")
    assert await DefinitionStore(pool).analysis(NS, "w", 1) is None


async def test_other_durations_and_more_paths_are_analysed_anew(catalog: DefinitionCatalog) -> None:
    """The stored analysis has the default parameters."""
    await catalog.apply(NS, steps("w", "a", "b"), JSON, "")
    _, analysis = await catalog.analysis(NS, "w", 0, 0, {"a": 7})
    assert analysis.critical_path_ms == 7
    _, capped = await catalog.analysis(NS, "w", 0, 1, {})
    assert len(capped.paths) == 1


@pytest.mark.parametrize("duration_ms", [-1, 2**63 - 1])
def test_durations_out_of_range_are_rejected(duration_ms: int) -> None:
    """The violation names the node."""
    request = AnalyzeWorkflowRequest(durations_ms={"a": duration_ms})
    with pytest.raises(Invalid) as refused:
        durations_of(request)
    assert [each.field for each in refused.value.violations] == ["durations_ms[a]"]


async def test_an_old_version_is_analysed_on_demand(
    catalog: DefinitionCatalog, pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """It was registered before analyses were stored."""
    await catalog.apply(NS, steps("w", "a"), JSON, "")
    await pool.execute("delete from analyses")
    _, analysis = await catalog.analysis(NS, "w", 0, 0, {})
    assert list(analysis.roots) == ["a"]
