"""Templates on a real database."""

import asyncpg
import pytest

from flowmesh.definition.library import Library
from flowmesh.definition.records import NOBODY
from flowmesh.definition.store import DefinitionStore
from flowmesh.definition.templates import Templates
from flowmesh.errors import Conflict
from tests.integration.definition.sources import YAML, documents, workflow

NS = "default"


def template(name: str, ref: str = "noop") -> dict[str, object]:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": name},
        "spec": {"resources": [workflow("${{ name }}", ref)]},
    }


@pytest.fixture
def templates(pool: "asyncpg.Pool[asyncpg.Record]", library: Library) -> Templates:
    return Templates(store=DefinitionStore(pool), library=library)


async def test_what_is_made_of_a_template_is_answered_again_whatever_became_of_it(
    library: Library, templates: Templates
) -> None:
    """By the request id: as it was made, also when the template is another one now, or gone."""

    async def make(target: str = "w", parameters: bytes = b"") -> object:
        return await templates.instantiate(
            NS, "t", 0, target, parameters, NOBODY, "r1", dry_run=False
        )

    await library.apply(NS, documents(template("t")), YAML, "")
    made = await make()
    await library.apply(NS, documents(template("t", "delay")), YAML, "")
    assert await make() == made
    await templates.delete(NS, "t", NOBODY, "")
    assert await make() == made
    for other in (make("w2"), make(parameters=b'{"n": 1}')):
        with pytest.raises(Conflict) as reused:
            await other
        assert reused.value.reason == "REQUEST_ID_REUSED"
