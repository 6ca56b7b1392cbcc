"""Graph JSON on the running suite: kept as posted, checked whole, and run by its edges."""

import asyncio
from pathlib import Path

import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as pb_grpc
from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.graphs import choice, code, edge, graph, node, ran

DIAMOND = ["a>b", "a>c", "b>d", "c>d"]


def diamond() -> Json:
    return graph(*(code(name) for name in "abcd"), edges=[edge(each) for each in DIAMOND])


async def refused(suite: Suite, definition: Json) -> list[tuple[str, str]]:
    """Code and place of each problem."""
    answer = await suite.post("/api/v1/workflows", definition)
    assert answer.status == 400, answer.text
    return [(each["code"], each["field"]) for each in answer.json["error"]["details"]]


@pytest.mark.feature("S3-10", "S3-12", "S3-58", "S3-59", "S3-60", "S3-61", "S3-64")
async def test_a_graph_is_kept_as_it_was_posted(suite: Suite) -> None:
    """Positions, metadata and unknown members of data included; a change is a new version."""
    processed: Json = {"forest": {"roots": ["a"]}}
    document = graph(code("a", mine={"deep": [1, None]}), processedGraph=processed)
    created = await suite.post("/api/v1/workflows", document)
    assert (created.status, created.json["version"]) == (201, 1)
    name = document["id"]
    found = (await suite.get(f"/api/v1/workflows/{name}")).json
    assert (found["format"], found["definition"]) == ("graph", document)
    assert (await suite.get(f"/workflows/{name}")).json == document
    moved = {**document, "nodes": [{**document["nodes"][0], "position": {"x": 1, "y": 2}}]}
    assert (await suite.put(f"/api/v1/workflows/{name}", moved)).json["version"] == 2
    assert (await suite.get(f"/workflows/{name}")).json == moved
    old = (await suite.get(f"/api/v1/workflows/{name}/versions/1")).json
    assert old["definition"] == document
    assert (await suite.delete(f"/api/v1/workflows/{name}")).status == 204
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404


@pytest.mark.feature("S3-11", "S0-138")
async def test_a_graph_that_cannot_run_is_refused_with_every_problem(suite: Suite) -> None:
    """Dangling edges, circles, nodes that nothing leads to, each with its place."""
    start = node("start", "trigger", triggerType="manual", config={})
    nodes = (start, code("a"), code("b"), code("lost"))
    edges = [edge("start>a"), edge("a>b"), edge("b>a"), edge("a>nowhere")]
    assert sorted(await refused(suite, graph(*nodes, edges=edges))) == [
        ("GRAPH_CYCLE", "edges[2]"),
        ("GRAPH_UNKNOWN_NODE", "edges[3].target"),
        ("GRAPH_UNREACHABLE_NODE", "nodes[3].id"),
    ]


@pytest.mark.feature("S3-63")
async def test_the_eight_types_of_nodes_are_accepted_and_no_other(suite: Suite) -> None:
    """A ninth is refused with what may have been meant."""
    transformation: Json = {
        "transformationType": "map",
        "transformationConfig": {"expression": "item"},
    }
    document = graph(
        node("t", "trigger", triggerType="api", config={}),
        code("f"),
        node("h", "http", url="http://127.0.0.1/", method="GET"),
        choice("d", yes="true"),
        node("w", "webhook"),
        node("z", "delay", delayType="fixed", delayValue=1),
        node("m", "transformation", **transformation),
        node("c", "custom", taskType="mine"),
        edges=[edge(f"t>{name}") for name in "fhdwzmc"] + [edge("d>f", condition="yes")],
    )
    assert (await suite.post("/api/v1/workflows", document)).status == 201
    answer = await suite.post("/api/v1/workflows", graph(node("x", "functoin")))
    assert "did you mean 'function'?" in answer.json["error"]["message"]


@pytest.mark.feature("S3-09", "S3-02", "S3-03", "S3-04", "S3-05", "S3-06", "S0-36", "S0-138")
async def test_the_analysis_has_the_keys_of_a_processed_workflow(suite: Suite) -> None:
    """Paths, branch and convergence points, leaves and groups of a diamond with two roots."""
    document = graph(
        *(code(name) for name in "abcde"), edges=[edge(each) for each in [*DIAMOND, "e>d"]]
    )
    assert (await suite.post("/api/v1/workflows", document)).status == 201
    shown = (await suite.get(f"/api/v1/workflows/{document['id']}/analysis")).json
    assert {"forest", "nodes", "edges", "paths", "execution"} <= shown.keys()
    neighbours = shown["forest"]["adjacencyList"]
    assert shown["forest"] == {"roots": ["a", "e"], "adjacencyList": neighbours}
    assert list(neighbours) == list(shown["nodes"]) == list("abcde")
    assert neighbours["a"] == {"id": "a", "successors": ["b", "c"], "dependencies": []}
    assert neighbours["d"] == {"id": "d", "successors": [], "dependencies": ["b", "c", "e"]}
    named = {"name": "Node a", "type": "function"}
    assert shown["nodes"]["a"] == neighbours["a"] | named
    assert [path["nodes"] for path in shown["paths"]] == [
        ["a", "b", "d"],
        ["a", "c", "d"],
        ["e", "d"],
    ]
    assert (shown["pathCount"], shown["pathsCapped"]) == (3, False)
    assert shown["execution"] == {
        "branchPoints": ["a"],
        "leafNodes": ["d"],
        "convergencePoints": ["d"],
        "parallelExecutionGroups": [["a", "e"], ["b", "c"], ["d"]],
    }
    assert shown["edges"] == {each["id"]: each for each in document["edges"]}
    _, ended = await ran(suite, document)
    assert ended == dict.fromkeys("abcde", "success")


@pytest.mark.feature("S3-14", "S3-15", "S3-16")
async def test_what_is_exported_is_the_same_graph_elsewhere(suite: Suite) -> None:
    """Definition and analysis, in a namespace that knew nothing."""
    document = diamond()
    name = document["id"]
    await suite.post("/api/v1/workflows", document)
    exported = await suite.get(f"/api/v1/workflows/{name}:export")
    before = (await suite.get(f"/api/v1/workflows/{name}/analysis")).json
    assert list(before["nodes"]) == [each["id"] for each in document["nodes"]]
    assert list(before["edges"]) == [each["id"] for each in document["edges"]]
    clean = {"flowmesh-namespace": "clean"}
    headers = {**clean, "content-type": "application/json"}
    created = await suite.post("/api/v1/workflows", data=exported.body, headers=headers)
    assert created.status == 201
    assert (await suite.get(f"/workflows/{name}", headers=clean)).json == document
    after = (await suite.get(f"/api/v1/workflows/{name}/analysis", headers=clean)).json
    assert after == before


@pytest.mark.slow
@pytest.mark.feature("S3-13")
async def test_a_graph_survives_the_crash_of_everything(tmp_path: Path) -> None:
    """Its document and its analysis are what they were."""
    document = diamond()
    paths = (f"/workflows/{document['id']}", f"/api/v1/workflows/{document['id']}/analysis")
    async with Suite(tmp_path / "data") as own:
        await own.post("/api/v1/workflows", document)
        before = [(await own.get(path)).json for path in paths]
        await own.kill()
        await own.start()
        assert [(await own.get(path)).json for path in paths] == before
    assert before[0] == document


@pytest.mark.feature("S3-62")
async def test_public_nodes_are_offered_to_other_workflows(suite: Suite) -> None:
    """As they are written, page by page; private ones are not, and a copy of one runs."""
    headers = {"flowmesh-namespace": "public-nodes"}
    for name in ("one", "two"):
        public = code("shared", f"return '{name}'")
        public["metadata"]["isPublic"] = True
        document = graph(public, code("mine")) | {"id": f"public-{name}"}
        for each in document["nodes"]:
            each.pop("workflowId")
        assert (await suite.post("/api/v1/workflows", document, headers=headers)).status == 201
    first = (await suite.get("/api/v1/nodes?pageSize=1", headers=headers)).json
    token = first["nextPageToken"]
    url = f"/api/v1/nodes?pageSize=1&pageToken={token}"
    second = (await suite.get(url, headers=headers)).json
    found = [*first["nodes"], *second["nodes"]]
    assert second["nextPageToken"] == ""
    assert [each["workflow"] for each in found] == ["public-one", "public-two"]
    assert {each["node"]["id"] for each in found} == {"shared"}
    execution, _ = await ran(suite, graph(found[1]["node"]))
    assert execution["context"]["shared"] == "two"


@pytest.mark.feature("S3-112", "S3-20")
async def test_the_analysis_is_stored_and_drives_runs(suite: Suite) -> None:
    """Over gRPC too, and the plan of a run has its roots and neighbours; nothing is made anew."""

    async def analysed() -> list[str]:
        cache = 'flowmesh_definition_cache_reads_total{cache="analysis"'
        lines = (await suite.get("/metrics")).text.splitlines()
        return [line for line in lines if line.startswith(cache)]

    document = diamond()
    await suite.post("/api/v1/workflows", document)
    once = await analysed()
    stub = pb_grpc.DefinitionServiceStub(suite.channel)
    found = await stub.AnalyzeWorkflow(pb.AnalyzeWorkflowRequest(workflow_id=document["id"]))
    assert [list(path.nodes) for path in found.analysis.paths] == [list("abd"), list("acd")]
    assert [list(group.nodes) for group in found.analysis.groups] == [["a"], ["b", "c"], ["d"]]
    ends = (found.analysis.roots, found.analysis.leaves)
    meetings = (found.analysis.branch_points, found.analysis.convergence_points)
    assert [list(each) for each in (*ends, *meetings)] == [["a"], ["d"], ["a"], ["d"]]
    execution, _ = await ran(suite, document)
    path = f"/api/v1/executions/{execution['executionId']}/context"
    processed = (await suite.get(path)).json["processedWorkflow"]
    assert processed["execution"]["parallelExecutionGroups"] == [["a"], ["b", "c"], ["d"]]
    events = await suite.events(execution["executionId"])
    order = [each["taskId"] for each in events if each["type"] == "TaskScheduled"]
    assert (order[0], set(order[1:3]), order[3:]) == ("a", {"b", "c"}, ["d"])
    assert await analysed() == once
    plan = (await stub.GetPlan(pb.GetPlanRequest(workflow_id=document["id"]))).plan
    names = [each.id for each in plan.nodes]
    assert [each.id for each in plan.nodes if not each.dependencies] == list(found.analysis.roots)
    assert {each.id: [names[i] for i in each.dependencies] for each in plan.nodes} == {
        each.id: list(each.dependencies) for each in found.analysis.nodes
    }


@pytest.mark.feature("S3-68", "S3-69", "S3-08", "S3-18", "S3-53", "S3-78")
@pytest.mark.parametrize(
    ("total", "taken"), [(500, "big"), (5, "small"), (50, "usual")], ids=["js", "path", "default"]
)
async def test_a_decision_takes_the_edge_of_its_condition(
    suite: Suite, total: int, taken: str
) -> None:
    """JavaScript and JSONPath alike; the default edge where none holds, and no other branch."""
    document = graph(
        choice("d", default="d>usual", high="context.total > 100", low="$[?(@ < 10)]"),
        *(code(name) for name in ("big", "small", "usual", "end")),
        edges=[
            edge("d>big", condition="high"),
            edge("d>small", condition="low"),
            edge("d>usual"),
            *(edge(f"{name}>end") for name in ("big", "small", "usual")),
        ],
    )
    execution, ended = await ran(suite, document, {"total": total})
    assert execution["status"] == "completed"
    others = {"big", "small", "usual"} - {taken}
    assert ended == {"d": "success", taken: "success", "end": "success"} | dict.fromkeys(
        others, "skipped"
    )
    state = (await suite.get(f"/api/v1/executions/{execution['executionId']}/state")).json
    assert {path["nodes"][1]: path["status"] for path in state["paths"]} == {
        taken: "taken"
    } | dict.fromkeys(others, "notTaken")
    assert [state["paths"][place]["nodes"][1] for place in state["activePaths"]] == [taken]


@pytest.mark.feature("S3-69", "S3-08")
async def test_an_edge_may_have_a_condition_of_its_own(suite: Suite) -> None:
    """Behind any node; of several that hold the one of the lowest priority is taken."""
    document = graph(
        code("a", "return {size: context.size}"),
        *(code(name) for name in ("one", "two", "three")),
        edges=[
            edge("a>one", condition="context.a.size > 1", priority=2),
            edge("a>two", condition="context.a.size > 2", priority=1),
            edge("a>three", condition="context.a.size > 9"),
        ],
    )
    _, ended = await ran(suite, document, {"size": 3})
    assert [ended[name] for name in ("one", "two", "three")] == ["skipped", "success", "skipped"]


@pytest.mark.feature("S3-65", "S3-74")
async def test_functions_run_inline_or_by_a_handler(suite: Suite) -> None:
    """With their schemas and limits; a custom node is its worker's."""
    async with Client(suite.grpc_address) as client:
        worker = Worker(client)

        @worker.task("billing.charge")
        async def charge(order: Json) -> Json:
            return {"charged": order["total"]}

        @worker.task("tell")
        async def tell(config: Json) -> Json:
            return config

        async with worker:
            document = graph(
                code("total", "const total = (input) => ({total: input.n * 2})"),
                node(
                    "charge",
                    "function",
                    functionName="charge",
                    handlerId="billing.charge",
                    input="{{context.total}}",
                    inputSchema={"type": "object", "required": ["total"]},
                ),
                node("tell", "custom", taskType="tell", to="{{context.charge.charged}}"),
                edges=[edge("total>charge"), edge("charge>tell")],
            )
            execution, _ = await ran(suite, document, {"n": 21})
            assert execution["context"]["tell"] == {"to": 42}
    schemas: list[Json] = [
        {"inputSchema": {"type": "object", "required": ["nope"]}},
        {"outputSchema": {"type": "string"}},
    ]
    for schema in schemas:
        failed, _ = await ran(suite, graph(code("f", "return 1", **schema)))
        assert failed["stepResults"]["f"]["error"]["class"] == "ValidationError"
    twice: Json = {"maxAttempts": 2, "initialDelay": 1}
    slow = graph(code("f", "while (true) {}", timeout=200, retryPolicy=twice))
    failed, _ = await ran(suite, slow)
    result = failed["stepResults"]["f"]
    assert (result["error"]["class"], result["attempts"]) == ("Timeout", 2)


@pytest.mark.feature("S3-72")
async def test_transformations_have_four_types(suite: Suite) -> None:
    """Each goes on from the node before it, by JavaScript or by an operation's parameters."""

    def turn(name: str, kind: str, **config: Json) -> Json:
        said: Json = {"transformationType": kind, "transformationConfig": config}
        return node(name, "transformation", **said)

    document = graph(
        code("rows", "return [{n: 1, v: 5}, {n: 2, v: 7}, {n: 3, v: 9}]"),
        turn("some", "filter", field="n", operator="gt", value=1),
        turn("double", "map", expression="({...item, v: item.v * 2})"),
        turn("more", "enrichment", expression="{sum: item.n + item.v}"),
        turn("all", "reduce", expression="result + item.sum", initial=0),
        turn("sum", "reduce", function="sum", field="v", initial=100),
        turn("known", "enrichment", values={"source": "crm"}),
        edges=[
            *(edge(each) for each in ("rows>some", "some>double", "double>more", "more>all")),
            *(edge(each) for each in ("rows>sum", "rows>known")),
        ],
    )
    execution, _ = await ran(suite, document)
    context = execution["context"]
    assert context["some"] == [{"n": 2, "v": 7}, {"n": 3, "v": 9}]
    assert context["double"] == [{"n": 2, "v": 14}, {"n": 3, "v": 18}]
    assert context["more"][0] == {"n": 2, "v": 14, "sum": 16}
    assert context["all"] == 37
    assert context["sum"] == 121
    assert context["known"][0] == {"n": 1, "v": 5, "source": "crm"}


async def test_a_webhook_waits_for_what_it_receives(suite: Suite) -> None:
    """What comes is turned by its template; what does not fit its schema fails the node."""
    document = graph(
        node(
            "paid",
            "webhook",
            webhookId="payment",
            payloadSchema={"type": "object", "required": ["id"]},
            transformationTemplate={"order": "{{payload.id}}"},
        ),
        code("after", "return context.paid.order"),
        edges=[edge("paid>after")],
    )
    workflow_id = await suite.define(document)
    for payload, status in (({"id": 7}, "completed"), ({"nothing": 1}, "failed")):
        execution_id = await suite.begin(workflow_id)
        body = {"name": "payment", "payload": payload}
        assert (await suite.post(f"/api/v1/executions/{execution_id}:signal", body)).status == 202
        execution = await suite.wait(execution_id)
        assert execution["status"] == status
        if status == "completed":
            assert execution["context"]["after"] == 7


async def test_triggers_begin_by_hand_or_by_api(suite: Suite) -> None:
    """Those that need a clock or an event say which; without that they are refused."""
    for kind in ("manual", "api"):
        start = node("start", "trigger", triggerType=kind, config={})
        _, ended = await ran(suite, graph(start, code("a"), edges=[edge("start>a")]))
        assert ended == {"start": "success", "a": "success"}
    for kind in ("scheduled", "event"):
        start = node("start", "trigger", triggerType=kind, config={})
        assert await refused(suite, graph(start)) == [
            ("DEFINITION_INVALID", "nodes[0].data.config.expression")
            if kind == "scheduled"
            else ("TRIGGER_INVALID", "nodes[0].data.config")
        ]


@pytest.mark.feature("S3-76", "S3-79", "S3-80", "S3-102")
async def test_one_record_serves_both_shapes_of_a_node(suite: Suite, world: World) -> None:
    """Skipped nodes and attempts by number in the one, retries counted in the other."""
    world.answers("flaky", status=503, times=1)
    world.answers("flaky", json={"ok": 1})
    retry = {"maxAttempts": 3, "initialDelay": 1}
    document = graph(
        node("call", "http", url=world.url("flaky"), method="GET", retryPolicy=retry),
        choice("d", no="false"),
        code("never"),
        edges=[edge("call>d"), edge("d>never", condition="no")],
    )
    execution, _ = await ran(suite, document)
    shown = (await suite.get(f"/api/v1/executions/{execution['executionId']}/nodes")).json
    call, _, never = shown["nodes"]
    assert (call["nodeId"], call["status"], call["output"]) == ("call", "completed", {"ok": 1})
    assert call["workflowExecutionId"] == execution["executionId"]
    assert [(a["attemptNumber"], a["status"]) for a in call["attempts"]] == [
        (1, "failed"),
        (2, "completed"),
    ]
    assert call["attempts"][0]["error"]["code"] == "ServerError"
    assert (never["status"], never["attempts"]) == ("skipped", [])
    result = shown["nodeResults"]["call"]
    assert result["retryCount"] == len(result["attempts"]) - 1 == 1
    assert (result["status"], result["output"]) == ("completed", {"ok": 1})
    assert call["startTime"] == result["startTime"] <= result["endTime"] == call["endTime"]
    failed, completed = result["attempts"]
    assert failed.keys() == {"startTime", "endTime", "status", "error"}
    assert (failed["status"], failed["error"]["code"]) == ("failed", "ServerError")
    assert completed.keys() == {"startTime", "endTime", "status", "output"}
    assert (completed["status"], completed["output"]) == ("completed", {"ok": 1})
    assert failed["endTime"] <= completed["startTime"]
    assert "never" not in shown["nodeResults"]


async def test_an_error_edge_handles_a_failure(suite: Suite, world: World) -> None:
    """The node behind it runs, and the execution completes."""
    world.answers("broken", status=500)
    document = graph(
        node("call", "http", url=world.url("broken"), method="GET"),
        code("after"),
        code("rescue", "return 'saved'"),
        code("end", "return context.rescue", "any"),
        edges=[
            edge("call>after"),
            edge("call>rescue", type="error"),
            edge("after>end"),
            edge("rescue>end"),
        ],
    )
    execution, ended = await ran(suite, document)
    assert execution["status"] == "completed", execution
    assert ended == {"call": "failed", "after": "skipped", "rescue": "success", "end": "success"}
    assert execution["context"]["end"] == "saved"


async def test_a_workflow_is_drawn_and_written_in_other_formats(suite: Suite) -> None:
    """As SVG, Mermaid, DOT and JSON; what has no place in a format is refused by name."""
    document = diamond()
    name = document["id"]
    await suite.post("/api/v1/workflows", document)
    drawn = await asyncio.gather(
        *(
            suite.get(f"/api/v1/workflows/{name}/graph?format={kind}")
            for kind in ("svg", "mermaid", "dot", "json")
        )
    )
    assert [answer.status for answer in drawn] == [200] * 4
    svg, mermaid, dot, as_json = drawn
    assert svg.headers["Content-Type"] == "image/svg+xml"
    assert svg.text.startswith("<svg")
    assert "n0 --> n1" in mermaid.text
    assert "n0 -> n1;" in dot.text
    assert len(as_json.json["nodes"]) == 4
    answer = await suite.get(f"/api/v1/workflows/{name}:export?format=steps")
    assert (answer.status, answer.json["error"]["reason"]) == (400, "FEATURE_UNSUPPORTED")
    assert "the join 'all'" in answer.json["error"]["message"]
    assert (await suite.get(f"/api/v1/workflows/{name}/graph?format=png")).status == 400
