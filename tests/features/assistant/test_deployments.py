"""Drafts go live by a second call, with the permission of that call."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yaml

from flowmesh.contract.json_value import Json
from tests.features.assistant.models import Models, Use, serving_models
from tests.features.assistant.test_providers import BAD, GOOD
from tests.features.closed import Caller, Closed, closed_suite

APP = """\
name: greeter
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: routes, type: http.router}
- name: greet
  type: http.handler
  config: {path: /hello, method: GET, contentType: text/plain, body: hello}
"""
BAD_APP = APP.replace("http.handler", "http.handlr")


@pytest.fixture(scope="module")
async def models() -> AsyncIterator[Models]:
    async with serving_models() as serving:
        yield serving


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory, models: Models) -> AsyncIterator[Closed]:
    """A closed suite whose administrator named a model service."""
    async with closed_suite(
        tmp_path_factory.mktemp("drafted"),
        FLOWMESH_AI_PROVIDERS="claude",
        FLOWMESH_AI_CLAUDE_URL=models.url,
        FLOWMESH_APP_ISOLATION="none",
    ) as running:
        yield running


async def team(closed: Closed, slug: str) -> tuple[Caller, Caller]:
    """Return a viewer and an editor of a new project."""
    project = await closed.project(slug)
    return await closed.key(project.id, "viewer"), await closed.key(project.id, "editor")


async def drafted(caller: Caller, **body: Json) -> Any:
    given = {"prompt": "Wait 5 minutes", **body}
    status, draft = await caller.rest("POST", "/api/v1/workflows:generate", given)
    assert status == 200, draft
    return draft


@pytest.mark.feature("S1-123")
async def test_a_draft_is_registered_by_a_second_call(closed: Closed, models: Models) -> None:
    """The first answer is not valid and goes back; a viewer may draft, and only an editor apply."""
    viewer, editor = await team(closed, "registered")
    models.script(
        Use("submit_definition", {"source": BAD}), Use("submit_definition", {"source": GOOD})
    )
    draft = await drafted(viewer)
    assert (draft["valid"], draft["rounds"], draft["provider"]) == (True, 2, "claude")
    assert "TASK_NOT_FOUND" in str(models.requests[-1])
    path = "/api/v1/workflows/drafted"
    assert (await viewer.rest("GET", path))[0] == 404, "a draft is not stored"
    document = yaml.safe_load(draft["source"])
    status, refused = await viewer.rest("POST", "/api/v1/workflows", document)
    assert status == 403, refused
    status, applied = await editor.rest("POST", "/api/v1/workflows", document)
    assert status == 201, applied
    status, started = await editor.rest("POST", f"{path}/start", {"input": {}})
    assert status in (200, 201, 202), started


@pytest.mark.long
@pytest.mark.feature("S1-123")
async def test_a_draft_of_an_application_goes_live(closed: Closed, models: Models) -> None:
    """The document is checked as a release; once deployed, it serves requests."""
    viewer, editor = await team(closed, "deployed")
    models.script(
        Use("submit_definition", {"source": BAD_APP}), Use("submit_definition", {"source": APP})
    )
    body: Json = {"prompt": "Greet at /hello", "app": "greeter"}
    status, refused = await viewer.rest("POST", "/api/v1/workflows:generate", body)
    assert (status, models.requests) == (403, []), "refused before a model is asked"
    draft = await drafted(editor, **body)
    assert (draft["valid"], draft["rounds"], draft["source"]) == (True, 2, APP)
    assert "http.handlr" in str(models.requests[-1])
    path = "/api/v1/apps/greeter"
    assert (await editor.rest("GET", path))[0] == 404, "a draft is not deployed"
    status, refused = await viewer.rest("POST", f"{path}:deploy", {"document": draft["source"]})
    assert status == 403, refused
    status, release = await editor.rest("POST", f"{path}:deploy", {"document": draft["source"]})
    assert (status, release["state"]) == (201, "serving"), release
    _, app = await editor.rest("GET", path)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{app['addresses']['web']}/hello") as answer,
    ):
        assert await answer.text() == "hello"


@pytest.mark.long
@pytest.mark.feature("S1-123")
async def test_a_model_has_five_submissions(closed: Closed, models: Models) -> None:
    """A document with problems is not called valid, and a sixth is not asked for."""
    _, editor = await team(closed, "five")
    drafts = [APP.replace("http.handler", f"http.handler{n}") for n in range(9)]
    models.script(*(Use("submit_definition", {"source": each}) for each in drafts))
    draft = await drafted(editor, prompt="Greet at /hello", app="greeter")
    assert (draft["valid"], draft["rounds"]) == (False, 5)
    assert len(models.requests) == 5
    assert draft["problems"][0]["code"]


async def test_without_a_model_no_application_is_drafted(closed: Closed) -> None:
    """The rules say so, and draft nothing."""
    _, editor = await team(closed, "ruled")
    draft = await drafted(editor, prompt="Greet", app="greeter", provider="offline")
    assert (draft["source"], draft["valid"]) == ("", False)
    assert "model service" in draft["note"]
