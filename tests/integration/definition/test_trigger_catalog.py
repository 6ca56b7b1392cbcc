"""Triggers for the event service, on a real database."""

import asyncpg
import pytest

from flowmesh.api.definition.v1 import trigger_catalog_service_pb2 as pb
from flowmesh.definition import limits
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.trigger_catalog import TriggerCatalogServer
from tests.integration.definition.sources import YAML, documents, workflow


@pytest.mark.long
async def test_a_page_of_large_triggers_ends_before_it_grows_too_large(
    catalog: DefinitionCatalog, pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Of all namespaces, each workflow once."""
    daily = {"id": "t", "cron": {"expression": "@daily", "input": "x" * 1_000_000}}
    names = [("a", "w1"), ("a", "w2"), ("b", "w1"), ("b", "w2")]
    for namespace, name in names:
        source = documents(workflow(name, "noop", triggers=[daily]))
        await catalog.apply(namespace, source, YAML, "")
    server = TriggerCatalogServer(store=DefinitionStore(pool))
    seen, token, pages = [], "", 0
    while token or not pages:
        request = pb.ListWorkflowTriggersRequest(page_token=token)
        page = await server.ListWorkflowTriggers(request, None)
        assert page.ByteSize() <= limits.PAGE_BYTES_MAX
        seen += [(each.namespace, each.workflow_id) for each in page.workflows]
        token = page.next_page_token
        pages += 1
    assert seen == names
    assert pages == 2
