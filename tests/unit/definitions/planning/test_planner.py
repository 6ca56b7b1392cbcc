"""Plans of executions: nodes, inputs, specs, limits, and the digest."""

import hashlib
from typing import Any, TypeVar

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions import compile_source
from flowmesh.errors import Invalid, TooLarge
from tests.unit.definitions.factories import (
    documents,
    http,
    node,
    object_schema,
    resource,
    steps,
    task,
    workflow,
)

M = TypeVar("M", plan_pb2.Plan, plan_pb2.TaskSpec)
NONE, TEMPLATE, CONTEXT = (
    plan_pb2.INPUT_MODE_NONE,
    plan_pb2.INPUT_MODE_TEMPLATE,
    plan_pb2.INPUT_MODE_CONTEXT,
)


def only(source: bytes) -> tuple[plan_pb2.PlanNode, plan_pb2.TaskSpec, dict[str, Any]]:
    plan = compile_source(source)
    (planned,), (spec,) = plan.nodes, plan.specs
    return planned, spec, orjson.loads(spec.config)


def step(action: str, **params: Any) -> bytes:
    return steps({"id": "a", "action": action, "params": params})


@pytest.mark.parametrize(
    ("source", "mode", "executor", "config"),
    [
        (
            step("http.request", url="http://x/"),
            NONE,
            "http.request",
            {"method": "GET", "url": "http://x/"},
        ),
        (
            step("http.request", url="http://x/", method="post"),
            CONTEXT,
            "http.request",
            {"method": "POST", "url": "http://x/", "send_context": True},
        ),
        (
            step("http.request", url="http://x/", method="POST", body={"k": 1}),
            NONE,
            "http.request",
            {"method": "POST", "url": "http://x/", "body": {"k": 1}},
        ),
        (
            step("http.request", url="http://x/{{context.id}}"),
            CONTEXT,
            "http.request",
            {"method": "GET", "url": "http://x/{{context.id}}"},
        ),
        (
            step("http.request", url="http://x/", method="DELETE"),
            NONE,
            "http.request",
            {"method": "DELETE", "url": "http://x/"},
        ),
        (
            step("transform", inputKey="e", code="return input"),
            CONTEXT,
            "transform",
            {"code": "return input", "input_key": "e"},
        ),
        (step("transform", pipeline=[]), CONTEXT, "transform", {"pipeline": []}),
        (step("function", code="return 1"), CONTEXT, "function", {"code": "return 1"}),
        (
            step("condition", expression="context.a.result > 1"),
            CONTEXT,
            "condition",
            {"expression": "context.a.result > 1", "language": "javascript", "steps": ["a"]},
        ),
        (
            step("webhook", url="http://x/", payload={"k": 1}),
            NONE,
            "webhook",
            {"url": "http://x/", "payload": {"k": 1}},
        ),
        (step("webhook", url="http://x/"), CONTEXT, "webhook", {"url": "http://x/"}),
    ],
)
def test_steps_get_the_context_only_where_they_need_it(
    source: bytes, mode: int, executor: str, config: dict[str, Any]
) -> None:
    """Each built-in action with the configuration of its executor."""
    planned, spec, config = only(source)
    assert (planned.input_mode, spec.task_type, config) == (mode, executor, config)
    assert planned.kind == plan_pb2.NODE_KIND_TASK
    assert planned.gate == (executor == "condition")


def test_an_unknown_action_is_a_remote_workers_task() -> None:
    """It gets its parameters, rendered over the context."""
    planned, spec, config = only(step("custom-action", to="{{context.email}}", n=1))
    assert spec.task_type == "custom-action"
    assert config == {"to": "{{context.email}}", "n": 1}
    assert planned.input_mode == TEMPLATE
    assert orjson.loads(planned.input_template) == config


def test_a_step_without_action_and_a_delay_need_no_worker() -> None:
    """A no-op, and a durable timer with a constant or a rendered duration."""
    rendered = {"duration": "{{context.pause}}"}
    plan = compile_source(
        steps(
            {"id": "a"},
            {"id": "b", "action": "delay", "params": {"duration": 5_000}},
            {"id": "c", "action": "delay", "params": rendered},
        )
    )
    noop, timer, later = plan.nodes
    assert not plan.specs
    assert noop.kind == plan_pb2.NODE_KIND_NOOP
    assert (timer.kind, timer.delay_ms) == (plan_pb2.NODE_KIND_TIMER, 5_000)
    assert (later.input_mode, later.input_template) == (TEMPLATE, b'"{{context.pause}}"')


def test_limits_come_from_the_node_then_the_task_then_the_dialect() -> None:
    """Retry and timeout."""
    shared = resource(
        "WorkflowTask",
        "t",
        type="http",
        http={"url": "http://x/"},
        timeout="7s",
        retry={"maxAttempts": 2, "initialDelay": "1s"},
    )
    plain = resource("WorkflowTask", "p", type="http", http={"url": "http://x/"})
    plan = compile_source(
        documents(
            shared,
            plain,
            task("e"),
            workflow(
                node("own", "t", timeout="500ms", retry={"maxAttempts": 9}),
                node("tasks", "t"),
                node("default", "p"),
                node("echo", "e"),
            ),
        )
    )
    limits = [
        (n.timeout_ms, n.retry.max_attempts, n.retry.initial_delay_ms, n.retry.max_delay_ms)
        for n in plan.nodes
    ]
    assert limits == [
        (500, 9, 100, 30_000),
        (7_000, 2, 1_000, 30_000),
        (30_000, 4, 100, 30_000),
        (300_000, 4, 100, 30_000),
    ]
    single = compile_source(steps(http("a"), {"id": "b", "action": "mine"}))
    assert [(n.timeout_ms, n.retry.max_attempts) for n in single.nodes] == [
        (30_000, 1),
        (300_000, 1),
    ]


def test_equal_tasks_share_one_spec() -> None:
    """Four nodes, two specs; each is named by the digest of itself."""
    plan = compile_source(
        documents(
            task("t", config={"k": 1}),
            task("u", config={"k": 2}),
            workflow(node("a", "t"), node("b", "u"), node("c", "t"), node("d", "t")),
        )
    )
    assert [planned.spec for planned in plan.nodes] == [0, 1, 0, 0]
    assert plan.digest == digest_without(plan, plan_pb2.Plan())
    assert all(spec.digest == digest_without(spec, plan_pb2.TaskSpec()) for spec in plan.specs)


def digest_without(message: M, copy: M) -> str:
    copy.CopyFrom(message)
    copy.ClearField("digest")
    return hashlib.sha256(copy.SerializeToString(deterministic=True)).hexdigest()


def test_the_same_source_gives_the_same_plan() -> None:
    """Byte by byte; another version is another plan."""
    source = steps(http("a"), http("b", "a"))
    assert compile_source(source) == compile_source(source)
    assert compile_source(source).digest != compile_source(source, version=2).digest


def test_native_tasks_get_their_input_and_workflows_answer_their_output() -> None:
    """Templates travel as they stand; a task without input gets an empty object."""
    plan = compile_source(
        documents(
            task("t", inputSchema=object_schema(u="string")),
            workflow(
                node("a", "t"),
                node("b", "t", input={"u": "{{tasks.a.output.u}}"}),
                output={"u": "{{tasks.b.output}}"},
                parallelism=2,
                timeout="1m",
                inputSchema=object_schema(id="integer"),
            ),
        )
    )
    assert [orjson.loads(n.input_template) for n in plan.nodes] == [
        {},
        {"u": "{{tasks.a.output.u}}"},
    ]
    assert list(plan.nodes[1].dependencies) == [0]
    assert orjson.loads(plan.output_template) == {"u": "{{tasks.b.output}}"}
    assert (plan.parallelism, plan.timeout_ms) == (2, 60_000)
    assert orjson.loads(plan.input_schema) == object_schema(id="integer")
    assert orjson.loads(plan.specs[0].input_schema) == object_schema(u="string")
    assert plan.specs[0].task_name == "t"


def test_a_literal_pipeline_travels_unrendered() -> None:
    """Its templates are over the items it sees; one that reads the workflow is rendered first."""
    own = {"operation": "filter", "field": "name", "operator": "eq", "value": "{{name}}"}
    given = {"source": "{{input.users}}", "pipeline": [own, {"operation": "limit", "count": 10}]}
    planned, spec, config = only(documents(workflow(node("a", "transform", input=given))))
    assert (spec.task_type, config) == (
        "transform",
        {"pipeline": given["pipeline"], "input_key": "source"},
    )
    assert orjson.loads(planned.input_template) == {"source": "{{input.users}}"}
    rendered = {**given, "pipeline": [{"operation": "limit", "count": "{{input.count}}"}]}
    planned, _, config = only(documents(workflow(node("a", "transform", input=rendered))))
    assert config == {}
    assert orjson.loads(planned.input_template) == rendered


def test_a_condition_of_a_task_becomes_a_gate_before_it() -> None:
    """The gate waits for the dependencies of the task, and its input holds the values it reads."""
    plan = compile_source(
        documents(
            task("t"),
            workflow(
                node("fetch-user", "t"),
                node("pay", "t", condition="tasks.fetch-user.output.ok && input.go"),
                node("ship", "t", dependsOn=["pay"]),
            ),
        )
    )
    assert [n.id for n in plan.nodes] == ["fetch-user", "pay:condition", "pay", "ship"]
    assert [list(n.dependencies) for n in plan.nodes] == [[], [0], [1], [2]]
    gate = plan.nodes[1]
    assert gate.gate
    assert orjson.loads(gate.input_template) == {
        "input": "{{input}}",
        "tasks": {"fetch-user": {"output": '{{tasks["fetch-user"].output}}'}},
    }
    assert orjson.loads(plan.specs[gate.spec].config) == {
        "expression": "input.tasks.fetch-user.output.ok && input.input.go",
        "language": "cel",
        "steps": ["fetch-user"],
    }


def test_webhooks_priorities_and_criticality_travel() -> None:
    """As the steps say."""
    plan = compile_source(
        steps(
            {"id": "a", "critical": False, "priority": "CRITICAL", "queue": "fast"},
            name="N",
            webhooks={
                "onComplete": "http://x/c",
                "onFailure": "http://x/f",
                "secret": "whsec_eA==",
            },
        )
    )
    (planned,) = plan.nodes
    assert (planned.critical, planned.priority, planned.queue) == (False, 4, "fast")
    assert (plan.name, plan.callbacks.on_failure_url, plan.callbacks.secret) == (
        "N",
        "http://x/f",
        "whsec_eA==",
    )


def test_the_tasks_of_the_documents_register_as_they_stand() -> None:
    """Placeholders for schemas included."""
    source = b"""
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata:
  name: charge-payment
spec:
  type: http
  http:
    method: POST
    url: "https://api.stripe.com/v1/charges"
    headers:
      Authorization: "Bearer {{input.apiKey}}"
    body: |
      {
        "amount": {{input.amount}},
        "currency": "{{input.currency}}"
      }
  timeout: "30s"
  inputSchema: { ... }
  outputSchema: { ... }
"""
    plan = compile_source(source + b"---\n" + documents(workflow(node("pay", "charge-payment"))))
    config = orjson.loads(plan.specs[0].config)
    assert config["body"].startswith('{\n  "amount": {{input.amount}},')
    assert plan.nodes[0].timeout_ms == 30_000


def test_a_source_without_exactly_one_workflow_has_no_plan() -> None:
    """Neither none nor two."""
    second = workflow(node("a")) | {"metadata": {"name": "v"}}
    for source in (documents(task("t")), documents(workflow(node("a")), second)):
        with pytest.raises(Invalid):
            compile_source(source)


def test_too_large_sources_raise_too_large() -> None:
    """With the class of errors that means so."""
    with pytest.raises(TooLarge) as refused:
        compile_source(b" " * (8 * 1024 * 1024 + 1))
    assert refused.value.reason == "DEFINITION_TOO_LARGE"
