"""Owners of definitions: what one system manages, another cannot change."""

import pytest

from flowmesh.access.owners import Owner
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.storage.records import Author
from flowmesh.errors import WrongState
from tests.integration.definition.sources import steps

CLUSTER = Author(owner=Owner("kubernetes/c1/default"))
OTHER = Author(owner=Owner("kubernetes/c2/default"))
PERSON = Author("ann")


async def apply(catalog: DefinitionCatalog, author: Author, source: bytes) -> int:
    (applied,), _ = await catalog.apply("default", source, "", "", author)
    return applied.version


async def test_only_the_owner_changes_what_it_manages(catalog: DefinitionCatalog) -> None:
    """And deletes it; the same content again is accepted from everybody."""
    first, second = steps("w", "a"), steps("w", "a", "b")
    assert await apply(catalog, CLUSTER, first) == 1
    for author in (PERSON, OTHER):
        with pytest.raises(WrongState, match="managed by kubernetes/c1/default") as refused:
            await apply(catalog, author, second)
        assert refused.value.reason == "OWNED_ELSEWHERE"
        with pytest.raises(WrongState, match="managed by"):
            await catalog.delete_workflow("default", "w", "", author)
    assert await apply(catalog, PERSON, first) == 1
    assert await apply(catalog, CLUSTER, second) == 2
    await catalog.delete_workflow("default", "w", "", CLUSTER)
    assert await apply(catalog, PERSON, first) == 3


async def test_a_definition_is_taken_over_on_request(catalog: DefinitionCatalog) -> None:
    """By another system, or by people, who then own it as before there was a system."""
    first, second = steps("w", "a"), steps("w", "a", "b")
    await apply(catalog, PERSON, first)
    assert await apply(catalog, CLUSTER, first) == 1, "what nobody owns is adopted"
    with pytest.raises(WrongState, match="managed by"):
        await apply(catalog, PERSON, second)
    assert await apply(catalog, Author("ann", owner=Owner(take_over=True)), second) == 2
    assert await apply(catalog, PERSON, first) == 3
