"""What templates of a task may refer to."""

from flowmesh.api.definition.v1.plan_pb2 import DIALECT_NATIVE, DIALECT_STEPS
from flowmesh.executors.scopes import results_read, roots_of, scope_of
from flowmesh.expressions import MOMENT, Moment, compile_template

AT = Moment("execution/node", 1_700_000_000_000_000)


def test_native_tasks_see_their_input() -> None:
    """And nothing else."""
    assert roots_of(DIALECT_NATIVE) == ("input",)
    assert scope_of(DIALECT_NATIVE, {"a": 1}, AT) == {"input": {"a": 1}, MOMENT: AT}


def test_steps_read_outputs_also_under_result() -> None:
    """An own member of that name wins; the context itself is not changed."""
    template = compile_template(
        ["{{context.a.result}}", "{{context.a.result.x}}", "{{context.b.result}}"],
        roots_of(DIALECT_STEPS),
    )
    asked = results_read(template.references)
    assert asked == {"a", "b"}
    context = {"a": {"x": 1}, "b": {"result": 2}, "c": 3}
    scope = scope_of(DIALECT_STEPS, context, AT, asked)
    assert template.render(scope) == [{"x": 1}, 1, 2]
    assert context == {"a": {"x": 1}, "b": {"result": 2}, "c": 3}


def test_a_list_output_has_a_result_too() -> None:
    """Whatever the type of the output."""
    template = compile_template("{{context.a.result}}", roots_of(DIALECT_STEPS))
    scope = scope_of(DIALECT_STEPS, {"a": [1, 2]}, AT, results_read(template.references))
    assert template.render(scope) == [1, 2]
