"""The examples of the OpenAPI document work as they stand."""

from collections.abc import Iterator
from typing import Any

import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features import store

NAMESPACE = {"Flowmesh-Namespace": "examples"}
# The names that the examples have.
NAMES = {
    "name": "hello",
    "workflowId": "hello",
    "companyId": "co_default",
    "organizationId": "org_default",
    "projectId": "prj_default",
    "queue": "hello",
    "workflow": "hello",
    "exchange": "hello",
    "secret": "hello",
    "stream": "hello",
    "group": "hello",
    "projection": "hello",
    "subscription": "hello",
    "app": "hello",
    "spec": "packers",
    "policy": "packers",
}
AGENTS = "/api/v1/agent-specs/packers"
PLUGINS = "/api/v1/plugins"
RUNNING = """
select exists (
    select from orchestrator.executions where workflow_id = 'hello' and status in (1, 2)
)"""
# A queue of messages with groups.
STREAM = "feed"
# The queue of the example of a binding.
BOUND = "processed"


def examples(described: Any) -> Iterator[tuple[str, str, Any]]:
    """Method, path and body of each operation that has an example."""
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("example")
            if body is not None:
                names = NAMES | {"queue": STREAM} if path.endswith(":seek") else NAMES
                if "/dashboards/" in path:
                    names = names | {"name": body["name"]}
                yield method.upper(), path.format_map(names), body


@pytest.mark.long
async def test_every_example_of_a_request_is_accepted(suite: Suite) -> None:
    """Sent in the order of the document, after the definitions that they are about."""
    described = (await suite.get("/openapi.json")).json
    # Plugins need a catalogue: tests/features/plugins.
    found = [each for each in examples(described) if not each[1].startswith(PLUGINS)]
    first = ("/workflows", "/api/v1/tasks", AGENTS)
    found.sort(key=lambda each: first.index(each[1]) if each[1] in first else len(first))
    assert len(found) >= 14
    for queue, body in ((STREAM, {"kind": "stream"}), (BOUND, {})):
        path = f"/api/v1/message-queues/{queue}"
        made = await suite.request("PUT", path, body, headers=NAMESPACE)
        assert made.status == 201, made.text
    for method, path, body in found:
        answer = await suite.request(method, path, body, headers=NAMESPACE)
        assert answer.status in (200, 201, 202), (method, path, answer.text)

    for path in ("/api/v1/scaling-policies/packers", f"{AGENTS}?stopAgents=true"):
        answer = await suite.request("DELETE", path, headers=NAMESPACE)
        assert answer.status == 204, (path, answer.text)

    async def ended() -> bool:
        async with store.database(suite) as database:
            return not await database.fetchval(RUNNING)

    # Tests that share the suite count what their calls leave behind.
    await until("the end of the executions", ended, within_s=20)
