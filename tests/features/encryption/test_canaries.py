"""Values of an encrypted project in every sink: the disk, logs, traces and metrics."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from tests.features.closed import Caller
from tests.features.encryption.disk import WITHIN_S, Disk, Project, encrypted_disk
from tests.features.natives import http_task, workflow
from tests.features.security.audited import COMPANY

# The tests look for what the first of them stores.
pytestmark = pytest.mark.long
# One for each way into the suite.
WAYS: Final = (
    "message",
    "delayed",
    "stream",
    "snapshot",
    "projection",
    "published",
    "file",
    "failure",
    "attribute",
    "input",
    "secret",
    "sensitive",
)
CANARY: Final = "canary-{}-5d0c77"
# A port that no server listens on.
NOWHERE: Final = "http://127.0.0.1:9/none"


@pytest.fixture(scope="module")
async def disk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Disk]:
    async with encrypted_disk(tmp_path_factory.mktemp("canaries")) as made:
        yield made


def canary(way: str, project: Project) -> str:
    return CANARY.format(f"{way}-{project.namespace}")


async def sent(project: Project, method: str, path: str, body: Json = None) -> Any:
    """Send a request of the project's admin, which succeeds."""
    headers = {"flowmesh_namespace": project.namespace}
    status, answer = await project.admin.rest(method, f"/api/v1{path}", body, **headers)
    assert status < 300, (path, answer)
    return answer


async def upload(caller: Caller, path: str, text: str) -> None:
    headers = {"authorization": f"Bearer {caller.credential}", "content-type": "text/plain"}
    url = f"{caller.suite.http_url}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.put(url, data=text.encode(), headers=headers) as answer,
    ):
        assert answer.status < 300, await answer.text()


async def fill(project: Project) -> None:
    """Pass a canary through each way."""
    marked = {way: {"value": canary(way, project)} for way in WAYS}
    await sent(project, "PUT", "/message-queues/q", {})
    messages: list[Json] = [
        {"body": marked["message"]},
        {"body": marked["delayed"], "delayMs": 3_600_000},
    ]
    await sent(project, "POST", "/message-queues/q:publish", {"messages": messages})
    event = {"type": "Made", "data": marked["stream"]}
    await sent(project, "POST", "/streams/s/events", {"events": [event]})
    await sent(project, "PUT", "/streams/s/snapshot", {"version": 1, "state": marked["snapshot"]})
    await sent(project, "PUT", "/projections/p", {})
    hook = {"types": ["made"], "webhook": {"url": NOWHERE}}
    await sent(project, "PUT", "/subscriptions/nowhere", hook)
    reacts = workflow(
        "reacts",
        {"id": "waits", "wait": {"event": "never"}},
        triggers=[{"id": "made", "event": {"type": "made"}}],
    )
    await sent(project, "POST", "/workflows", reacts)
    await fail(project)
    published = {"type": "made", "data": marked["published"]}
    await sent(project, "POST", "/events", published)
    await upload(
        project.admin, f"/api/v1/projects/{project.id}/files/a.txt", canary("file", project)
    )


async def fail(project: Project) -> None:
    """Start an execution with search values that fails; the failure names the host."""
    called = http_task("called", "http://{{input.host}}.invalid/?key={{secrets.key}}")
    await sent(
        project, "PUT", f"/projects/{project.id}/secrets/key", {"value": canary("secret", project)}
    )
    fails = workflow(
        "fails",
        {
            "id": "called",
            "taskRef": "called",
            "input": {"host": "{{input.host}}"},
            "retry": {"maxAttempts": 1},
        },
        inputSchema={
            "properties": {
                **{name: {"type": "string"} for name in ("host", "attribute", "searched")},
                "amount": {"type": "number"},
                "card": {"type": "string", "x-sensitive": True},
            }
        },
        searchAttributes={"card": {"type": "text", "from": "{{input.attribute}}"}},
        searchable=["input.searched", "input.amount"],
    )
    for each in (called, fails):
        await sent(project, "POST", "/workflows", each)
    given: Json = {
        "host": canary("failure", project),
        "card": canary("sensitive", project),
        "attribute": canary("attribute", project),
        "searched": canary("input", project),
        "amount": 12.5,
    }
    headers = {"flowmesh_namespace": project.namespace}
    body = {"input": given}
    await project.admin.rest("POST", "/api/v1/workflows/fails/execute", body, **headers)


async def found(project: Project, text: str) -> tuple[int, Any]:
    """Return the status and the executions that match a filter, or the error."""
    headers = {"flowmesh_namespace": project.namespace}
    path = f"/api/v1/executions?filter={quote(text)}"
    status, answer = await project.admin.rest("GET", path, **headers)
    return status, answer.get("executions", answer)


async def read(project: Project) -> str:
    """Return what readers get through each way out."""
    found = [
        await sent(project, "GET", "/message-queues/q/messages"),
        await sent(project, "GET", "/streams/s/events"),
        await sent(project, "GET", "/streams/s:load"),
        await sent(project, "POST", "/message-queues/q:receive", {"count": 1, "waitMs": 5_000}),
        await project.admin.text(f"/api/v1/projects/{project.id}/files/a.txt"),
    ]
    return json.dumps(found)


@pytest.mark.feature("S5-03")
async def test_no_sink_holds_a_value_of_an_encrypted_project(disk: Disk) -> None:
    """Files of PostgreSQL, NATS and Redis, logs, the audit log and metrics; readers get all."""
    for project in (disk.sealed, disk.plain):
        await fill(project)
        shown = await read(project)
        for way in ("message", "stream", "snapshot", "file"):
            text = canary(way, project)
            encoded = base64.b64encode(json.dumps({"value": text}).encode()).decode()
            assert text in shown or encoded in shown, (way, shown)
    sealed = [canary(way, disk.sealed) for way in WAYS]
    plain = [canary(way, disk.plain) for way in WAYS]

    async def written() -> bool:
        await disk.sql("checkpoint")
        held = {each for texts in disk.found(*plain).values() for each in texts}
        return {canary(w, disk.plain) for w in ("message", "stream", "file", "published")} <= held

    await until("the values of the plain project are on the disk", written, within_s=WITHIN_S)
    assert disk.found(*sealed) == {}
    exported = await disk.closed.owner.text(f"/api/v1/audit:export?companyId={COMPANY}")
    assert "SecretService.PutSecret" in exported
    for text in (exported, await disk.closed.owner.text("/metrics")):
        assert not [each for each in sealed if each in text]


async def test_no_span_holds_a_value_of_an_encrypted_project(disk: Disk) -> None:
    """Names, attributes, events and errors of spans, also those of the task that failed."""
    await fill(disk.sealed)

    async def traced() -> bool:
        """Return whether the spans of the execution that fails have arrived."""
        fails = [span for span in disk.traces.spans if "fails" in str(span)]
        names = {each.name for each in disk.traces.spans if each.trace_id in _traces(fails)}
        return {"execution", "task http.request"} <= names

    await until("the spans have arrived", traced, within_s=WITHIN_S)
    for span in disk.traces.spans:
        text = str(span)
        assert not [way for way in WAYS if canary(way, disk.sealed) in text], text


def _traces(spans: list[Any]) -> set[bytes]:
    return {span.trace_id for span in spans}


async def test_sealed_search_values_are_found_by_equality_only(disk: Disk) -> None:
    """Lists show the failure; ranges, prefixes, words and orders are refused."""
    for project in (disk.sealed, disk.plain):
        for text in (
            f'attr.card = "{canary("attribute", project)}"',
            f'input.searched IN ("{canary("input", project)}", "x")',
            "input.amount = 12.5",
        ):
            status, executions = await found(project, text)
            # Another test has filled the project, too.
            assert status == 200, executions
            assert executions, text
            assert canary("failure", project) in json.dumps(executions)
    for project, shown in ((disk.sealed, set()), (disk.plain, {"attr.card", "input.amount"})):
        query = f"/executions?include=search&filter={quote('input.amount = 12.5')}"
        status, body = await project.admin.rest(
            "GET", f"/api/v1{query}", flowmesh_namespace=project.namespace
        )
        assert status == 200, body
        assert body["executions"], project.namespace
        for each in body["executions"]:
            assert {"attr.card", "input.amount"} & set(each.get("search", ())) == shown
    for text in ("input.amount > 1", 'attr.card ^= "canary"', 'error ~ "connection"'):
        assert (await found(disk.plain, text))[0] == 200
        status, refused = await found(disk.sealed, text)
        assert (status, refused["error"]["reason"]) == (400, "FILTER_INVALID"), refused
