"""Graph JSON by its contracts: what gRPC, the REST description and the command make of it."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as pb_grpc
from flowmesh.contract.json_value import Json
from flowmesh.errors import NotFound
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.graphs import code, edge, graph, node

# The types that the source names and leaves open: our names, and the members one would look for.
TYPES = {
    "GraphNodeRelationship": ("definition.v1.NodeEdges", {"id", "successors", "dependencies"}),
    "WorkflowPath": ("definition.v1.NodePath", {"nodes"}),
    "WorkflowNode": ("definition.v1.PlanNode", {"id", "name", "retry", "timeout_ms", "join"}),
    "WorkflowEdge": ("definition.v1.GraphEdge", {"target", "condition", "on_failure"}),
    "RetryPolicy": (
        "common.v1.RetryPolicy",
        {"max_attempts", "initial_delay_ms", "multiplier", "max_delay_ms"},
    ),
    "WebhookProviderType": (
        "definition.v1.WebhookProviderType",
        {f"WEBHOOK_PROVIDER_TYPE_{name}" for name in ("STANDARD", "GITHUB", "STRIPE", "SLACK")},
    ),
}


def members(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, set[str]]]:
    """Each type of a file with its members."""
    for message in file.message_type:
        yield f"{file.package}.{message.name}", {field.name for field in message.field}
    for enum in file.enum_type:
        yield f"{file.package}.{enum.name}", {value.name for value in enum.value}


@pytest.mark.feature("S3-07")
async def test_types_left_open_are_in_the_contract(channel: Any) -> None:
    """All six, as the running services tell of them."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    for name, wanted in TYPES.values():
        symbol = f"flowmesh.api.{name}"
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
        (answer,) = [each async for each in stub.ServerReflectionInfo(iter([asked]))]
        files = map(
            descriptor_pb2.FileDescriptorProto.FromString,
            answer.file_descriptor_response.file_descriptor_proto,
        )
        found = dict(each for file in files for each in members(file))
        assert wanted <= found[symbol]


@pytest.mark.feature("S3-10", "S3-12")
async def test_a_graph_is_created_read_changed_and_deleted_over_grpc(suite: Suite) -> None:
    """Versions are kept until it is gone, and then it is gone from REST too."""
    stub: Any = pb_grpc.DefinitionServiceStub(suite.channel)
    document = graph(code("a"))
    name = document["id"]
    changed = document | {"nodes": [code("b")]}
    for version, each in ((1, document), (2, changed)):
        request = pb.RegisterWorkflowRequest(
            source=orjson.dumps(each), content_type="application/json"
        )
        registered = await stub.RegisterWorkflow(request)
        assert (registered.workflow_id, registered.version) == (name, version)
        assert registered.created

    async def read(version: int) -> Json:
        found = await stub.GetWorkflow(pb.GetWorkflowRequest(workflow_id=name, version=version))
        return orjson.loads(found.workflow.definition)

    assert [await read(version) for version in (1, 2, 0)] == [document, changed, changed]
    listed = (await stub.ListWorkflows(pb.ListWorkflowsRequest(page_size=1000))).workflows
    assert [each.version for each in listed if each.workflow_id == name] == [2]
    await stub.DeleteWorkflow(pb.DeleteWorkflowRequest(workflow_id=name))
    with pytest.raises(NotFound):
        await read(0)
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404


@pytest.mark.feature("S3-02")
async def test_paths_beyond_all_bounds_are_counted_and_not_listed(suite: Suite) -> None:
    """Thirty diamonds in a row have a thousand million paths."""
    names = [f"n{number}" for number in range(31)]
    sides = [(a, side + a, b) for a, b in pairwise(names) for side in "xy"]
    nodes = [code(name) for name in (*names, *(middle for _, middle, _ in sides))]
    edges = [edge(f"{a}>{b}") for way in sides for a, b in pairwise(way)]
    document = graph(*nodes, edges=edges)
    assert (await suite.post("/api/v1/workflows", document)).status == 201
    shown = (await suite.get(f"/api/v1/workflows/{document['id']}/analysis")).json
    assert (shown["pathCount"], shown["pathsCapped"]) == (2**30, True)
    assert 1 <= len(shown["paths"]) <= 1000
    ways = {tuple(path["nodes"]) for path in shown["paths"]}
    assert len(ways) == len(shown["paths"])
    assert all((way[0], way[-1], len(way)) == ("n0", "n30", 61) for way in ways)


@pytest.mark.feature("S3-15")
async def test_rest_to_manage_definitions_is_described(suite: Suite) -> None:
    """Create, list, read, change, delete, versions, analysis, export and validation."""
    paths = (await suite.get("/openapi.json")).json["paths"]
    one = "/api/v1/workflows/{name}"
    assert {"get", "post"} <= paths["/api/v1/workflows"].keys()
    assert {"get", "put", "delete"} <= paths[one].keys()
    for path in (f"{one}/versions", f"{one}/versions/{{version}}", f"{one}/analysis"):
        assert "get" in paths[path]
    assert "get" in paths[f"{one}:export"]
    assert "post" in paths["/api/v1/workflows:validate"]


@pytest.mark.long
@pytest.mark.feature("S3-16")
async def test_the_command_exports_and_imports(suite: Suite) -> None:
    """What one command prints another one takes where nothing was known of it."""
    document = graph(code("a"), code("b"), edges=[edge("a>b", label="then")])
    name = document["id"]
    await suite.define(document)
    exported = await command(suite, "get", "workflow", name)
    elsewhere = "imported"
    imported = await command(
        suite, "apply", "-f", "-", "--namespace", elsewhere, stdin=exported.out
    )
    assert (imported.code, imported.lines) == (0, [f"Workflow {name}: version 1"])
    headers = {"flowmesh-namespace": elsewhere}
    assert (await suite.get(f"/workflows/{name}", headers=headers)).json == document
    for path in (f"/api/v1/workflows/{name}/analysis", f"/api/v1/workflows/{name}:export"):
        answers = [await suite.get(path), await suite.get(path, headers=headers)]
        assert answers[0].json == answers[1].json


@pytest.mark.feature("S3-79")
async def test_an_attempt_that_runs_is_in_one_shape_alone(suite: Suite, world: World) -> None:
    """It has a number there; the other has those that have ended, and counts the retries."""
    world.answers("call", status=503, times=1)
    retry = {"maxAttempts": 2, "initialDelay": 1}
    call = node("call", "http", url=world.url("call"), method="GET", retryPolicy=retry)
    world.hold("call")
    execution_id = await suite.begin(await suite.define(graph(call)))
    await world.called("call")
    world.release("call")
    world.hold("call")
    await world.called("call", 2)
    shown = (await suite.get(f"/api/v1/executions/{execution_id}/nodes")).json
    (record,), result = shown["nodes"], shown["nodeResults"]["call"]
    attempts = [(each["attemptNumber"], each["status"]) for each in record["attempts"]]
    assert (record["status"], attempts) == ("running", [(1, "failed"), (2, "running")])
    assert (result["status"], result["retryCount"]) == ("running", 1)
    assert [each["status"] for each in result["attempts"]] == ["failed"]
    world.release("call")
    assert (await suite.wait(execution_id))["status"] == "completed"
