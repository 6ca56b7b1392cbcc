"""Values that templates of a task may refer to."""

import orjson

from flowmesh.api.definition.v1.plan_pb2 import DIALECT_NATIVE, DIALECT_STEPS
from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.executors.base import Attempt
from flowmesh.executors.scopes import results_read, roots_of, scope_of
from flowmesh.executors.secrets import NO_SECRETS
from flowmesh.expressions import MOMENT, Moment, compile_template

AT_US = 1_700_000_000_000_000


def attempt_with(value: object) -> Attempt:
    return Attempt(Task(idempotency_key="execution/node"), orjson.dumps(value), 1_000)


def test_native_tasks_see_their_input_and_secrets() -> None:
    """And no other values."""
    assert roots_of(DIALECT_NATIVE) == ("input", "secrets")
    assert scope_of(DIALECT_NATIVE, attempt_with({"a": 1}), AT_US) == {
        "input": {"a": 1},
        "secrets": NO_SECRETS,
        MOMENT: Moment("execution/node", AT_US),
    }


def test_steps_read_outputs_also_under_result() -> None:
    """An own member of that name wins; the context itself is not changed."""
    template = compile_template(
        ["{{context.a.result}}", "{{context.a.result.x}}", "{{context.b.result}}"],
        roots_of(DIALECT_STEPS),
    )
    asked = results_read(template.references)
    assert asked == {"a", "b"}
    attempt = attempt_with({"a": {"x": 1}, "b": {"result": 2}, "c": 3})
    scope = scope_of(DIALECT_STEPS, attempt, AT_US, asked)
    assert template.render(scope) == [{"x": 1}, 1, 2]
    assert attempt.value == {"a": {"x": 1}, "b": {"result": 2}, "c": 3}


def test_a_list_output_has_a_result_too() -> None:
    """For outputs of every type."""
    template = compile_template("{{context.a.result}}", roots_of(DIALECT_STEPS))
    scope = scope_of(
        DIALECT_STEPS, attempt_with({"a": [1, 2]}), AT_US, results_read(template.references)
    )
    assert template.render(scope) == [1, 2]
