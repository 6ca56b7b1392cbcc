"""Hostile input over REST: each gets its documented refusal, and nothing is half-applied."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import yaml

from flowmesh.errors import REASONS
from flowmesh.testing.suite import Response, Suite
from tests.features import store

MIB = 1024 * 1024
JSON, YAML = {"content-type": "application/json"}, {"content-type": "application/yaml"}
DEEP = 100_000
NOBODY = "no-such-thing"
ENVELOPES = (
    "/executions/start",
    "/api/v1/workflows/{name}/start",
    "/api/v1/workflows/{name}/execute",
    "/workflows/{name}/execute",
    "/api/v1/executions/{executionId}:signal",
    "/api/v1/executions/{executionId}:cancel",
    "/api/v1/executions/{executionId}:terminate",
    "/executions/{executionId}/cancel",
)
DEFINITIONS = (
    ("POST", "/workflows"),
    ("POST", "/api/v1/workflows"),
    ("POST", "/api/v1/tasks"),
    ("PUT", f"/api/v1/workflows/{NOBODY}"),
    ("PUT", f"/api/v1/tasks/{NOBODY}"),
)
COUNTS = """
select (select count(*) from orchestrator.executions), (select count(*) from orchestrator.history),
       (select count(*) from definition.workflows), (select count(*) from definition.tasks)"""


@pytest.fixture(autouse=True)
async def nothing_applied(suite: Suite) -> AsyncIterator[None]:
    """What a refusal leaves behind: nothing."""
    async with store.database(suite) as database:
        before = await store.one_row(database, COUNTS)
        yield
        assert tuple(await store.one_row(database, COUNTS)) == tuple(before)


def refused(answer: Response) -> str:
    """The reason of a refusal that is as documented: JSON, known, the status that goes with it."""
    assert 400 <= answer.status < 500, (answer.status, answer.text[:300])
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.json["error"]
    assert set(error) == {"code", "reason", "message", "details"}
    # What a definition refers to and is not there is a problem of the definition.
    statuses = {REASONS[error["reason"]].error.http_status, 400 if error["details"] else 0}
    assert error["code"] == answer.status
    assert answer.status in statuses
    assert "Traceback" not in answer.text
    return str(error["reason"])


def nested(count: int) -> bytes:
    return b'{"context":' + b'{"a":' * count + b"1" + b"}" * count + b"}"


BODIES = {
    b'{"workflowId": ': "JSON_INVALID",
    b'{"reason": "a", "reason": "b"}': "JSON_INVALID",
    b'{"x": NaN}': "JSON_INVALID",
    b"[" * DEEP: "NESTING_TOO_DEEP",
    nested(DEEP): "NESTING_TOO_DEEP",
    b'"text"': "REQUEST_INVALID",
    b'{"colour": "red"}': "REQUEST_INVALID",
    b'{"requestId": [1]}': "REQUEST_INVALID",
    b'{"requestId": "\xff"}': "INVALID_UTF8",
}


@pytest.mark.parametrize("path", ENVELOPES)
async def test_bad_envelopes_are_refused_on_every_route(suite: Suite, path: str) -> None:
    """Malformed, doubled, too deep, of the wrong type, unknown: each with its reason."""
    path = re.sub(r"\{\w+\}", NOBODY, path)
    for body, reason in BODIES.items():
        answer = await suite.post(path, data=body, headers=JSON)
        assert refused(answer) == reason, (body[:40], answer.text[:300])


SOURCES = [
    (b'{"id": "w", "steps": [', JSON, "JSON_INVALID"),
    (b'{"id": "w", "id": "v", "steps": []}', JSON, "JSON_INVALID"),
    (b"id: w\nsteps: [", YAML, "YAML_INVALID"),
    (b"id: w\nid: v", YAML, "YAML_FORBIDDEN"),
    (b"a: &x 1\nb: *x", YAML, "YAML_FORBIDDEN"),
    (b"a: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]", YAML, "YAML_FORBIDDEN"),
    (b"a: !!python/object/apply:os.system [ls]", YAML, "YAML_FORBIDDEN"),
    (b"[" * DEEP, JSON, "NESTING_TOO_DEEP"),
    (b"- " * DEEP, YAML, "NESTING_TOO_DEEP"),
    (b'{"a":' * DEEP + b"1" + b"}" * DEEP, JSON, "NESTING_TOO_DEEP"),
    (b"42", JSON, "DEFINITION_INVALID"),
    (b'{"apiVersion": "workflow.io/v1", "kind": 7}', JSON, "DEFINITION_INVALID"),
]


@pytest.mark.parametrize(("source", "headers", "reason"), SOURCES)
async def test_bad_definitions_are_refused_on_every_route(
    suite: Suite, source: bytes, headers: dict[str, str], reason: str
) -> None:
    """As JSON and as YAML, posted and put, and when only asked about."""
    for method, path in DEFINITIONS:
        answer = await suite.request(method, path, data=source, headers=headers)
        assert refused(answer) == reason, (path, answer.text[:300])
    checked = await suite.post("/api/v1/workflows:validate", data=source, headers=headers)
    assert (checked.status, checked.json["valid"]) == (200, False)
    assert checked.json["problems"][0]["code"] == reason


@pytest.mark.parametrize("name", ["x" * 129, "a b", "a/b", "ä", "", "a\nb"])
async def test_names_that_are_none(suite: Suite, name: str) -> None:
    """Of workflows, tasks and steps: too long, empty, or with characters that ids do not have."""
    only = {"id": name, "name": "only"}
    for posted in (
        {"id": name, "steps": [{"id": "a"}]},
        {"id": "bad-names", "steps": [only]},
        resource("Workflow", name, {"tasks": [{"id": "a", "taskRef": "noop"}]}),
        resource("WorkflowTask", name, {"type": "noop"}),
    ):
        answer = await suite.post("/api/v1/workflows", posted)
        assert refused(answer) in {"ID_INVALID", "DEFINITION_INVALID"}, answer.text
        assert answer.json["error"]["details"]


def resource(kind: str, name: str, spec: Any) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": "workflow.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


async def test_unknown_fields_of_resources_are_refused(suite: Suite) -> None:
    """With their place, at any depth."""
    task = resource("WorkflowTask", "unknown-fields", {"type": "noop", "colour": "red"})
    nested_in = resource(
        "WorkflowTask",
        "unknown-fields",
        {"type": "http", "http": {"method": "GET", "url": "http://x/", "verb": "GET"}},
    )
    for posted, field in ((task, "colour"), (nested_in, "http.verb")):
        answer = await suite.post("/api/v1/tasks", posted)
        assert refused(answer) == "DEFINITION_INVALID"
        assert [each["field"] for each in answer.json["error"]["details"]] == [field]


async def test_bodies_above_8_mib_are_413(suite: Suite) -> None:
    """On every route that takes JSON or YAML, whatever is in them."""
    body = b'{"id": "large", "x": "' + b"x" * 8 * MIB + b'"}'
    routes = [("POST", re.sub(r"\{\w+\}", NOBODY, path)) for path in ENVELOPES]
    for method, path in (*routes, *DEFINITIONS, ("POST", "/api/v1/workflows:validate")):
        answer = await suite.request(method, path, data=body, headers=JSON)
        assert (answer.status, refused(answer)) == (413, "BODY_TOO_LARGE"), path


async def test_several_resources_are_applied_all_or_none(suite: Suite) -> None:
    """One bad document among good ones: none of them is there afterwards."""
    good = [resource("WorkflowTask", f"half-{number}", {"type": "noop"}) for number in range(5)]
    bad = resource("Workflow", "half-flow", {"tasks": [{"id": "a", "taskRef": "half-none"}]})
    for order in ([*good, bad], [bad, *good]):
        source = yaml.safe_dump_all(order).encode()
        answer = await suite.post("/api/v1/workflows", data=source, headers=YAML)
        assert refused(answer) == "TASK_NOT_FOUND"
    for number in range(5):
        assert (await suite.get(f"/api/v1/tasks/half-{number}")).status == 404


async def test_a_remote_reference_is_never_fetched(suite: Suite) -> None:
    """Wherever in a schema it stands, and where it is only asked about: nobody connects."""
    connected = []

    def note(_reader: Any, writer: asyncio.StreamWriter) -> None:
        connected.append(writer.get_extra_info("peername"))
        writer.close()

    canary = await asyncio.start_server(note, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{canary.sockets[0].getsockname()[1]}/schema.json"
    schemas: list[Any] = [
        {"$ref": url},
        {"$schema": url},
        {"properties": {"a": {"items": {"allOf": [{"$ref": f"{url}#/definitions/x"}]}}}},
        {"$id": url, "$ref": "other.json"},
        {"$dynamicRef": url},
        {"$ref": "file:///etc/passwd"},
    ]
    async with canary:
        for schema, place in itertools.product(schemas, ("inputSchema", "outputSchema")):
            task = resource("WorkflowTask", "remote", {"type": "noop", place: schema})
            assert refused(await suite.post("/api/v1/tasks", task)) == "SCHEMA_REMOTE_REF"
            checked = await suite.post("/api/v1/workflows:validate", task)
            assert checked.json["valid"] is False
    assert connected == []


def least(schema: dict[str, Any], described: dict[str, Any]) -> Any:
    """Return the least value that a schema accepts."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return least(described["components"]["schemas"][name], described)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        required = schema.get("required", ())
        return {name: least(schema["properties"][name], described) for name in required}
    if schema.get("type") == "array":
        return [least(schema["items"], described)] * schema.get("minItems", 0)
    return {"string": "a", "integer": 1, "boolean": True}.get(str(schema.get("type", "")), {})


def routes_with_ids(described: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Method, path and body of every operation with an id, with an id of no object."""
    values = {"version": "1", "digest": "0" * 64}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            names = re.findall(r"\{(\w+)\}", path)
            # Putting a resource makes it.
            if names and method != "put":
                filled = path
                for name in names:
                    filled = filled.replace(f"{{{name}}}", values.get(name, NOBODY))
                content = operation.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema", {})
                yield method.upper(), filled, least(schema, described)


async def test_unknown_ids_are_404_on_every_route(suite: Suite) -> None:
    """Each route of the description that has an id in its path, WebSockets included."""
    described = (await suite.get("/openapi.json")).json
    routes = list(routes_with_ids(described))
    assert len(routes) >= 20
    for method, path, example in routes:
        # There is none here, it is no link, it is one of some words, to remove what is not there is
        # no error, or each message has an outcome of its own.
        if path.startswith(("/api/v1/archive/", "/approve/", "/api/v1/schemas/")) or path.endswith(
            (":unbind", "queues/no-such-thing:publish")
        ):
            continue
        # SCIM is for the keys of providers and has errors of its own: test_scim.
        if path.startswith("/scim/"):
            continue
        # The first event makes a stream, a release an application, a document is checked before
        # there is one, and an instance that is gone is deregistered.
        if (method, path) in (
            ("POST", "/api/v1/streams/no-such-thing/events"),
            ("POST", "/api/v1/apps/no-such-thing:deploy"),
            ("POST", "/api/v1/apps/no-such-thing:validate"),
            ("DELETE", "/api/v1/services/no-such-thing"),
            # The token or the answer of a provider is a form.
            ("POST", "/login/no-such-thing/logout"),
            ("POST", "/login/no-such-thing/acs"),
        ):
            continue
        if path.endswith("/ws"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as failed:
                await suite.websocket(path)
            assert failed.value.status == 404
            continue
        body: Any = {"name": "poke"} if path.endswith((":signal", ":instantiate")) else example
        if path.endswith(":decide"):
            body = {"by": "ann", "approved": True}
        elif path.endswith(":link"):
            body = {"by": "ann"}
        elif path.endswith(":bind"):
            body = {"queue": NOBODY}
        elif path.endswith(":attributes"):
            body = {"attributes": {"a": 1}}
        asked = f"{path}?path=input" if path.endswith("/watch") else path
        answer = await suite.request(method, asked, None if method == "GET" else body)
        # A page reports a name that does not exist itself.
        if not answer.headers["Content-Type"].startswith("text/html"):
            reason = refused(answer)
            assert (answer.status, reason.endswith("_NOT_FOUND")) == (404, True), (path, reason)
    started = await suite.post("/executions/start", {"workflowId": NOBODY})
    assert (started.status, refused(started)) == (404, "WORKFLOW_NOT_FOUND")
