"""Hands on single nodes, sagas, failure policies, step-through: over REST, the CLI and the SDK."""

import itertools

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.errors import NotFound, WrongState
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, http_task, refusal, workflow
from tests.features.steps import http
from tests.features.steps import workflow as step_workflow

_numbers = itertools.count(1)
ONCE = {"maxAttempts": 1}
WITHIN_S = 20.0


async def started(suite: Suite, world: World, *tasks: Json, **spec: Json) -> tuple[str, str]:
    """A workflow of these tasks, each to the route of its `to`, and an execution of it."""
    number = next(_numbers)
    name = f"hands-{number}"
    routes = {each["to"] for each in tasks if "to" in each}
    routes |= {each["undo"] for each in tasks if "undo" in each}
    library = [http_task(f"{name}-{to}", world.url(to), retry=ONCE) for to in sorted(routes)]
    written = [written_task(name, each) for each in tasks]
    await applied(suite, *library, workflow(name, *written, **spec))
    answer = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {"order": 7}})
    assert answer.status == 202, answer.text
    return name, answer.json["executionId"]


def written_task(name: str, said: Json) -> Json:
    task = {key: value for key, value in said.items() if key not in ("to", "undo")}
    if "to" in said:
        task = {"taskRef": f"{name}-{said['to']}", "input": {"of": said["id"]}} | task
    if "undo" in said:
        seen = {"of": "{{undo.output.route}}", "got": "{{undo.input.of}}"}
        task["undo"] = {"taskRef": f"{name}-{said['undo']}", "input": seen}
    return task


async def reached(suite: Suite, execution: str, **expected: str) -> Json:
    """The execution once each of these tasks has this status."""
    found: Json = None

    async def there() -> bool:
        nonlocal found
        found = (await suite.get(f"/api/v1/executions/{execution}")).json
        return all(found["tasks"][task]["status"] == word for task, word in expected.items())

    await until(f"{expected} in {execution}", there, within_s=WITHIN_S)
    return found


async def ended(suite: Suite, execution: str, status: str) -> Json:
    found: Json = None

    async def there() -> bool:
        nonlocal found
        found = (await suite.get(f"/api/v1/executions/{execution}")).json
        return "endedAt" in found

    await until(f"the end of {execution}", there, within_s=WITHIN_S)
    assert found["status"] == status, found
    return found


async def held(suite: Suite, execution: str, task: str) -> Json:
    found: Json = None

    async def there() -> bool:
        nonlocal found
        found = (await suite.get(f"/api/v1/executions/{execution}")).json
        return bool(found["tasks"][task].get("held"))

    await until(f"{task} held in {execution}", there, within_s=WITHIN_S)
    return found


# --- single nodes ---


@pytest.mark.feature("S3-109")
async def test_a_person_retries_and_skips_what_failed(suite: Suite, world: World) -> None:
    """What is held waits; retried with another input it runs, skipped the others go on."""
    world.answers("card", status=400, times=1)
    world.answers("mail", status=400)
    _, execution = await started(
        suite, world,
        {"id": "charge", "to": "card", "onFailure": "HOLD"},
        {"id": "tell", "to": "mail", "onFailure": "HOLD", "dependsOn": ["charge"]},
        {"id": "close", "to": "close", "dependsOn": ["tell"]},
    )  # fmt: skip
    path = f"/api/v1/executions/{execution}/nodes"
    found = await held(suite, execution, "charge")
    assert found["tasks"]["charge"]["error"]["class"] == "ClientError"
    retried = await suite.post(
        f"{path}/charge:retry",
        {"input": {"of": "fixed"}, "reason": "a typo"},
        headers={"flowmesh-actor": "ann"},
    )
    assert retried.status == 202, retried.text
    await held(suite, execution, "tell")
    assert world.calls("card")[-1].json == {"of": "fixed"}
    skipped = await suite.post(f"{path}/tell:skip", {"reason": "by phone"})
    assert skipped.status == 202, skipped.text
    found = await ended(suite, execution, "completed")
    assert found["tasks"]["tell"]["status"] == "skipped"
    assert found["tasks"]["close"]["status"] == "success"
    events = await suite.events(execution)
    steered = [event["data"] for event in events if event["type"] == "NodeSteered"]
    assert [(one["action"], one["reason"]) for one in steered] == [
        ("RETRY", "a typo"),
        ("SKIP", "by phone"),
    ]
    assert steered[0]["actor"] == "ann"


@pytest.mark.feature("S3-109")
async def test_nodes_are_completed_and_outputs_replaced_by_hand(suite: Suite, world: World) -> None:
    """Through the SDK; what somebody has seen already is not replaced any more."""
    _, execution = await started(
        suite, world,
        {"id": "first", "to": "first"},
        {"id": "wait", "taskRef": "delay", "input": {"duration": "1h"}},
        {"id": "last", "to": "last", "input": {"sum": "{{tasks.first.output.sum}}"},
         "dependsOn": ["first", "wait"]},
    )  # fmt: skip
    await reached(suite, execution, first="success")
    async with Client(suite.grpc_address) as client:
        handle = client.handle(execution)
        await handle.override_output("first", {"sum": 12}, reason="miscounted")
        await handle.complete_node("wait", reason="no time")
        await handle.wait(WITHIN_S)
        assert world.calls("last")[0].json == {"sum": 12}
        with pytest.raises(WrongState, match="is completed already"):
            await handle.skip_node("last")


async def test_what_does_not_fit_is_refused_with_the_state(suite: Suite, world: World) -> None:
    """A node that is not there, one that runs, an undo that has not begun; nothing changes."""
    world.hold("slow")
    _, execution = await started(suite, world, {"id": "a", "to": "slow", "undo": "slow"})
    path = f"/api/v1/executions/{execution}"
    for node, action, expected in (
        ("nobody", "skip", (404, "NODE_NOT_FOUND")),
        ("a:undo", "retry", (404, "NODE_NOT_FOUND")),
        ("m%5B0%5D%2Fa", "skip", (404, "NODE_NOT_FOUND")),
        ("a", "retry", (409, "NODE_STATE_WRONG")),
        ("a", "override", (409, "NODE_STATE_WRONG")),
        ("a", "continue", (409, "NODE_STATE_WRONG")),
    ):
        answer = await suite.post(f"{path}/nodes/{node}:{action}", {})
        assert refusal(answer) == expected, answer.text
    refused = await suite.post(f"{path}:rerun", {})
    assert refusal(refused) == (409, "EXECUTION_RUNNING"), refused.text
    unknown = await suite.put(f"{path}/breakpoints", {"nodes": ["nobody"]})
    assert refusal(unknown) == (404, "NODE_NOT_FOUND"), unknown.text
    async with Client(suite.grpc_address) as client:
        with pytest.raises(NotFound):
            await client.handle(execution).retry_node("nobody")
    world.release("slow")
    await suite.post(f"{path}:cancel", {"compensate": False})


# --- sagas ---


@pytest.mark.feature("S1-190", "S4-55")
async def test_a_saga_is_undone_in_reverse_when_a_step_fails(suite: Suite, world: World) -> None:
    """Each undo sees what its step got and answered, under an idempotency key of its own."""
    world.answers("ship", status=400)
    _, execution = await started(
        suite, world,
        {"id": "reserve", "to": "reserve", "undo": "release"},
        {"id": "charge", "to": "charge", "undo": "refund", "dependsOn": ["reserve"]},
        {"id": "ship", "to": "ship", "dependsOn": ["charge"]},
    )  # fmt: skip
    found = await ended(suite, execution, "failed")
    assert found["compensation"] == "compensated"
    assert found["tasks"]["charge:undo"]["undoes"] == "charge"
    assert found["error"]["taskId"] == "ship"
    (refund,), (release,) = world.calls("refund"), world.calls("release")
    assert refund.at_ms < release.at_ms
    assert refund.json == {"of": "charge", "got": "charge"}
    assert refund.key
    assert refund.key != release.key
    types = [event["type"] for event in await suite.events(execution)]
    assert types.index("CompensationStarted") < types.index("WorkflowFailed")


async def test_a_failed_undo_waits_for_a_decision(suite: Suite, world: World) -> None:
    """The execution is not over until they say how it goes on; then it ends as canceled."""
    world.answers("refund", status=400, times=1)
    _, execution = await started(
        suite, world,
        {"id": "charge", "to": "charge", "undo": "refund"},
        {"id": "wait", "taskRef": "delay", "input": {"duration": "1h"}, "dependsOn": ["charge"]},
    )  # fmt: skip
    await reached(suite, execution, charge="success")
    path = f"/api/v1/executions/{execution}"
    assert (await suite.post(f"{path}:cancel", {"reason": "no more"})).status == 202

    async def stuck() -> bool:
        return bool((await suite.get(path)).json.get("compensation") == "failed")

    await until("an undo that failed", stuck, within_s=WITHIN_S)
    refused = await suite.post(f"{path}:pause", {})
    assert refusal(refused) == (409, "EXECUTION_COMPENSATING"), refused.text
    assert (await suite.post(f"{path}/nodes/charge:undo:retry", {})).status == 202
    found = await ended(suite, execution, "canceled")
    assert found["compensation"] == "compensated"
    assert len(world.calls("refund")) == 2


@pytest.mark.feature("S3-88")
async def test_a_failure_takes_its_error_path_or_stops_the_others(
    suite: Suite, world: World
) -> None:
    """As the workflow says; whoever watches is told by the last event, a counter, a callback."""
    world.answers("bad", status=400)
    _, handled = await started(
        suite, world,
        {"id": "bad", "to": "bad"},
        {"id": "mend", "to": "mend", "dependsOn": [{"task": "bad", "on": "failure"}]},
        onFailure="CANCEL",
    )  # fmt: skip
    await ended(suite, handled, "completed")
    assert world.calls("mend")
    name, stopped = await started(
        suite, world,
        {"id": "bad", "to": "bad"},
        {"id": "long", "taskRef": "delay", "input": {"duration": "1h"}},
        onFailure="CANCEL",
    )  # fmt: skip
    found = await ended(suite, stopped, "failed")
    assert found["tasks"]["long"]["status"] == "canceled"
    assert (await suite.events(stopped))[-1]["type"] == "WorkflowFailed"
    (counted,) = (await suite.get(f"/api/v1/stats?workflow={name}")).json["workflows"]
    assert (counted["started"], counted["failed"]) == (1, 1)
    hooks = {"onFailure": world.url("alert")}
    told = await suite.run(step_workflow(http(world, "bad"), webhooks=hooks))
    (alert,) = await world.called("alert")
    assert alert.json["executionId"] == told["executionId"]
    assert alert.json["error"]["class"] == "ClientError"


@pytest.mark.feature("S3-85", "S3-86", "S3-121")
async def test_joins_of_parallel_branches(suite: Suite, world: World) -> None:
    """Both branches whose conditions hold run; joins wait for the first, the last, or enough."""
    decision = {
        "id": "pick",
        "decision": {
            "match": "ALL",
            "conditions": [
                {"id": "one", "expression": "input.order > 1"},
                {"id": "two", "expression": "input.order > 2"},
                {"id": "never", "expression": "input.order > 100"},
            ],
        },
    }
    world.hold("two")
    branches = ["one", "two", "never"]
    _, execution = await started(
        suite, world,
        decision,
        {"id": "one", "to": "one", "dependsOn": [{"task": "pick", "on": "one"}]},
        {"id": "two", "to": "two", "dependsOn": [{"task": "pick", "on": "two"}]},
        {"id": "never", "to": "never", "dependsOn": [{"task": "pick", "on": "never"}]},
        {"id": "any", "to": "any", "join": "ANY", "dependsOn": branches},
        {"id": "all", "to": "all", "join": "ALL", "dependsOn": branches},
        {"id": "pair", "to": "pair", "join": {"count": 2}, "dependsOn": branches},
        {"id": "must", "to": "must", "join": {"required": ["two"]}, "dependsOn": branches},
        {"id": "three", "to": "three", "join": {"count": 3}, "dependsOn": branches},
    )  # fmt: skip
    await world.called("two")
    await reached(suite, execution, any="success", all="pending", pair="pending", must="pending")
    world.release("two")
    found = await ended(suite, execution, "completed")
    words = {name: task["status"] for name, task in found["tasks"].items()}
    assert words | {"all": "success", "pair": "success", "must": "success"} == words
    assert (words["never"], words["three"]) == ("skipped", "skipped")
    assert not world.calls("never")


async def test_what_runs_in_the_end_however_it_went(suite: Suite, world: World) -> None:
    """`finally` runs behind success, behind a handler and behind a failure, which stays one."""
    world.answers("bad", status=400)
    for to, catch, status in (
        ("good", None, "completed"),
        ("bad", [{"tasks": [{"id": "handle", "taskRef": "noop"}]}], "completed"),
        ("bad", None, "failed"),
    ):
        world.answers("last", json={})
        before = len(world.calls("last"))
        name = f"finally-{next(_numbers)}"
        library = [http_task(f"{name}-{r}", world.url(r), retry=ONCE) for r in (to, "last")]
        body: Json = {
            "tasks": [{"id": "work", "taskRef": f"{name}-{to}"}],
            "finally": {"tasks": [{"id": "last", "taskRef": f"{name}-last"}]},
        }
        if catch:
            body["catch"] = catch
        await applied(suite, *library, workflow(name, {"id": "guarded", "try": body}))
        answer = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {}})
        await ended(suite, answer.json["executionId"], status)
        assert len(world.calls("last")) == before + 1


# --- step by step ---


@pytest.mark.feature("S1-191")
async def test_a_breakpoint_stops_at_one_node_to_look_around(suite: Suite, world: World) -> None:
    """What is before it runs by itself; what it would go on with is seen; then it goes on."""
    world.hold("a")
    world.answers("a", json={"sum": 3})
    _, execution = await started(
        suite, world,
        {"id": "a", "to": "a"},
        {"id": "b", "to": "b", "input": {"sum": "{{tasks.a.output.sum}}"}, "dependsOn": ["a"]},
        {"id": "c", "to": "c", "dependsOn": ["b"]},
    )  # fmt: skip
    await world.called("a")
    path = f"/api/v1/executions/{execution}"
    stop = await suite.put(f"{path}/breakpoints", {"nodes": ["b"]})
    assert stop.status == 202, stop.text
    world.release("a")
    found = await held(suite, execution, "b")
    assert found["breakpoints"] == {"all": False, "nodes": ["b"]}
    last = (await suite.get(f"{path}/history")).json["events"][-1]["sequence"]
    state = (await suite.get(f"{path}/state?at={last}")).json
    assert (state["variables"]["tasks"], state["stopped"]) == ({"a": {"sum": 3}}, ["b"])
    assert not world.calls("b")
    assert (await suite.post(f"{path}/nodes/b:continue", {})).status == 202
    await ended(suite, execution, "completed")
    assert world.calls("b")[0].json == {"sum": 3}
    assert len(world.calls("c")) == 1


@pytest.mark.feature("S0-101", "S1-191")
async def test_an_execution_is_gone_through_step_by_step(suite: Suite, world: World) -> None:
    """Each task waits until somebody looks, changes its input if need be, and lets it begin."""
    name, first = await started(
        suite, world,
        {"id": "a", "to": "a"},
        {"id": "b", "to": "b", "input": {"was": "{{tasks.a.output.route}}"}, "dependsOn": ["a"]},
        {"id": "c", "to": "c", "dependsOn": ["b"]},
    )  # fmt: skip
    await ended(suite, first, "completed")
    async with Client(suite.grpc_address) as client:
        handle = await client.start(name, {"order": 8}, stop_everywhere=True)
        found = await held(suite, handle.id, "a")
        assert found["breakpoints"] == {"all": True, "nodes": []}
        assert len(world.calls("a")) == 1
        stepped = await command(suite, "step", handle.id, "next")
        assert stepped.code == 0, stepped.err
        await held(suite, handle.id, "b")
        path = f"/api/v1/executions/{handle.id}"
        assert (await suite.get(f"{path}")).json["tasks"]["a"]["status"] == "success"
        let = await suite.post(f"{path}/nodes/b:continue", {"input": {"was": "edited"}})
        assert let.status == 202, let.text
        await held(suite, handle.id, "c")
        assert world.calls("b")[-1].json == {"was": "edited"}
        shown = await command(suite, "step", handle.id)
        assert shown.lines == [f"{handle.id}: running", "  stopped before c"]
        off = await suite.put(f"{path}/breakpoints", {})
        assert off.status == 202, off.text
        await ended(suite, handle.id, "completed")


# --- people ---


@pytest.mark.feature("S2-61")
async def test_a_process_waits_for_two_people(suite: Suite, world: World) -> None:
    """One decides over REST with a form, the other on the command line; then it goes on."""
    form = {"type": "object", "required": ["limit"], "properties": {"limit": {"type": "integer"}}}
    _, execution = await started(
        suite, world,
        {"id": "lead", "approval": {"assignees": ["ann", "bob"], "needs": "ANY", "form": form,
                                    "title": "Order {{input.order}}"}},
        {"id": "money", "approval": {"assignees": ["cem"], "onReject": "CONTINUE"},
         "dependsOn": ["lead"]},
        {"id": "buy", "to": "buy", "dependsOn": [{"task": "money", "on": "approved"}],
         "input": {"limit": "{{tasks.lead.output.decisions[0].form.limit}}"}},
        {"id": "sorry", "to": "sorry", "dependsOn": [{"task": "money", "on": "rejected"}]},
    )  # fmt: skip
    path = f"/api/v1/executions/{execution}"
    found = await reached(suite, execution, lead="running")
    asked = found["tasks"]["lead"]["approval"]
    assert (asked["assignees"], asked["needed"]) == (["ann", "bob"], 1)
    assert asked["details"]["title"] == "Order 7"
    assert asked["form"] == form
    for body, expected in (
        ({"by": "eve", "approved": True, "form": {"limit": 1}}, (409, "NODE_STATE_WRONG")),
        ({"by": "ann", "approved": True, "form": {"limit": "x"}}, (400, "FORM_INVALID")),
        ({"by": "ann", "approved": True}, (400, "FORM_INVALID")),
        ({"approved": True, "form": {"limit": 1}}, (400, "REQUEST_INVALID")),
    ):
        refused = await suite.post(f"{path}/nodes/lead:decide", body)
        assert refusal(refused) == expected, refused.text
    decided = await suite.post(
        f"{path}/nodes/lead:decide", {"by": "ann", "approved": True, "form": {"limit": 50}}
    )
    assert (decided.status, decided.json["outcome"]) == (202, "approved"), decided.text
    again = await suite.post(
        f"{path}/nodes/lead:decide", {"by": "bob", "approved": True, "form": {"limit": 9}}
    )
    assert refusal(again) == (409, "NODE_STATE_WRONG"), again.text
    await reached(suite, execution, money="running")
    listed = (await suite.get("/api/v1/approvals?assignee=cem")).json["approvals"]
    assert [(one["executionId"], one["task"]) for one in listed] == [(execution, "money")]
    for nobody in ("ann", "eve"):
        assert (await suite.get(f"/api/v1/approvals?assignee={nobody}")).json["approvals"] == []
    everything = await command(suite, "approvals", "--json")
    assert [one["node"] for one in everything.json] == ["money"]
    shown = await command(suite, "get", "execution", execution)
    assert "waits for approval by cem" in shown.out
    approved = await command(suite, "approve", execution, "money", "--by", "cem")
    assert approved.lines == [f"{execution}: money is approved"], approved.err
    await ended(suite, execution, "completed")
    assert world.calls("buy")[0].json == {"limit": 50}
    assert not world.calls("sorry")
    assert (await suite.get("/api/v1/approvals?assignee=cem")).json["approvals"] == []


@pytest.mark.feature("S3-28")
async def test_a_task_that_was_given_up_is_listed_and_queued_again(
    suite: Suite, world: World
) -> None:
    """With its queue, its failure and its attempts; a rerun from it queues it again."""
    world.answers("gone", status=503, times=1)
    _, execution = await started(suite, world, {"id": "post", "to": "gone", "queue": "posting"})
    await ended(suite, execution, "failed")
    listed = (await suite.get("/api/v1/dead-letters")).json
    (letter,) = [one for one in listed["letters"] if one["executionId"] == execution]
    assert (letter["task"], letter["queue"], letter["attempts"]) == ("post", "posting", 1)
    assert letter["error"]["class"] == "ServerError"
    again = await suite.post(f"/api/v1/executions/{execution}:rerun", {"fromNodes": ["post"]})
    await ended(suite, again.json["executionId"], "completed")
    assert len(world.calls("gone")) == 2
