"""Definitions by kubectl: registered, changed, refused and deleted on a real API server."""

from typing import Any

import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.world import World
from tests.kubernetes.conftest import FULL, Place

pytestmark = pytest.mark.kubernetes
# A busy machine has more time than a drill.
LISTED_S = 1 if FULL else 10


def workflow(name: str, *tasks: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a Workflow of these nodes."""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": list(tasks), **spec},
    }


def noop(name: str, *after: str) -> dict[str, Any]:
    return {"id": name, "taskRef": "noop", **({"dependsOn": list(after)} if after else {})}


def task(name: str, **spec: Any) -> dict[str, Any]:
    """Return a WorkflowTask whose type a worker has."""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": name},
        "spec": {"type": f"type-of-{name}", **spec},
    }


@pytest.mark.feature("S0-118", "S0-142")
async def test_an_applied_workflow_is_listed(place: Place, namespace: str) -> None:
    """In less than a second, and without a restart; a change is a version."""
    await place.apply(namespace, workflow("order", noop("a"), noop("b", "a")))

    async def listed() -> bool:
        return await place.workflows(namespace) == ["order"]

    took = await until("listed", listed, within_s=LISTED_S)
    print(f"\nlisted {took * 1_000:.0f} ms after it was applied")
    await place.until_ready(namespace, "workflow", "order")
    await place.apply(namespace, workflow("order", noop("a"), noop("b", "a"), noop("c", "b")))
    ready = await place.until_ready(namespace, "workflow", "order")
    assert ready["version"] == 2
    output = await place.kubectl("get", "wf", "order", "-n", namespace, "--no-headers")
    row = output.split()
    assert row[:4] == ["order", "True", "2", "3"]


@pytest.mark.feature("S0-39", "S0-41")
async def test_the_seeds_of_a_task_and_a_workflow_run(place: Place, namespace: str) -> None:
    """An HTTP task with timeout and schemas, as kubectl takes it, is called with its body."""
    async with World() as world:
        http = {
            "method": "POST",
            "url": f"{world.address}/charges",
            "headers": {"X-Order": "{{input.order}}"},
            "body": '{"amount": {{input.amount}}}',
        }
        number = {"type": "object", "properties": {"amount": {"type": "integer"}}}
        charge = task("charge", http=http, timeout="5s", inputSchema=number)
        charge["spec"]["type"] = "http"
        node = {"id": "c", "taskRef": "charge", "input": {"order": "o-1", "amount": 7}}
        await place.apply(namespace, charge, workflow("pay", node))
        await place.until_ready(namespace, "workflowtask", "charge")
        await place.until_ready(namespace, "workflow", "pay")
        answer = await place.suite.request(
            "POST",
            "/api/v1/workflows/pay/execute",
            {"input": {}},
            headers={"Flowmesh-Namespace": namespace},
        )
        assert answer.status == 200, answer.text
        (call,) = world.calls("charges")
        assert call.json == {"amount": 7}
        assert call.headers["x-order"] == "o-1"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("workflow.spec.tasks", "taskRef"),
        ("workflowtask.spec", "http"),
        ("app.spec", "Pods of a colour."),
    ],
)
async def test_kubectl_explains_the_fields(place: Place, path: str, said: str) -> None:
    """From the schemas that the chart installs."""
    text = await place.kubectl("explain", path)
    assert said in text, text


async def test_a_folder_of_task_and_workflow_is_applied_at_once(
    place: Place, namespace: str
) -> None:
    """The webhook knows the task from the cluster, although the suite does not yet."""
    await place.apply(namespace, task("charge"), workflow("pay", {"id": "c", "taskRef": "charge"}))
    await place.until_ready(namespace, "workflow", "pay")
    await place.until_ready(namespace, "workflowtask", "charge")
    assert await place.workflows(namespace) == ["pay"]
    await until_used(place, namespace, 1)
    await place.kubectl("delete", "wf", "pay", "-n", namespace)
    await until_used(place, namespace, 0)


async def until_used(place: Place, namespace: str, count: int) -> None:
    """Wait until the task tells of so many workflows."""

    async def told() -> bool:
        found = await place.cluster.get("workflowtask", "charge", "-n", namespace)
        return bool(found["status"]["usedBy"] == count)

    await until(f"used by {count}", told, within_s=30, poll_s=0.5)


@pytest.mark.feature("S0-07", "S0-24", "S0-117")
@pytest.mark.parametrize(
    ("document", "reason", "said"),
    [
        (workflow("x", noop("a", "b"), noop("b", "a")), "GRAPH_CYCLE", "a → b → a"),
        (workflow("x", {"id": "a", "taskRef": "nowhere"}), "TASK_NOT_FOUND", "nowhere"),
        (
            workflow("x", {**noop("a"), "dependOn": ["b"]}),
            "DEFINITION_INVALID",
            "spec.tasks[0].dependOn",
        ),
        (
            workflow(
                "x",
                {"id": "a", "taskRef": "charge", "input": {"total": "{{input.name}}"}},
                inputSchema={"type": "object", "properties": {"name": {"type": "string"}}},
            ),
            "TYPE_MISMATCH",
            "input.total",
        ),
    ],
    ids=["cycle", "missing task", "schema", "types"],
)
async def test_a_wrong_workflow_is_refused_at_the_door(
    place: Place, namespace: str, document: dict[str, Any], reason: str, said: str
) -> None:
    """Each of the four denials names its reason, and nothing is stored."""
    integer = {"type": "object", "properties": {"total": {"type": "integer"}}}
    await place.apply(namespace, task("charge", inputSchema=integer))
    output = await place.apply(namespace, document, check=False)
    assert reason in output, output
    assert said in output
    left = await place.kubectl("get", "wf", "-n", namespace)
    assert "No resources found" in left


@pytest.mark.feature("S0-142")
async def test_a_deleted_workflow_leaves_the_suite(place: Place, namespace: str) -> None:
    """A task in use stays until its workflow is gone."""
    await place.apply(namespace, task("charge"), workflow("pay", {"id": "c", "taskRef": "charge"}))
    await place.until_ready(namespace, "workflow", "pay")
    refused = await place.kubectl("delete", "wft", "charge", "-n", namespace, check=False)
    assert "is in use by pay" in refused
    await place.kubectl("delete", "wf", "pay", "-n", namespace)
    assert await place.workflows(namespace) == []
    await place.kubectl("delete", "wft", "charge", "-n", namespace)


async def test_another_system_cannot_change_what_the_cluster_manages(
    place: Place, namespace: str
) -> None:
    """Nor delete it; the answer names the owner."""
    await place.apply(namespace, workflow("order", noop("a")))
    await place.until_ready(namespace, "workflow", "order")
    changed = await place.suite.request(
        "POST",
        "/api/v1/workflows",
        workflow("order", noop("b")),
        headers={"Flowmesh-Namespace": namespace},
    )
    assert changed.status == 409, changed.text
    assert "OWNED_ELSEWHERE" in changed.text
    assert f"/{namespace}" in changed.text


async def test_a_namespace_is_deleted_with_everything_in_it(place: Place, namespace: str) -> None:
    """The finalizers do not keep it."""
    await place.apply(namespace, task("charge"), workflow("pay", {"id": "c", "taskRef": "charge"}))
    await place.until_ready(namespace, "workflow", "pay")
    await place.kubectl("delete", "namespace", namespace, "--timeout=30s")
    assert await place.workflows(namespace) == []
