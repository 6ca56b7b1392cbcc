"""Built-in tasks other than HTTP, and what the pool does around every attempt."""

import asyncio
import hashlib
from typing import Any

import orjson
import pytest

from flowmesh.api.common.v1.payload_pb2 import Payload, PayloadReference
from flowmesh.api.definition.v1.plan_pb2 import DIALECT_NATIVE, DIALECT_STEPS, TaskSpec
from flowmesh.egress import PUBLIC
from flowmesh.telemetry import Metrics
from flowmesh.testing.world import World
from flowmesh.worker import limits
from flowmesh.worker.loops import RelayLoop, Tick
from flowmesh.worker.main import drain
from tests.integration.worker.harness import RemoteClient, Worker
from tests.integration.worker.orchestrator import Orchestrator, spec_of, task_of

ORDERS = [
    {"id": 1, "status": "active", "total": 10},
    {"id": 2, "status": "closed", "total": 20},
    {"id": 3, "status": "active", "total": 30},
]


async def output(orchestrator: Orchestrator, spec: TaskSpec, value: Any, **fields: Any) -> Any:
    result = await orchestrator.run(task_of("t1", spec, value, **fields), spec)
    assert result.WhichOneof("outcome") == "output", result
    return orjson.loads(result.output.data)


async def failure(orchestrator: Orchestrator, spec: TaskSpec, value: Any, **fields: Any) -> Any:
    result = await orchestrator.run(task_of("t1", spec, value, **fields), spec)
    assert result.WhichOneof("outcome") == "failure", result
    return result.failure


def class_of(failed: Any) -> str:
    return str(getattr(failed, "class"))


@pytest.mark.parametrize(
    ("code", "input_key", "expected"),
    [
        ("return input.map(item => ({ ...item, processed: true }))", "extract",
         [{**order, "processed": True} for order in ORDERS]),
        ("return input.filter(o => o.status === 'active').length", "extract", 2),
        ("return context.extract.result.map(o => o.id)", "", [1, 2, 3]),
        ("return inputKey", "extract", "extract"),
    ],
)  # fmt: skip
async def test_transform_runs_javascript(
    orchestrator: Orchestrator, worker: Worker, code: str, input_key: str, expected: Any
) -> None:
    """`input`, `context` and `inputKey` are there; what is returned is the output."""
    config = {"code": code, **({"input_key": input_key} if input_key else {})}
    spec = spec_of("transform", config, dialect=DIALECT_STEPS)
    assert await output(orchestrator, spec, {"extract": ORDERS}) == expected


async def test_transform_applies_a_pipeline(orchestrator: Orchestrator, worker: Worker) -> None:
    """The native task gets `source` and `pipeline` as its input."""
    pipeline = [
        {"operation": "filter", "field": "status", "operator": "eq", "value": "active"},
        {"operation": "aggregate", "function": "sum", "field": "total"},
    ]
    spec = spec_of("transform", {})
    value = {"source": ORDERS, "pipeline": pipeline}
    assert await output(orchestrator, spec, value) == 40


async def test_a_wrong_pipeline_names_its_problem(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A ValidationError with a path into the pipeline."""
    spec = spec_of("transform", {})
    value = {"source": [], "pipeline": [{"operation": "fliter"}]}
    failed = await failure(orchestrator, spec, value)
    assert class_of(failed) == "ValidationError"
    assert orjson.loads(failed.details)["violations"][0]["path"] == "pipeline[0].operation"


async def test_function_sees_its_input(orchestrator: Orchestrator, worker: Worker) -> None:
    """A native function task gets its own input."""
    spec = spec_of("function", {"code": "return {sum: input.a + input.b}"})
    assert await output(orchestrator, spec, {"a": 1, "b": 2}) == {"sum": 3}


async def test_an_exception_of_user_code_has_its_name(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """The class of the failure is that of the exception."""
    spec = spec_of("function", {"code": "throw new RangeError('too far')"})
    failed = await failure(orchestrator, spec, {})
    assert class_of(failed) == "RangeError"
    assert "too far" in failed.message


async def test_a_missing_input_key_is_a_validation_error(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """The message names the key."""
    spec = spec_of("transform", {"code": "return 1", "input_key": "nope"}, dialect=DIALECT_STEPS)
    failed = await failure(orchestrator, spec, {})
    assert (class_of(failed), "nope" in failed.message) == ("ValidationError", True)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("context.amount > 100", True),
        ("context.amount > 1000", False),
        ("context.check.result.ok === true && context.check.ok", True),
        ("[1, 2, 3].includes(context.amount)", False),
        ("context.tags.map(t => t.length).reduce((a, b) => a + b, 0) === 5", True),
    ],
)
async def test_condition_is_true_or_false(
    orchestrator: Orchestrator, worker: Worker, expression: str, expected: bool
) -> None:
    """In CEL where it can be said in it, in the sandbox otherwise."""
    config = {"expression": expression, "steps": ["check"], "language": "javascript"}
    spec = spec_of("condition", config, dialect=DIALECT_STEPS)
    context = {"amount": 150, "check": {"ok": True}, "tags": ["ab", "cde"]}
    assert await output(orchestrator, spec, context) is expected


async def test_a_condition_over_a_large_context_does_not_run_inline(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """It gets an attempt of its own; the outcome is the same."""
    config = {"expression": "context.items.length > 3", "language": "javascript"}
    spec = spec_of("condition", config, dialect=DIALECT_STEPS)
    assert await output(orchestrator, spec, {"items": ["x" * 1_000] * 100}) is True


INPUT_SCHEMA = {
    "type": "object",
    "required": ["email"],
    "properties": {
        "email": {"type": "string"},
        "tags": {"type": "array", "items": {"minLength": 2}},
    },
}


async def test_input_is_checked_before_anything_runs(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """Every problem is told with its path, and the service hears nothing."""
    spec = spec_of("http.request", {"url": world.url("a")}, input_schema=INPUT_SCHEMA)
    failed = await failure(orchestrator, spec, {"email": 5, "tags": ["ok", "x"]})
    assert class_of(failed) == "ValidationError"
    violations = orjson.loads(failed.details)["violations"]
    assert {(violation["path"], violation["schemaPath"]) for violation in violations} == {
        ("input.email", "#/properties/email/type"),
        ("input.tags[1]", "#/properties/tags/items/minLength"),
    }
    assert world.calls() == []


async def test_output_is_checked_before_it_counts(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """A service that answers with the wrong shape fails the attempt."""
    world.answers("user", json={"name": "Ada"})
    spec = spec_of("http.request", {"url": world.url("user")}, output_schema=INPUT_SCHEMA)
    failed = await failure(orchestrator, spec, {})
    assert class_of(failed) == "ValidationError"
    assert orjson.loads(failed.details)["violations"][0]["path"] == "output"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"type": "nonsense"},
        {"pattern": "(a+)+\\1"},
    ],
)
async def test_a_schema_that_cannot_be_used_fails_the_task(
    orchestrator: Orchestrator, worker: Worker, schema: Any
) -> None:
    """Nothing is fetched, nothing hangs; the task fails and the pool goes on."""
    spec = spec_of("builtin.noop", input_schema=schema)
    failed = await failure(orchestrator, spec, "aaaa")
    assert class_of(failed) == "ValidationError"


@pytest.mark.parametrize(
    ("task_type", "config"),
    [
        ("http.request", {"url": 5}),
        ("http.request", {"url": "http://{{nope.x}}/"}),
        ("http.request", {"url": "http://{{input.x"}),
        ("condition", {"expression": "1 +"}),
        ("condition", {}),
        ("transform", {"code": 5}),
        ("transform", {"pipeline": "x"}),
        ("function", {}),
        ("webhook", {}),
    ],
)
async def test_a_configuration_that_cannot_work_fails_the_task(
    orchestrator: Orchestrator, worker: Worker, task_type: str, config: Any
) -> None:
    """Whatever reaches a worker ends as a failure of the attempt."""
    spec = spec_of(task_type, config, dialect=DIALECT_NATIVE)
    failed = await failure(orchestrator, spec, {})
    assert class_of(failed) == "ValidationError"


async def test_an_attempt_ends_at_its_timeout(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """Timeout, close to the time given, whatever the executor does."""
    world.hold("slow")
    spec = spec_of("http.request", {"url": world.url("slow")})
    loop = asyncio.get_running_loop()
    started = loop.time()
    failed = await failure(orchestrator, spec, {}, timeout_ms=200)
    assert class_of(failed) == "Timeout"
    assert 0.15 < loop.time() - started < 2


async def test_endless_code_ends_at_its_timeout(orchestrator: Orchestrator, worker: Worker) -> None:
    """A loop without end fails its attempt and nothing else."""
    spec = spec_of("function", {"code": "for (;;) {}"})
    failed = await failure(orchestrator, spec, {}, timeout_ms=500)
    assert class_of(failed) == "Timeout"
    noop = spec_of("builtin.noop")
    await orchestrator.run(task_of("t2", noop, 1), noop)


async def test_a_large_output_travels_by_reference(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """Above 256 KiB the value is stored and the result names it."""
    value = ["x" * 1_000] * 600
    world.answers("big", json=value)
    spec = spec_of("http.request", {"url": world.url("big")})
    result = await orchestrator.run(task_of("t1", spec, {}), spec)
    reference = result.output.reference
    assert reference.size_bytes == len(orjson.dumps(value))
    assert orjson.loads(orchestrator.payloads[reference.digest]) == value


async def test_an_input_by_reference_is_fetched(orchestrator: Orchestrator, worker: Worker) -> None:
    """The executor sees the value, not the reference; so does one that would run inline."""
    data = orjson.dumps({"items": ["y" * 1_000] * 600})
    digest = hashlib.sha256(data).hexdigest()
    orchestrator.payloads[digest] = data
    value = Payload(reference=PayloadReference(digest=digest, size_bytes=len(data)))
    spec = spec_of("function", {"code": "return input.items.length"})
    assert await output(orchestrator, spec, value) == 600
    noop = spec_of("builtin.noop")
    result = await orchestrator.run(task_of("t2", noop, value), noop)
    assert result.output.reference.digest == digest


async def test_a_damaged_stored_input_is_not_used(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """The bytes must have the digest they are asked for by."""
    orchestrator.payloads["0" * 64] = b"other"
    value = Payload(reference=PayloadReference(digest="0" * 64, size_bytes=5))
    spec = spec_of("function", {"code": "return 1"})
    assert class_of(await failure(orchestrator, spec, value)) == "NetworkError"


async def test_an_inner_address_fails_the_task_under_the_public_policy(
    orchestrator: Orchestrator, world: World
) -> None:
    """EgressBlocked, and the service inside hears nothing."""
    async with Worker(policy=PUBLIC) as worker:
        worker.follow(orchestrator)
        spec = spec_of("http.request", {"url": "{{input.url}}"})
        failed = await failure(orchestrator, spec, {"url": world.url("secret")})
    assert class_of(failed) == "EgressBlocked"
    assert orjson.loads(failed.details) == {"reason": "EGRESS_BLOCKED"}
    assert world.calls() == []


async def test_a_loop_says_what_is_held(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """Each tick counts streams, worker sets and tasks for the metrics."""
    world.hold("slow")
    spec = spec_of("http.request", {"url": world.url("slow")})
    orchestrator.submit(task_of("t1", spec, {}), spec)
    await world.called("slow")
    metrics = Metrics()
    tick = await RelayLoop(worker.relay, metrics).run_once()
    assert tick == Tick(orchestrators=1, worker_sets=1, tasks=1)
    assert metrics.registry.get_sample_value("flowmesh_tasks_held") == 1
    world.release("slow")
    await orchestrator.result("t1")


async def test_a_running_task_sends_the_heartbeats_it_must(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """A built-in task with a heartbeat timeout is heard of while it runs."""
    world.hold("slow")
    spec = spec_of("http.request", {"url": world.url("slow")})
    orchestrator.submit(task_of("t1", spec, {}, heartbeat_timeout_ms=3_000), spec)
    await world.called("slow")
    worker.pass_time(1_100)
    await orchestrator.until(lambda: orchestrator.heartbeats == ["t1"])
    world.release("slow")
    await orchestrator.result("t1")


async def test_a_drain_lets_running_tasks_end(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """No new task is taken, the running one's result is acknowledged, workers are told."""
    world.hold("slow")
    spec = spec_of("http.request", {"url": world.url("slow")})
    async with RemoteClient(worker.address) as client:
        orchestrator.submit(task_of("t1", spec, {}), spec)
        await world.called("slow")
        draining = asyncio.create_task(
            drain(worker.relay, worker.pool, worker.server, worker.orchestrators)
        )
        await client.until(lambda: any(response.drain for response in client.responses))
        await orchestrator.until(lambda: orchestrator.credit("http.request") == 0)
        world.release("slow")
        await orchestrator.result("t1")
        await draining
    assert orchestrator.returned == []


async def test_a_drain_gives_back_what_does_not_end(
    orchestrator: Orchestrator,
    worker: Worker,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After its time a drain stops tasks and gives them back, no delivery counted."""
    monkeypatch.setattr(limits, "DRAIN_MS", 100)
    world.hold("slow")
    spec = spec_of("http.request", {"url": world.url("slow")})
    orchestrator.submit(task_of("t1", spec, {}), spec)
    await world.called("slow")
    await drain(worker.relay, worker.pool, worker.server, worker.orchestrators)
    await orchestrator.until(lambda: orchestrator.returned == ["t1"])
    assert orchestrator.results == {}


@pytest.mark.parametrize(
    ("match", "amount", "expected"),
    [
        ("first", 150, ["cel"]),
        ("all", 150, ["cel", "inline", "sandbox", "path", "jq"]),
        ("all", 50, ["path"]),
        ("first", 10, ["none"]),
    ],
)
async def test_a_decision_names_the_conditions_that_hold(
    orchestrator: Orchestrator, worker: Worker, match: str, amount: int, expected: list[str]
) -> None:
    """CEL, JavaScript here and in the sandbox, JSONPath and jq, in any mixture."""
    given = (
        ("cel", "cel", "context.amount > 100"),
        ("inline", "javascript", "context.amount > 100 && context.read.result === 'x'"),
        ("sandbox", "javascript", "[context.amount].some(each => each > 100)"),
        ("path", "jsonpath", "$[?@ > 40]"),
        ("jq", "jq", ".amount > 100"),
    )
    conditions = [{"id": i, "language": lang, "expression": text} for i, lang, text in given]
    config = {"conditions": conditions, "match": match, "default": ["none"], "steps": ["read"]}
    spec = spec_of("decision", config, dialect=DIALECT_STEPS)
    assert await output(orchestrator, spec, {"amount": amount, "read": "x"}) == expected


@pytest.mark.parametrize(
    ("language", "expression", "class_"),
    [
        ("cel", "input.nope > 1", "ValidationError"),
        ("javascript", "input.nope.deeper", "ValidationError"),
        ("javascript", "[1].map(() => input.nope.deeper)", "TypeError"),
        ("jq", 'error("no")', "JqError"),
    ],
)
async def test_a_condition_that_fails_fails_its_decision(
    orchestrator: Orchestrator, worker: Worker, language: str, expression: str, class_: str
) -> None:
    """Whatever the default is, and the message names the condition."""
    condition = {"id": "c1", "language": language, "expression": expression}
    spec = spec_of("decision", {"conditions": [condition], "default": ["d"]})
    failed = await failure(orchestrator, spec, {"a": 1})
    assert class_of(failed) == class_
    assert "'c1'" in failed.message
