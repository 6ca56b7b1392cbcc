"""Writes golden histories, in the tree to keep them of: `python -m tests.golden.record FOLDER SET`.

Runs one of the `SETS` of workflows on a suite of that tree and writes each execution as one JSON
file: its row, its plan, its history as stored, snapshots of it on the way, and the state all that
stands for. The folder is named after the commit. What is written is never changed again: the tests
prove that the code of now makes the same state of it.
"""

import asyncio
import base64
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.contract.json_value import Json
from flowmesh.engine import replay
from flowmesh.orchestrator.storage.snapshots import snapshot
from flowmesh.plan import compile_plan
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.steps import http, retry, step
from tests.golden import younger
from tests.golden.shape import described

SETTLED_S = 30.0
DAY_MS = 86_400_000
# Still open when it is written, long due when it is read.
OPEN_MS = 20_000
# Parts of an execution that are stored besides its history.
TABLES = ("ready", "waits", "search_values")
_OF = "select * from orchestrator.{} where execution_id = $1"
YAML = {"content-type": "application/yaml"}
COLUMNS = (
    "partition, namespace, workflow_id, workflow_name, workflow_version, plan_digest, status,"
    " request_id, start_digest, started_at, ended_at, wake_at, ready_since, queue, priority"
)


def flow(name: str, *steps: Json, **more: Json) -> Json:
    return {"id": name, "name": name, "steps": list(steps), **more}


def none(step_id: str, *after: str) -> Json:
    """A step that does nothing."""
    return {"id": step_id, "name": step_id, "dependencies": list(after)}


def ending(world: World) -> list[Json]:
    """Step-JSON workflows that come to their end by themselves."""
    fan = [http(world, f"branch-{number}", "root") for number in range(8)]
    code = "return input.list.map(n => n * 2)"
    return [
        flow("sequence", http(world, "first"), none("none", "first"), http(world, "last", "none")),
        flow("fan-out", http(world, "root"), *fan, http(world, "join", *(s["id"] for s in fan))),
        flow(
            "retried", http(world, "flaky", retryPolicy=retry(5, 10, 2)), http(world, "b", "flaky")
        ),
        flow(
            "exhausted",
            http(world, "down", retryPolicy=retry(2)),
            http(world, "after", "down"),
            none("beside"),
        ),
        flow(
            "not-critical",
            http(world, "down", critical=False),
            http(world, "other"),
            http(world, "below", "down"),
        ),
        flow(
            "timers",
            step("short", "delay", {"duration": 20}),
            http(world, "then", "short"),
            step("again", "delay", {"duration": 5}, "then"),
        ),
        flow(
            "gates",
            step("large", "condition", {"expression": "context.amount > 100"}),
            step("small", "condition", {"expression": "context.amount <= 100"}),
            http(world, "gift", "small"),
            http(world, "card", "gift"),
            http(world, "mail", "large"),
        ),
        flow(
            "by-reference",
            http(world, "huge"),
            step("counts", "function", {"code": "return context.huge.text.length"}, "huge"),
        ),
        flow("few-at-once", *(http(world, f"task-{n}") for n in range(6)), maxConcurrency=2),
        flow(
            "told",
            http(world, "charge"),
            http(world, "ship", "charge"),
            webhooks={hook: world.url(hook) for hook in ("onComplete", "onFailure", "onStep")},
        ),
        flow("late", http(world, "slow", timeout=60), http(world, "after", "slow")),
        flow(
            "out-of-time",
            step("days", "delay", {"duration": DAY_MS}),
            http(world, "after", "days"),
            timeout=150,
        ),
        flow(
            "code",
            http(world, "list"),
            step("double", "transform", {"inputKey": "list", "code": code}, "list"),
        ),
        flow("throws", step("bad", "function", {"code": "throw new Error('no')"})),
    ]


def staying(world: World) -> list[Json]:
    """Step-JSON workflows that stay open: for a timer, an answer, a worker, a retry, a slot."""
    later = retry(3, OPEN_MS)
    return [
        flow(
            "open-timer",
            http(world, "first"),
            step("days", "delay", {"duration": OPEN_MS}, "first"),
            none("end", "days"),
        ),
        flow(
            "open-worker",
            http(world, "first"),
            step("theirs", "nobody.serves", {"a": 1}, "first", queue="special", priority="HIGH"),
            none("end", "theirs"),
        ),
        flow(
            "open-two-queues",
            step("one", "nobody.serves", {}, queue="left"),
            step("two", "nobody.serves", {}, queue="right"),
            none("end", "one", "two"),
        ),
        flow("open-retry", http(world, "later", retryPolicy=later), none("end", "later")),
        flow(
            "open-few",
            *(step(f"task-{n}", "nobody.serves", {}) for n in range(4)),
            maxConcurrency=2,
        ),
        flow(
            "open-fan-in",
            step("theirs", "nobody.serves", {}),
            http(world, "mine"),
            none("join", "theirs", "mine"),
        ),
    ]


def native(world: World) -> str:
    """The other dialect: resources, templates, conditions, an output."""
    return f"""
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {{name: golden-post}}
spec:
  type: http
  timeout: 10s
  retry: {{maxAttempts: 3}}
  http: {{method: POST, url: "{world.url("native")}", body: "{{{{input}}}}"}}
---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {{name: golden-remote}}
spec: {{type: nobody.serves}}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {{name: native-all}}
spec:
  inputSchema: {{type: object, required: [n], properties: {{n: {{type: integer}}}}}}
  parallelism: 2
  tasks:
    - {{id: a, taskRef: golden-post, input: {{n: "{{{{input.n}}}}", text: "n is {{{{input.n}}}}"}}}}
    - {{id: b, taskRef: golden-post, input: {{from: "{{{{tasks.a.output.n}}}}"}}, priority: HIGH}}
    - {{id: c, taskRef: golden-post, condition: "input.n > 100", dependsOn: [a]}}
    - {{id: d, taskRef: noop, dependsOn: [b, c]}}
    - {{id: e, taskRef: golden-post, dependsOn: [b], input: "{{{{tasks.b.output}}}}"}}
  output: {{answer: "{{{{tasks.e.output}}}}", n: "{{{{input.n}}}}"}}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {{name: native-open}}
spec:
  tasks:
    - {{id: a, taskRef: golden-post, input: {{n: 1}}}}
    - {{id: b, taskRef: golden-remote, dependsOn: [a], input: {{n: "{{{{tasks.a.output.n}}}}"}}}}
    - {{id: c, taskRef: noop, dependsOn: [b]}}
  output: {{answer: "{{{{tasks.b.output}}}}"}}
"""


def scripted(world: World) -> None:
    world.answers("flaky", status=503, times=2)
    world.answers("flaky", json={"at": "last"})
    world.answers("down", status=400, json={"error": "no"})
    world.answers("later", status=503)
    world.answers("huge", json={"text": "x" * 300_000})
    world.answers("list", json={"list": [1, 2, 3]})
    world.answers("slow", delay_ms=400)
    world.answers("native", make=lambda call: call.json)


async def changed(suite: Suite, world: World) -> None:
    """Executions that callers change: signaled, canceled, terminated, signaled and left open."""
    stub: Any = pb_grpc.ExecutionServiceStub(suite.channel)
    world.hold("held")
    endings = ("signaled", "canceled", "terminated", "open-signaled")
    ids = {}
    for name in endings:
        held = [] if name == "open-signaled" else [http(world, "held")]
        theirs = step("theirs", "nobody.serves", {})
        await suite.define(
            flow(name, *(held or [theirs]), none("end", "held" if held else "theirs"))
        )
        ids[name] = await suite.begin(name, {"name": name})
    await world.called("held", 3)
    for name in ("signaled", "open-signaled"):
        for number in (1, 2, 2):
            await stub.SignalExecution(
                pb.SignalExecutionRequest(
                    execution_id=ids[name],
                    name=f"signal-{number}",
                    payload=payload_pb2.Payload(data=b'{"n":%d}' % number),
                    request_id=f"signal-{number}",
                    actor="somebody",
                )
            )
    about: dict[str, Any] = {"reason": "not needed", "request_id": "once", "actor": "somebody"}
    await stub.CancelExecution(pb.CancelExecutionRequest(execution_id=ids["canceled"], **about))
    await stub.TerminateExecution(
        pb.TerminateExecutionRequest(execution_id=ids["terminated"], **about)
    )
    world.release("held")
    await suite.wait(ids["signaled"])


async def recorded(suite: Suite, world: World) -> None:
    """Runs everything; returns when nothing changes any more."""
    scripted(world)
    for definition in ending(world):
        context = {
            "amount": 150,
            "text": "y" * 280_000 if definition["id"] == "by-reference" else "",
        }
        await suite.run(definition, context)
    answer = await suite.post("/api/v1/workflows", data=native(world).encode(), headers=YAML)
    assert answer.status == 201, answer.text
    for n in (7, 700):
        await suite.wait(await suite.begin("native-all", {"n": n}))
    for definition in staying(world):
        await suite.begin(await suite.define(definition), {"amount": 1})
    await suite.begin("native-open")
    await changed(suite, world)
    await world.called("later")


async def settled(suite: Suite) -> None:
    """Returns when two looks at the histories a second apart find the same."""
    count = "select count(*) from orchestrator.history"
    connection = await asyncpg.connect(str(suite.about["postgres"]))
    try:
        async with asyncio.timeout(SETTLED_S):
            before = -1
            while before != (before := await connection.fetchval(count)):
                await connection.execute("select pg_sleep(1)")
    finally:
        await connection.close()


def text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


async def write(suite: Suite, folder: Path) -> None:
    connection = await asyncpg.connect(str(suite.about["postgres"]))
    try:
        for row in await connection.fetch(f"select id, {COLUMNS} from orchestrator.executions"):
            digest = row["plan_digest"]
            body = await connection.fetchval(
                "select body from orchestrator.plans where digest = $1", digest
            )
            history = await connection.fetch(
                "select seq, events from orchestrator.history where execution_id = $1 order by seq",
                row["id"],
            )
            name = row["workflow_id"]
            path = folder / f"{name}.json"
            if path.exists():
                path = folder / f"{name}-2.json"
            content = golden(dict(row), body, history)
            content["tables"] = {
                table: [dict(each) for each in await connection.fetch(_OF.format(table), row["id"])]
                for table in TABLES
            }
            path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    finally:
        await connection.close()


def golden(row: Json, body: bytes, history: list[Any]) -> Json:
    """All that is kept of one execution."""
    plan = compile_plan(plan_pb2.Plan.FromString(body))
    batches = [
        history_event_pb2.HistoryEvents.FromString(each["events"]).events for each in history
    ]
    cuts = sorted({1, len(batches) // 2, len(batches)} - {0})
    snapshots = []
    for cut in cuts:
        state = replay(row["id"], plan, [event for batch in batches[:cut] for event in batch])
        snapshots.append(
            {"seq": state.sequence, "body": text(snapshot(state)), "state": described(state)}
        )
    return {
        "row": {
            key: text(value) if isinstance(value, bytes) else value for key, value in row.items()
        },
        "plan": text(body),
        "history": [[each["seq"], text(each["events"])] for each in history],
        "snapshots": snapshots,
    }


SETS = {"first": recorded, "younger": younger.recorded}


async def main(folder: Path, name: str) -> None:
    with tempfile.TemporaryDirectory() as data:
        async with World() as world, Suite(Path(data) / "data") as suite:
            await SETS[name](suite, world)
            await settled(suite)
            await write(suite, folder)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target, sys.argv[2]))
