"""Golden workflows of what came after the first version, run by `record.py`.

Bodies (maps, loops, races, tries), state machines, undoing, children, runs that continue as new,
waits with a key, approvals, durable handlers, values to be found by, and what people do to an
execution: retries, skips, breakpoints, reruns, erasure. Some end, some stay open on purpose.
"""

from collections.abc import Callable
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, DurableContext, Retry, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.natives import applied, http_task, workflow

WITHIN_S = 30.0
LONG = {"duration": "1h"}
FOUND: dict[str, Json] = {
    "searchable": ["input.n"],
    "searchAttributes": {
        "size": {"type": "number", "from": "{{ input.n }}"},
        "kind": {"type": "text"},
    },
}
ROUTES = ("work", "refused", "flaky", "mend", "undo", "jammed")
ONCE = {"maxAttempts": 1}


def http(task_id: str, route: str = "work", *after: str, **more: Json) -> Json:
    return {"id": task_id, "taskRef": f"young-{route}", "input": {"of": task_id},
            "dependsOn": list(after), **more}  # fmt: skip


def undone(task_id: str, *after: str, by: str = "undo", **more: Json) -> Json:
    """Work that can be undone, with what it got and answered."""
    seen = {"got": "{{undo.input.of}}", "answered": "{{undo.output.route}}"}
    return http(task_id, "work", *after, undo={"taskRef": f"young-{by}", "input": seen}, **more)


def own(task_id: str, kind: str, *after: str, **more: Json) -> Json:
    return {"id": task_id, "taskRef": kind, "dependsOn": list(after), **more}


def ending() -> list[Json]:
    """Workflows that come to their end by themselves."""
    items = {"items": "{{input.list}}", "concurrency": 2}
    count = {"source": ["{{add(state, 1)}}"], "pipeline": [{"operation": "first"}]}
    call = {"workflow": "young-child", "input": {"n": "{{input.n}}"}}
    refused = {"workflow": "young-child-refused", "input": {}}
    again = {"input": {"n": "{{sub(input.n, 1)}}"}}
    late = {"event": "paid", "correlate": "{{input.n}}", "onTimeout": {"paid": False}}
    guarded = {"tasks": [http("risky", "refused")], "catch": [{"tasks": [http("mends", "mend")]}],
               "finally": {"tasks": [http("cleans")]}}  # fmt: skip
    inner = {"items": "{{item.inner}}", "tasks": [own("leaf", "noop", condition="item > 1")]}
    return [
        workflow("young-map",
                 {"id": "each", "map": {**items, "tasks": [
                     http("call", input={"of": "{{item.n}}", "at": "{{index}}"}),
                     {"id": "cells", "map": inner, "dependsOn": ["call"]}]}},
                 http("after", "work", "each"), output={"all": "{{tasks.each.output}}"}),
        workflow("young-tolerant", {"id": "each", "map": {
            **items, "tolerate": {"count": 3}, "tasks": [http("call", "refused")]}}),
        workflow("young-loop", {"id": "rounds", "loop": {
            "while": "state < 3", "state": 0, "tasks": [own("count", "transform", input=count)]}}),
        workflow("young-race", {"id": "first", "race": {"tasks": [
            own("slow", "delay", input=LONG), http("quick")]}}),
        workflow("young-try", {"id": "guarded", "try": guarded}),
        workflow("young-undone", undone("a"), undone("b", "a"),
                 {"id": "each", "map": {**items, "tasks": [undone("one")]}, "dependsOn": ["b"]},
                 http("c", "refused", "each")),
        workflow("young-undone-at-once", undone("a"), undone("b"), undone("c", "a", "b"),
                 http("d", "refused", "c", onFailure="COMPENSATE"),
                 compensation={"order": "PARALLEL"}),
        workflow("young-child", undone("a"), own("b", "delay", "a", input={"duration": "5ms"}),
                 output="{{input}}"),
        workflow("young-child-refused", undone("a"), http("b", "refused", "a")),
        workflow("young-parent", {"id": "below", "subworkflow": call},
                 {"id": "beside", "subworkflow": {**call, "wait": False}},
                 http("after", "work", "below", "beside")),
        workflow("young-parent-refused", undone("a"),
                 {"id": "below", "subworkflow": refused, "retry": {
                     "maxAttempts": 2, "initialDelay": "5ms"}, "dependsOn": ["a"]}),
        workflow("young-goes-on", http("a"), {"id": "again", "condition": "input.n > 6",
                 "continueAsNew": again, "dependsOn": ["a"]}),
        workflow("young-late", {"id": "paid", "wait": late, "timeout": "5ms"}),
        workflow("young-erased", http("a"), **FOUND),
        workflow("young-handled", http("bad", "refused"),
                 {**http("mends", "mend"), "dependsOn": [{"task": "bad", "on": "failure"}]},
                 own("long", "delay", input={"duration": "5ms"}),
                 {**own("pair", "noop", "long", "mends"), "join": {"count": 1}}),
    ]  # fmt: skip


def machine() -> Json:
    """Amazon States: a circle that is left by a choice."""
    states = {
        "Add": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Enough"},
        "Enough": {"Type": "Choice", "Default": "Add", "Choices": [
            {"Variable": "$.n", "NumericGreaterThanEquals": 9, "Next": "Done"}]},
        "Done": {"Type": "Succeed"},
    }  # fmt: skip
    return {"Name": "young-machine", "StartAt": "Add", "States": states}


def asked(name: str, *after: Json, **said: Json) -> Json:
    approval = {"assignees": ["ann", "bob"], "title": "Number {{input.n}}", **said}
    return workflow(name, {"id": "asks", "approval": approval}, *after)


def steered() -> list[Json]:
    """Return workflows that wait for an action of a caller."""
    keyed = {"event": "paid", "correlate": "{{input.n}}"}
    chain = (http("a"), http("b", "work", "a"), http("c", "work", "b"))
    held = (http("a", "flaky", onFailure="HOLD"), http("b", "refused", "a", onFailure="HOLD"),
            own("wait", "delay", "b", input=LONG), http("c", "work", "wait"))  # fmt: skip
    unserved = {"tasks": [own("theirs", "young-nobody")]}
    return [
        asked("young-approved", http("buys", "work", "asks")),
        asked("young-rejected", onReject="CONTINUE"),
        asked("young-escalated", deadline="20ms", escalateTo="boss", onDeadline="REJECT"),
        asked("young-asking", deadline="1h", escalateTo="boss"),
        workflow("young-steered", *held),
        workflow("young-held", *held),
        workflow("young-stepped", *chain),
        workflow("young-stopped", *chain),
        workflow("young-paused", own("wait", "delay", input=LONG), http("after", "work", "wait")),
        workflow("young-resumed", own("wait", "signal", input={"name": "go"}),
                 http("after", "work", "wait")),
        workflow("young-found", own("wait", "delay", input=LONG), **FOUND),
        workflow("young-jammed", undone("a", by="jammed"), undone("b", "a"),
                 http("c", "refused", "b")),
        workflow("young-canceled", undone("a"), own("wait", "delay", "a", input=LONG)),
        workflow("young-rerun", http("a"), http("b", "work", "a"), http("c", "flaky", "b")),
        workflow("young-keyed", {"id": "paid", "wait": keyed}),
        workflow("young-open-map", {"id": "each", "map": {
            "items": "{{input.list}}", "concurrency": 2, **unserved}}),
        workflow("young-open-loop", {"id": "rounds", "loop": {
            "while": "state < 3", "state": 0, **unserved}}),
        workflow("young-open-parent", {"id": "below", "subworkflow": {
            "workflow": "young-open-keyed", "input": "{{input}}"}}),
        workflow("young-open-keyed", {"id": "paid", "wait": keyed}),
    ]  # fmt: skip


class Recording:
    """The shared parts of a recording: its suite, and the names of the executions."""

    def __init__(self, suite: Suite, client: Client) -> None:
        self._suite = suite
        self.client = client
        self.input = {"n": 7, "list": [{"n": n, "inner": [n, 2]} for n in range(3)]}

    async def begin(self, name: str, **options: Json) -> str:
        """An execution's path."""
        handle = await self.client.start(name, self.input, **options)
        return f"/api/v1/executions/{handle.id}"

    async def post(self, path: str, body: Json = None, method: str = "POST") -> Json:
        answer = await self._suite.request(
            method, path, body or {}, headers={"flowmesh-actor": "ann"}
        )
        assert answer.status < 300, answer.text
        return answer.json if answer.body else None

    async def shows(self, path: str, there: Callable[[Json], bool]) -> None:
        """Returns when the execution looks so."""

        async def looks() -> bool:
            return there((await self._suite.get(path)).json)

        await until(f"{path} as it should be", looks, within_s=WITHIN_S)

    async def ended(self, path: str) -> None:
        await self.shows(path, lambda found: "endedAt" in found)

    async def held(self, path: str, task: str) -> None:
        await self.shows(path, lambda found: bool(found["tasks"][task].get("held")))

    async def told(self, signal: Json) -> None:
        """Return after an execution waits with the key of the signal."""

        async def was_told() -> bool:
            return (await self._suite.post("/api/v1/signals", signal)).status == 202

        await until("an execution waits with the key", was_told, within_s=WITHIN_S)

    async def running(self, path: str, task: str) -> None:
        await self.shows(path, lambda found: bool(found["tasks"][task]["status"] == "running"))


async def recorded(suite: Suite, world: World) -> None:
    """Runs everything; returns when what can end has ended."""
    world.answers("refused", status=400)
    world.answers("jammed", status=400)
    library = [http_task(f"young-{name}", world.url(name), retry=ONCE) for name in ROUTES]
    unserved = {"kind": "WorkflowTask", "apiVersion": "workflow.io/v1",
              "metadata": {"name": "young-nobody"}, "spec": {"type": "nobody.serves"}}  # fmt: skip
    resources = [*library, unserved, *ending(), *steered()]
    await applied(suite, *resources)
    async with Client(suite.grpc_address) as client:
        run = Recording(suite, client)
        await suite.define(machine())
        for name in [each["metadata"]["name"] for each in ending()] + ["young-machine"]:
            if "child" not in name:
                await run.ended(await run.begin(name))
        for people in (_decided, _steered, _stepped, _undone, _again, _found, _told, _left_open):
            await people(run, world)
        await _durable(client)


async def _decided(run: Recording, world: World) -> None:
    """Approvals: by all, rejected by one, expired, and still open."""
    for name, decisions in (
        ("young-approved", [("ann", True), ("bob", True)]),
        ("young-rejected", [("bob", False)]),
        ("young-escalated", []),
        ("young-asking", [("ann", True)]),
    ):
        path = await run.begin(name)
        await run.running(path, "asks")
        for by, approved in decisions:
            said = {"by": by, "approved": approved, "comment": f"says {by}"}
            await run.post(f"{path}/nodes/asks:decide", said)
        if name != "young-asking":
            await run.ended(path)


async def _steered(run: Recording, world: World) -> None:
    """Retried with another input, skipped, completed and replaced by hand; held and left so."""
    world.answers("flaky", status=400, times=1)
    path = await run.begin("young-steered")
    await run.held(path, "a")
    await run.post(f"{path}/nodes/a:retry", {"input": {"of": "fixed"}, "reason": "a typo"})
    await run.held(path, "b")
    await run.post(f"{path}/nodes/b:skip", {"reason": "by phone"})
    await run.running(path, "wait")
    await run.post(f"{path}/nodes/wait:complete", {"output": {"rested": True}})
    await run.ended(path)
    await run.held(await run.begin("young-held"), "b")


async def _stepped(run: Recording, world: World) -> None:
    """Gone through by breakpoints, the second before it begins with another input; and stopped."""
    for name in ("young-stepped", "young-stopped"):
        path = await run.begin(name, stop_everywhere=True)
        await run.held(path, "a")
        await run.post(f"{path}/nodes/a:continue")
        await run.held(path, "b")
        if name == "young-stopped":
            continue
        await run.post(f"{path}/nodes/b:continue", {"input": {"of": "edited"}})
        await run.held(path, "c")
        await run.post(f"{path}/breakpoints", {}, method="PUT")
        await run.ended(path)


async def _undone(run: Recording, world: World) -> None:
    """Canceled and compensated; a failed compensation is held."""
    path = await run.begin("young-canceled")
    await run.running(path, "wait")
    await run.post(f"{path}:cancel", {"reason": "no more"})
    await run.ended(path)
    path = await run.begin("young-jammed")
    await run.shows(path, lambda found: bool(found.get("compensation") == "failed"))


async def _again(run: Recording, world: World) -> None:
    """Run again from a task on, with the results of what was before it."""
    world.answers("flaky", status=400, times=1)
    path = await run.begin("young-rerun")
    await run.ended(path)
    asked_for = {"fromNodes": ["b"], "requestId": "again"}
    again = await run.post(f"{path}:rerun", asked_for)
    await run.ended(f"/api/v1/executions/{again['executionId']}")


async def _found(run: Recording, world: World) -> None:
    """Values changed while it runs, and an execution whose values were erased."""
    path = await run.begin("young-found", labels={"team": "blue"})
    execution_id = path.rpartition("/")[2]
    await run.client.set_search_attributes(execution_id, {"kind": "large", "size": None})
    path = await run.begin("young-erased", labels={"team": "blue"})
    await run.ended(path)
    await run.post(f"{path}:erase", {"reason": "they asked"})


async def _told(run: Recording, world: World) -> None:
    """Paused, and one resumed; signaled by a key."""
    await run.post(f"{await run.begin('young-paused')}:pause", {"reason": "a look"})
    path = await run.begin("young-resumed")
    await run.post(f"{path}:pause", {"reason": "a look"})
    await run.post(f"{path}:signal", {"name": "go", "payload": {"by": "ann"}})
    await run.post(f"{path}:resume", {"reason": "seen"})
    await run.ended(path)
    path = await run.begin("young-keyed")
    await run.told({"name": "paid", "key": "7", "payload": {"by": "card"}, "requestId": "once"})
    await run.ended(path)


async def _left_open(run: Recording, world: World) -> None:
    """Bodies, children and waits in the middle of what they do."""
    for name in ("young-open-map", "young-open-loop", "young-open-parent"):
        await run.begin(name)


async def _durable(client: Client) -> None:
    """A handler that has ended, and one that waits for a task without a worker."""
    worker = Worker(client)

    @worker.task("young-callee")
    async def callee(given: Json) -> Json:
        return given * 2

    @worker.durable("young-durable", retry=Retry(attempts=2, initial="5ms"))
    async def handler(ctx: DurableContext, given: Json) -> Json:
        first = await ctx.step("reserve", lambda: {"reserved": given["n"]})
        await ctx.sleep(0.01)
        doubled = await ctx.call("young-callee", given["n"])
        return [first, doubled, await ctx.wait_signal("go")]

    async with worker:
        for signaled in (True, False):
            handle = await client.start("young-durable", {"n": 4})
            if signaled:
                await handle.signal("go", "now")
                await handle.result(WITHIN_S)
                continue

            async def left(one: Any = handle) -> bool:
                return "TaskSuspended" in [event.type async for event in client.history(one.id)]

            await until("the handler leaves its worker", left, within_s=WITHIN_S)
