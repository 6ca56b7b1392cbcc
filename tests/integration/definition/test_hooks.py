"""Webhook URLs are unique in a namespace, on a real database."""

import asyncio

import pytest

from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.errors import Conflict
from tests.integration.definition.sources import YAML, documents, workflow

NS = "default"


def called(name: str, *paths: str) -> dict[str, object]:
    hooks = [{"id": f"h{index}", "webhook": {"path": path}} for index, path in enumerate(paths)]
    return workflow(name, "noop", triggers=hooks)


async def apply(catalog: DefinitionCatalog, *resources: dict[str, object]) -> None:
    await catalog.apply(NS, documents(*resources), YAML, "")


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
async def test_workflows_of_one_source_exchange_their_urls(
    catalog: DefinitionCatalog, first: str, second: str
) -> None:
    """In either order; URLs of other workflows are unaffected."""
    await apply(catalog, called(first, "x", "y"), called(second, "z"), called("c", "taken"))
    await apply(catalog, called(first, "z"), called(second, "x"))
    await apply(catalog, called("d", "y"))
    with pytest.raises(Conflict) as taken:
        await apply(catalog, called(first, "x"), called(second, "taken"))
    assert taken.value.reason == "HOOK_TAKEN"
    with pytest.raises(Conflict):
        await apply(catalog, called(first, "both"), called(second, "both"))


@pytest.mark.long
async def test_concurrent_sources_with_the_same_urls_do_not_deadlock(
    catalog: DefinitionCatalog, other_catalog: DefinitionCatalog
) -> None:
    """One of them gets the URLs, the other an error that names it."""
    wants = [("a", "x"), ("b", "y"), ("c", "y"), ("d", "x")]
    one, other = [called(*want) for want in wants[:2]], [called(*want) for want in wants[2:]]
    for _ in range(10):
        done = await asyncio.gather(
            apply(catalog, *one), apply(other_catalog, *other), return_exceptions=True
        )
        assert [type(each) for each in done if each is not None] == [Conflict], done
        for name, _ in wants:
            await asyncio.gather(catalog.delete_workflow(NS, name, ""), return_exceptions=True)
