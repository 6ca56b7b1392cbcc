"""Who talks to whom, and what Kubernetes is told before it stores a definition."""

import re

import pytest
from google.protobuf.message import Message

from flowmesh.api.definition.v1 import definition_pb2, plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.natives import resource


def call(name: str, url: str) -> Json:
    return resource("WorkflowTask", name, type="http", http={"method": "GET", "url": url})


@pytest.mark.feature("S0-01")
async def test_every_service_is_a_spoke_and_the_suite_the_only_hub(suite: Suite) -> None:
    """Four services, one of them behind workers: four connections, none between two of them."""
    services = {f"topology-{x}": f"http://service-{x}.example:80{i}" for i, x in enumerate("abc")}
    for name, url in services.items():
        applied = await suite.post("/api/v1/tasks", call(name, f"{url}/path?q={{{{input.q}}}}"))
        assert applied.status in (200, 201), applied.text
    worker = resource("WorkflowTask", "topology-d", type="topology.work")
    assert (await suite.post("/api/v1/tasks", worker)).status in (200, 201)
    tasks: list[Json] = [
        {"id": name[-1], "taskRef": name, "input": {"q": "{{input.q}}"}} for name in services
    ]
    tasks.append(
        {"id": "each", "map": {"items": [1], "tasks": [{"id": "d", "taskRef": "topology-d"}]}}
    )
    tasks.append({"id": "own", "taskRef": "noop", "dependsOn": ["a", "b", "c"]})
    applied = await suite.post("/api/v1/workflows", resource("Workflow", "topology", tasks=tasks))
    assert applied.status in (200, 201), applied.text

    found = (await suite.get("/api/v1/workflows/topology/topology")).json
    spokes = [f"http://service-{x}.example:80{i}" for i, x in enumerate("abc")]
    spokes.append("workers of topology.work")
    assert found["hub"] == "flowmesh"
    assert [spoke["service"] for spoke in found["spokes"]] == spokes
    assert [spoke["tasks"] for spoke in found["spokes"]] == [["a"], ["b"], ["c"], ["d"]]
    assert found["connections"] == [["flowmesh", spoke] for spoke in spokes]


async def test_a_computed_url_is_marked_as_computed(suite: Suite) -> None:
    """Nobody can know before the run whom it calls."""
    await suite.post("/api/v1/tasks", call("topology-any", "{{input.url}}"))
    tasks = [{"id": "a", "taskRef": "topology-any", "input": {"url": "{{input.url}}"}}]
    await suite.post("/api/v1/workflows", resource("Workflow", "computed", tasks=tasks))
    found = (await suite.get("/api/v1/workflows/computed/topology")).json
    assert found["spokes"] == [{"service": "(computed)", "tasks": ["a"]}]
    unknown = await suite.get("/api/v1/workflows/no-such/topology")
    assert (unknown.status, unknown.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")


def review(definition: Json | None, uid: str = "u-1") -> Json:
    """What Kubernetes asks, with what it adds to a resource."""
    if definition is not None:
        added = {"uid": "x", "creationTimestamp": None, "managedFields": [{"manager": "kubectl"}]}
        definition = {**definition, "metadata": definition["metadata"] | added, "status": {}}
    request = {"uid": uid, "operation": "CREATE", "dryRun": False, "object": definition}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@pytest.mark.feature("S0-24")
@pytest.mark.feature("S0-04")
async def test_kubernetes_gets_the_reason_a_definition_is_refused(suite: Suite) -> None:
    """Types that do not fit: refused before any run, with the field, both types and the task."""
    given = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    task = resource("WorkflowTask", "admission-sum", type="noop", inputSchema=given)
    assert (await suite.post("/api/v1/tasks", task)).status in (200, 201)
    text = {"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"]}
    node = {"id": "sum", "taskRef": "admission-sum", "input": {"total": "{{input.total}}"}}
    wrong = resource("Workflow", "admitted", inputSchema=text, tasks=[node])

    refused = (await suite.post("/api/v1/admission:review", review(wrong))).json
    assert refused["kind"] == "AdmissionReview"
    assert (refused["response"]["uid"], refused["response"]["allowed"]) == ("u-1", False)
    message = refused["response"]["status"]["message"]
    assert "tasks[0].input.total: string does not fit number expected by admission-sum" in message
    assert "TYPE_MISMATCH" in message

    right = resource("Workflow", "admitted", inputSchema=given, tasks=[node])
    for asked in (review(right), review(None)):
        allowed = (await suite.post("/api/v1/admission:review", asked)).json
        assert allowed["response"]["allowed"] is True
    assert (await suite.get("/api/v1/workflows/admitted")).status == 404


@pytest.mark.feature("S0-117")
async def test_kubernetes_gets_four_kinds_of_refusal(suite: Suite) -> None:
    """Schema, circle, missing task, types: each by its code, and nothing but it."""
    number = {"type": "object", "properties": {"n": {"type": "number"}}}
    task = resource("WorkflowTask", "admission-four", type="noop", inputSchema=number)
    assert (await suite.post("/api/v1/tasks", task)).status in (200, 201)

    def flow(**node: Json) -> Json:
        node = {"id": "a", "taskRef": "admission-four", **node}
        return resource("Workflow", "admission-flow", tasks=[node])

    bad = {
        "SCHEMA_INVALID": resource(
            "WorkflowTask", "admission-bad", type="noop", inputSchema={"type": "strin"}
        ),
        "GRAPH_CYCLE": flow(dependsOn=["a"]),
        "TASK_NOT_FOUND": flow(taskRef="admission-none"),
        "TYPE_MISMATCH": flow(input={"n": "x"}),
    }
    for code, asked in bad.items():
        refused = (await suite.post("/api/v1/admission:review", review(asked))).json["response"]
        assert refused["allowed"] is False, code
        assert re.findall(r"\[([A-Z_]+)\]", refused["status"]["message"]) == [code]
    good = await suite.post("/api/v1/admission:review", review(flow(input={"n": 1})))
    assert good.json["response"]["allowed"] is True


async def test_what_is_no_review_is_refused(suite: Suite) -> None:
    """With the member that is wrong."""
    bodies: tuple[Json, ...] = (
        {},
        {"request": {}},
        {"request": {"uid": 1}},
        {"request": {"uid": "u", "object": 3}},
    )
    for body in bodies:
        answer = await suite.post("/api/v1/admission:review", body)
        assert (answer.status, answer.json["error"]["reason"]) == (400, "REQUEST_INVALID"), body


async def test_the_types_that_a_source_leaves_open_are_defined(suite: Suite, world: World) -> None:
    """Relationships, paths, nodes, edges and retries are messages; providers are named."""
    messages: dict[type[Message], set[str]] = {
        definition_pb2.NodeEdges: {"id", "successors", "dependencies"},
        definition_pb2.NodePath: {"nodes"},
        plan_pb2.PlanNode: {"id", "kind", "dependencies", "retry"},
        plan_pb2.EdgeRule: {"dependency", "label", "on_failure"},
    }
    for message, fields in messages.items():
        assert fields <= {field.name for field in message.DESCRIPTOR.fields}
    policy = plan_pb2.PlanNode.DESCRIPTOR.fields_by_name["retry"].message_type
    assert policy is not None
    assert {"max_attempts", "multiplier", "jitter"} <= {field.name for field in policy.fields}
    webhook = {"id": "w", "type": "webhook", "name": "w", "data": {"provider": "carrier-pigeon"}}
    graph = {"id": "open-types", "name": "open", "nodes": [webhook], "edges": []}
    refused = await suite.post("/api/v1/workflows:validate", graph)
    (problem,) = [p for p in refused.json["problems"] if p["path"].endswith("provider")]
    assert "GENERIC" in problem["message"]
