"""Workflows that start workflows, that go on as new ones, and that wait for events with a key."""

import pytest

from flowmesh.api.execution.v1.execution_service_pb2 import WaitExecutionRequest
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.contract.json_value import Json
from flowmesh.errors import WrongState
from flowmesh.sdk import Client, Workflow
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, apply, workflow

RUNS = 1_200


def child(name: str, duration: str = "1ms") -> Json:
    """A workflow that answers what it was given."""
    pause = {"id": "wait", "taskRef": "delay", "input": {"duration": duration}}
    return workflow(name, pause, output="{{input}}")


def parent(name: str, of: str, **said: Json) -> Json:
    call = {"workflow": of, "input": {"n": "{{input.n}}"}, **said}
    return workflow(name, {"id": "below", "subworkflow": call})


def counting_down(name: str) -> Json:
    """A workflow that goes on as a new one with one less, until nothing is left."""
    again = {
        "id": "again",
        "condition": "input.left > 0",
        "continueAsNew": {"input": {"left": "{{sub(input.left, 1)}}"}},
    }
    return workflow(name, again)


async def below(suite: Suite, execution_id: str) -> Json:
    """The execution that the node of a parent has started, once it has."""
    while True:
        step = (await suite.execution(execution_id))["stepResults"].get("below", {})
        if "childExecutionId" in step:
            return await suite.execution(step["childExecutionId"])


async def test_a_workflow_starts_another_and_has_its_output(suite: Suite) -> None:
    """The node completes with the child's output, and each knows the other."""
    await applied(suite, child("child-adds"), parent("parent-adds", "child-adds"))
    shown = await suite.wait(await suite.begin("parent-adds", {"n": 7}))
    assert shown["stepResults"]["below"]["result"] == {"n": 7}
    found = await below(suite, shown["executionId"])
    assert found["parent"] == {"executionId": shown["executionId"], "stepId": "below"}
    types = [event["type"] for event in await suite.events(shown["executionId"])]
    assert types[1:5] == ["TaskScheduled", "ChildRequested", "ChildStarted", "ChildEnded"]


async def test_a_workflow_is_named_when_it_starts(suite: Suite) -> None:
    """A template names it; one that is not there fails the node, and says which."""
    chooses = parent("parent-chooses", "child-{{input.kind}}")
    await applied(suite, child("child-card"), chooses)
    shown = await suite.wait(await suite.begin("parent-chooses", {"n": 1, "kind": "card"}))
    assert shown["stepResults"]["below"]["result"] == {"n": 1}
    seen = await command(suite, "tree", shown["executionId"])
    assert "below: child-card@1" in seen.out, seen.out
    shown = await suite.wait(await suite.begin("parent-chooses", {"n": 1, "kind": "cash"}))
    assert "child-cash cannot be started" in shown["error"]["message"]


async def test_under_an_id_a_workflow_is_started_once(suite: Suite) -> None:
    """Whoever asks again under it gets the execution that is there; other input is refused."""
    starts = parent("parent-once", "child-once", id="once-{{input.order}}", wait=False)
    await applied(suite, child("child-once"), starts)
    told = []
    for n in (1, 1, 2):
        execution_id = await suite.begin("parent-once", {"n": n, "order": 7})
        told.append(await suite.wait(execution_id))
    first, again, other = told
    assert first["stepResults"]["below"]["result"] == again["stepResults"]["below"]["result"]
    assert "child-once cannot be started" in other["error"]["message"]


async def test_an_id_needs_a_child_that_is_not_waited_for(suite: Suite) -> None:
    """Another execution may have it already, and only one can be told how it ends."""
    documents = parent("parent-id", "child-once", id="7")
    answer = await apply(suite, documents)
    assert answer.status == 400
    assert "tasks[0].subworkflow.id" in answer.text, answer.text


async def test_a_cancel_of_the_parent_cancels_the_child(suite: Suite) -> None:
    """As its policy says, by default."""
    await applied(suite, child("child-long", "1h"), parent("parent-long", "child-long"))
    execution_id = await suite.begin("parent-long", {"n": 1})
    found = await below(suite, execution_id)
    await suite.post(f"/api/v1/executions/{execution_id}:cancel", {})
    assert (await suite.wait(found["executionId"]))["status"] == "canceled"


async def test_a_workflow_that_starts_itself_ends(suite: Suite) -> None:
    """Sixteen deep, with a failure that says so all the way up."""
    await applied(suite, parent("parent-itself", "parent-itself"))
    shown = await suite.wait(await suite.begin("parent-itself", {"n": 1}))
    assert shown["status"] == "failed"
    assert shown["error"]["class"] == "DepthLimit", shown["error"]
    assert "DEPTH_LIMIT" in shown["error"]["message"]


async def test_a_child_that_is_not_there_fails_its_node(suite: Suite) -> None:
    """What it starts is looked for when it starts."""
    await applied(suite, parent("parent-none", "child-none"))
    shown = await suite.wait(await suite.begin("parent-none", {"n": 1}))
    assert "child-none cannot be started" in shown["error"]["message"]


async def test_signals_follow_a_workflow_that_continues_as_new(suite: Suite) -> None:
    """To the last run, from any run before it; one that ended for good refuses them."""
    again, wait = (
        {
            "id": "again",
            "condition": "input.left > 0",
            "continueAsNew": {"input": {"left": "{{sub(input.left, 1)}}"}},
        },
        {
            "id": "paid",
            "condition": "input.left < 1",
            "taskRef": "signal",
            "input": {"name": "paid"},
        },
    )
    await apply(suite, workflow("asks-at-last", again, wait, output="{{tasks.paid.output}}"))
    first = await suite.begin("asks-at-last", {"left": 2})
    # The runs in between have ended; the first id is all that a sender knows.
    while not (await suite.execution(first)).get("continuedAs"):
        pass
    async with Client(suite.grpc_address) as client:
        handle = client.handle(first)
        await handle.signal("paid", {"amount": 7})
        assert await handle.result() == {"amount": 7}
        with pytest.raises(WrongState, match="EXECUTION_ENDED"):
            await handle.signal("paid", {"amount": 8})


async def test_a_workflow_continues_as_a_new_execution(suite: Suite) -> None:
    """Run after run, each with its own history; a wait for the first is one for the last."""
    await applied(suite, counting_down("counts-down"))
    first = await suite.begin("counts-down", {"left": 3})
    async with Client(suite.grpc_address) as client:
        handle = await client.start("counts-down", {"left": 2})
        assert await handle.result(30) is None
    await suite.wait(first)
    runs = [first]
    while later := (await suite.execution(runs[-1])).get("continuedAs"):
        runs.append(later)
    shown = [await suite.execution(one) for one in runs]
    assert [one["context"]["left"] for one in shown] == [3, 2, 1, 0]
    assert [one["firstRun"] for one in shown[1:]] == [first] * 3
    events = [(await suite.events(one))[-1]["type"] for one in runs]
    assert events == [*["WorkflowContinued"] * 3, "WorkflowCompleted"]


@pytest.mark.long
async def test_a_waiting_caller_follows_any_number_of_runs(suite: Suite) -> None:
    """To the end of the last one, whether they have ended before or end meanwhile."""
    await applied(suite, counting_down("counts-far-down"))
    first = await suite.begin("counts-far-down", {"left": RUNS})
    async with Client(suite.grpc_address) as client:
        executions = ExecutionServiceStub(client.caller.channel)
        request = WaitExecutionRequest(execution_id=first, timeout_ms=60_000)
        for _ in range(2):
            waited = await executions.WaitExecution(request)
            assert waited.ended
            assert (waited.execution.input.data, waited.execution.link.first_run) == (
                b'{"left":0}',
                first,
            )


def order(name: str, **said: Json) -> Json:
    wait = {"event": "paid", "correlate": "{{input.order}}", **said.pop("wait", {})}
    return workflow(name, {"id": "paid", "wait": wait, **said})


async def until_keyed(suite: Suite, execution_id: str) -> None:
    """Its key is known from then on."""
    path = f"/api/v1/executions/{execution_id}/history"
    while "WaitKeyed" not in [e["type"] for e in (await suite.get(path)).json["events"]]:
        pass


async def test_a_signal_finds_its_execution_by_a_key(suite: Suite) -> None:
    """The sender knows the order, not the execution; repeated it tells nobody else."""
    await applied(suite, order("waits-for-pay"))
    first = await suite.begin("waits-for-pay", {"order": "o-1"})
    other = await suite.begin("waits-for-pay", {"order": "o-2"})
    for one in (first, other):
        await until_keyed(suite, one)
    signal = {"name": "paid", "key": "o-1", "payload": {"amount": 5}, "requestId": "pay-1"}
    sent = await suite.post("/api/v1/signals", signal)
    assert sent.status == 202, sent.text
    assert [one["executionId"] for one in sent.json["executions"]] == [first]
    shown = await suite.wait(first)
    assert shown["stepResults"]["paid"]["result"] == {"amount": 5}
    again = await suite.post("/api/v1/signals", signal)
    assert again.json == sent.json, again.text
    assert (await suite.execution(other))["status"] == "running"


async def test_a_signal_that_no_execution_waits_for_is_refused(suite: Suite) -> None:
    """Nothing is kept for those who come later; the sender is told, and may come again."""
    answer = await suite.post("/api/v1/signals", {"name": "paid", "key": "nobody"})
    assert (answer.status, answer.json["error"]["reason"]) == (404, "WAIT_NOT_FOUND"), answer.text
    wrong = await suite.post("/api/v1/signals", {"name": "paid", "key": "a\nb"})
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "REQUEST_INVALID"), wrong.text


async def test_a_wait_over_its_limit_has_its_default(suite: Suite) -> None:
    """Or fails as Timeout without one."""
    late = order("waits-late", timeout="5ms", wait={"onTimeout": {"paid": False}})
    await applied(suite, late, order("waits-in-vain", timeout="5ms"))
    shown = await suite.wait(await suite.begin("waits-late", {"order": 1}))
    assert shown["stepResults"]["paid"]["result"] == {"paid": False}
    shown = await suite.wait(await suite.begin("waits-in-vain", {"order": 1}))
    assert shown["error"]["class"] == "Timeout"


async def test_the_command_line_shows_the_tree(suite: Suite) -> None:
    """Each execution below the one that started it, as text and as JSON."""
    await applied(suite, child("tree-leaf"), parent("tree-top", "tree-leaf"))
    shown = await suite.wait(await suite.begin("tree-top", {"n": 1}))
    seen = await command(suite, "tree", shown["executionId"])
    assert "└─ ✔ below: tree-leaf@1" in seen.out, seen.out
    seen = await command(suite, "tree", shown["executionId"], "--json")
    (leaf,) = seen.json["children"]
    assert (leaf["workflow"], leaf["status"]) == ("tree-leaf", "completed")
    late = await command(suite, "signal-by-key", "paid", "nobody")
    assert "WAIT_NOT_FOUND" in late.err, late.err


async def test_definitions_in_code_start_workflows_and_wait(suite: Suite) -> None:
    """The same three, said in Python."""
    await applied(suite, child("code-leaf"))
    flow = Workflow("code-top", output="{{tasks.below.output}}")
    paid = flow.wait_for("paid", "paid", input=flow.input["n"], timeout="1ms", critical=False)
    flow.subworkflow("below", "code-leaf", wait=True, on_cancel="TERMINATE", input={"n": 4})
    flow.subworkflow(
        "beside", "code-{{input.of}}", wait=False, child_id="code-1", critical=False, input={"n": 5}
    )
    flow.continue_as_new("again", condition="input.n < 0", depends_on=[paid], input={"n": 1})
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        assert await client.run("code-top", {"n": 1, "of": "leaf"}) == {"n": 4}


@pytest.mark.parametrize(
    "view", ["", "/state", "/context", "/nodes", "/trace", "/explain", "/history", "/results"]
)
async def test_an_execution_is_shown_after_its_workflow_was_deleted(
    suite: Suite, view: str
) -> None:
    """From what is stored with it: the plan, the history, the nodes and their order."""
    name = f"goes-away{view.replace('/', '-')}"
    first, second = {"id": "a", "taskRef": "noop"}, {"id": "b", "taskRef": "noop"}
    await apply(suite, workflow(name, first, {**second, "dependsOn": ["a"]}))
    execution = await suite.begin(name)
    await suite.wait(execution)
    assert (await suite.delete(f"/api/v1/workflows/{name}")).status in (200, 204)
    answer = await suite.get(f"/api/v1/executions/{execution}{view}")
    assert answer.status == 200, answer.body
    if view == "/state":
        graph = answer.json["graph"]
        assert (graph["roots"], graph["leaves"]) == (["a"], ["b"])
