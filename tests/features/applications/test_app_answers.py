"""Answers of applications say what has happened: triggers, machines, handlers and runs."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.features.applications.test_app_parts import app_of, delegate
from tests.features.apps import RunningApp, running, written

APP = """
name: answers
modules:
  - {name: web, type: http.server, config: {address: ":0"}}
  - {name: routes, type: http.router}
  - {name: idle, type: http.handler, config: {contentType: application/json}}
  - {name: own, type: http.handler, config: {path: /own, method: GET}}
  - {name: fixed, type: http.handler, config: {body: {ok: true}}}
  - {name: engine, type: statemachine.engine}
workflows:
  http:
    routes:
      - {method: GET, path: /idle, handler: idle}
      - {method: GET, path: /fixed, handler: fixed}
      - {method: POST, path: /starts, handler: idle}
  statemachine:
    engine: engine
    definitions:
      - name: door
        initialState: shut
        states: {shut: {}, open: {}, broken: {isFinal: true}}
        transitions:
          unlock: {fromState: shut, toState: open}
          smash: {fromState: open, toState: broken}
triggers:
  http:
    routes:
      - {method: POST, path: "/doors/{instanceId}/unlock", workflow: door, action: unlock}
      - {method: POST, path: "/doors/{instanceId}/smash", workflow: door, action: smash}
      - {method: POST, path: "/doors/{instanceId}/paint", workflow: door, action: paint}
      - {method: POST, path: /starts, workflow: door, action: unlock}
pipelines:
  payments:
    trigger: {type: http, config: {path: "/hooks/{source}", method: POST}}
    steps:
      - {name: check, type: step.validate, config: {required_fields: [type, data.id]}}
      - name: extract
        type: step.set
        config: {values: {event: "{{ .type }}", payment: "{{ .data.id }}"}}
      - name: branch
        type: step.conditional
        config: {field: event, routes: {paid: paid, failed: failed}, default: unknown}
      - {name: paid, type: step.json_response, config: {body: {branch: paid, id: "{{ .payment }}"}}}
      - {name: failed, type: step.json_response, config: {body: {branch: failed}}}
      - {name: unknown, type: step.json_response, config: {body: {branch: unknown}}}
  seen:
    trigger: {type: http, config: {path: "/seen/{id}", method: POST}}
    steps:
      - name: inner
        type: step.pipeline
        config: {name: about}
      - name: done
        type: step.json_response
        config:
          body:
            id: "{{ .id }}"
            path: "{{ .path }}"
            method: "{{ .method }}"
            query: "{{ .query.q }}"
            agent: "{{ .headers.x-agent }}"
            secret: "{{ .headers.authorization }}"
            body: "{{ .body }}"
            run: "{{ .meta.runId }}"
            started: "{{ .meta.started_at }}"
            inner: "{{ .steps.inner }}"
  about:
    steps:
      - {name: tell, type: step.set, config: {values: {run: "{{ .meta.runId }}"}}}
  data:
    trigger: {type: http, config: {path: /data, method: POST}}
    steps:
      - {name: add, type: step.set, config: {values: {sum: 3}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApp]:
    async with running(written(tmp_path_factory.mktemp("answers"), APP)) as found:
        yield found


@pytest.mark.feature("S1-153")
@pytest.mark.parametrize(
    ("body", "headers", "answer"),
    [
        ({"type": "paid", "data": {"id": "p-1"}}, {}, {"branch": "paid", "id": "p-1"}),
        ({"type": "failed", "data": {"id": "p-1"}}, {}, {"branch": "failed"}),
        ({"type": "odd", "data": {"id": "p-1"}}, {}, {"branch": "unknown"}),
        (
            b"type=paid&data.id=1",
            {"Content-Type": "application/x-www-form-urlencoded"},
            {"code": "VALIDATION_FAILED"},
        ),
        ({"data": {"id": "p-1"}}, {}, {"code": "VALIDATION_FAILED"}),
        (b"{", {}, {"code": "JSON_INVALID"}),
    ],
)
async def test_a_webhook_takes_the_branch_of_its_body(
    app: RunningApp, body: Any, headers: dict[str, str], answer: dict[str, Any]
) -> None:
    """The fields of the body are the data of a pipeline that HTTP triggers."""
    found = (await app.call("POST", "/hooks/stripe?other=query", body, headers)).body
    assert {key: found[key] for key in answer} == answer


@pytest.mark.feature("S1-153", "S1-90")
async def test_a_triggered_pipeline_has_the_whole_request(app: RunningApp) -> None:
    """Path, query, body and headers are its data, credentials only in the request."""
    headers = {"X-Agent": "a", "Authorization": "Bearer secret"}
    body = {"id": "of-body", "n": 1}
    found = (await app.call("POST", "/seen/7?q=x&id=of-query", body, headers)).body
    run, started, inner = found.pop("run"), found.pop("started"), found.pop("inner")
    assert found == {
        "id": "7",
        "path": "/seen/7",
        "method": "POST",
        "query": "x",
        "agent": "a",
        "secret": None,
        "body": body,
    }
    assert (bool(run), inner["run"]) == (True, run)
    assert abs((datetime.now().astimezone() - datetime.fromisoformat(started)).seconds) < 60
    again = (await app.call("POST", "/seen/7", body)).body["run"]
    assert again != run


async def test_the_answer_of_a_triggered_pipeline_does_not_repeat_its_request(
    app: RunningApp,
) -> None:
    """Without an answer of its own, it answers with its data: no headers, no path."""
    found = (await app.call("POST", "/data", {"a": 1}, {"Cookie": "secret=1"})).body
    assert found == {"a": 1, "sum": 3}


async def test_a_text_is_the_body_of_a_triggered_pipeline(app: RunningApp) -> None:
    """A body of another form than JSON is text."""
    found = await app.call("POST", "/seen/7", b"<a/>", {"Content-Type": "application/xml"})
    assert (found.status, found.body["body"]) == (200, "<a/>")


@pytest.mark.feature("S1-90", "S1-87")
async def test_a_trigger_of_a_machine_answers_what_became_of_its_transition(
    app: RunningApp,
) -> None:
    """202 with the new state, 409 for a refused transition, 404 for what is not there."""
    unknown = await app.call("POST", "/doors/d-1/smash")
    assert (unknown.status, unknown.body["code"]) == (404, "INSTANCE_NOT_FOUND")
    opened = await app.call("POST", "/doors/d-1/unlock")
    assert (opened.status, opened.body["state"]) == (202, "open")
    refused = await app.call("POST", "/doors/d-1/unlock")
    assert (refused.status, refused.body["code"]) == (409, "TRANSITION_REFUSED")
    missing = await app.call("POST", "/doors/d-1/paint")
    assert (missing.status, missing.body["code"]) == (404, "TRANSITION_NOT_FOUND")
    nameless = await app.call("POST", "/doors/%20/unlock", {"instanceId": ""})
    assert nameless.status in (202, 422)
    assert (await app.call("POST", "/doors/d-1/smash")).body["state"] == "broken"


async def test_a_handler_that_does_nothing_answers_501(app: RunningApp) -> None:
    """A check warns of it; behind a trigger it has the answer of the trigger."""
    for path in ("/idle", "/own"):
        found = await app.call("GET", path)
        assert (found.status, found.body["code"]) == (501, "NOT_IMPLEMENTED")
    assert (await app.call("GET", "/fixed")).body == {"ok": True}
    assert (await app.call("POST", "/starts", {"id": "d-2"})).body["state"] == "open"
    assert (await app.call("POST", "/starts", {"id": "d-2"})).status == 409
    warned = [each for each in app.application.findings if "has no body" in each.message]
    assert [each.place for each in warned] == ["workflows.http.routes[0]"]


async def test_the_text_of_a_component_stays_in_the_log(tmp_path: Path) -> None:
    """A caller gets a reference to the record that has the text."""
    source = "def execute(params):\n    raise ValueError('host db-7 password p')\n"
    part = {"name": "part", "type": "dynamic.component", "config": {"source": source}}
    text = app_of(part, routes=[delegate("/part", "part")])
    async with running(written(tmp_path, text)) as app:
        found = await app.call("POST", "/part", {})
        assert (found.status, found.body["code"]) == (502, "COMPONENT_FAILED")
        assert "db-7" not in str(found.body)
        assert "ValueError" not in str(found.body)
        reference = found.body["detail"].rpartition(" ")[2]
        assert "ValueError: host db-7 password p" in app.logged(reference)


async def test_a_module_before_its_router_is_built(tmp_path: Path) -> None:
    """The order of a document decides nothing: no module is left out for a partner to come."""
    text = """
modules:
  - {name: first, type: http.handler, config: {path: /first, method: GET, body: {ok: true}}}
  - {name: routes, type: http.router}
  - {name: web, type: http.server, config: {address: ":0"}}
"""
    async with running(written(tmp_path, text)) as app:
        assert (await app.call("GET", "/first")).body == {"ok": True}
