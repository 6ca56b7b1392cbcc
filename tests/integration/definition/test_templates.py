"""Templates on a real database."""

from typing import Any

import asyncpg
import pytest

from flowmesh.api.definition.v1 import template_service_pb2 as pb
from flowmesh.definition.api.template_server import TemplateServer
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.storage.records import NO_AUTHOR
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.templates import Templates
from flowmesh.definitions import TEMPLATE_LABEL
from flowmesh.errors import Conflict
from tests.integration.definition.sources import YAML, documents, steps, workflow

NS = "default"


def template(name: str, ref: str = "noop") -> dict[str, object]:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": name},
        "spec": {"resources": [workflow("${{ name }}", ref)]},
    }


@pytest.fixture
def templates(pool: "asyncpg.Pool[asyncpg.Record]", catalog: DefinitionCatalog) -> Templates:
    return Templates(store=DefinitionStore(pool), catalog=catalog)


async def test_a_repeated_instantiation_returns_the_first_answer(
    catalog: DefinitionCatalog, templates: Templates
) -> None:
    """The first answer is returned after a change or deletion of the template."""

    async def make(target: str = "w", parameters: bytes = b"") -> object:
        return await templates.instantiate(
            NS, "t", 0, target, parameters, NO_AUTHOR, "r1", dry_run=False
        )

    await catalog.apply(NS, documents(template("t")), YAML, "")
    made = await make()
    await catalog.apply(NS, documents(template("t", "delay")), YAML, "")
    assert await make() == made
    await templates.delete(NS, "t", NO_AUTHOR, "")
    assert await make() == made
    for other in (make("w2"), make(parameters=b'{"n": 1}')):
        with pytest.raises(Conflict) as reused:
            await other
        assert reused.value.reason == "REQUEST_ID_REUSED"


async def test_workflows_of_more_templates_than_are_listed_are_counted(
    catalog: DefinitionCatalog,
    pool: "asyncpg.Pool[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the most used templates are listed."""
    monkeypatch.setattr("flowmesh.definition.limits.TEMPLATES_COUNTED_MAX", 2)
    for name, made_of in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "z"), ("e", "")):
        labels = {TEMPLATE_LABEL: made_of} if made_of else {}
        await catalog.apply(NS, steps(name, "s", labels=labels), "", "")
    server = TemplateServer(templates=Templates(store=DefinitionStore(pool), catalog=catalog))
    context: Any = None
    stats = await server.GetTemplateStats(pb.GetTemplateStatsRequest(), context)
    assert (stats.workflow_count, stats.from_template_count) == (5, 4)
    assert [(each.name, each.workflow_count) for each in stats.templates] == [("x", 2), ("y", 1)]
