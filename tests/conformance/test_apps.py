"""Real configurations of applications, with addresses and databases of this machine."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import yaml

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.document.overlay import Overlay
from flowmesh.apps.offline.calling import request_of
from flowmesh.apps.offline.checking import check, silent_log
from flowmesh.apps.offline.testing import run_tests
from flowmesh.apps.runtime.application import Application
from flowmesh.apps.runtime.links import LINK_INBOX, Peers
from flowmesh.testing.polling import pause

FILES = sorted((Path(__file__).parent / "apps").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_real_configuration_answers_its_recorded_requests(
    file: Path,
    conformance_data: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """It starts unchanged, apart from what its file maps, and each answer is the recorded one."""
    folder = tmp_path / "configs"
    shutil.copytree(conformance_data / "app-configs", folder)
    results = await run_tests(file, Loading(environment={}), folder=folder)
    assert [each for each in results if each.failure] == []
    record_property("conformance", f"{file.stem}: {len(results)} tests passed")


# They provision infrastructure and build web pages, by types that are none of the 68.
FOREIGN = {
    "platform-deploy-from-template.yaml": "platform provisions infrastructure",
    "platform-microservice-template.yaml": "platform provisions infrastructure",
    "ui-build-and-serve.yaml": "step.build builds web pages",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_configuration_of_foreign_types_is_refused_with_type_and_line(
    name: str, conformance_data: Path
) -> None:
    """The only errors name the foreign types, so no requests of it can be recorded."""
    found = check(conformance_data / "app-configs" / name, Loading(environment={})).problems
    errors = [each for each in found if not each.warning]
    assert errors
    assert {each.code for each in errors} == {"MODULE_TYPE_UNKNOWN"}
    assert all(each.line > 0 and FOREIGN[name] in each.message for each in errors), errors


LINKED = ("orders", "fulfillment", "notifications")


async def test_the_links_of_the_real_configurations_join_them(
    conformance_data: Path, tmp_path: Path
) -> None:
    """The file of links joins the three workflows: an order of the first one becomes a shipment."""
    source = conformance_data / "app-configs" / "multi-workflow-ecommerce"
    documents = [load(source / "cross-workflow-links.yaml", Loading(environment={}))]
    for letter, name in zip("abc", LINKED, strict=True):
        path = tmp_path / f"workflow-{letter}-{name}.yaml"
        shutil.copy(source / f"workflow-{letter}-{name}-with-branching.yaml", path)
        raw = yaml.safe_load((FILES[0].parent / f"{name}-with-branching.yaml").read_text())
        overlay = Overlay(settings=raw["settings"], modules=raw["modules"])
        environment = dict.fromkeys(("SLACK", "OPS", "WAREHOUSE"), "http://127.0.0.1:9")
        documents.append(load(path, Loading(environment=environment, overlay=overlay)))
    running: dict[str, Application] = {}
    peers = Peers.of(documents, lambda name: running[name].built.registry.get(LINK_INBOX))
    for document in documents:
        log = silent_log(document.name)
        running[document.name] = Application(document, log=log, peers=peers)
    for application in running.values():
        await application.start(listen=False)
    order = {"id": "o-1", "items": [1], "total": 9, "priority": "bulk", "available": True}
    body = orjson.dumps({**order, "shipping": {"region": "domestic"}})
    first = running["workflow-a-orders"]
    answer = await first.call(request_of("POST", "/api/orders", (), body))
    assert answer.status == 200, answer.body
    async with asyncio.timeout(20):
        asked = request_of("GET", "/shipments/instances/o-1")
        while (await running["workflow-b-fulfillment"].call(asked)).status != 200:
            await pause(0.02)
    for application in running.values():
        await application.stop()
