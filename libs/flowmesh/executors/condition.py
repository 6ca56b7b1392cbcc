"""`condition`: an expression that decides whether the steps behind it run; JSON true or false."""

from typing import Literal

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.executors.base import (
    AnyStep,
    Attempt,
    Executor,
    InlineStep,
    Json,
    Output,
    Step,
)
from flowmesh.executors.failures import invalid
from flowmesh.executors.javascript import sandbox_failures, sandbox_timeout_ms
from flowmesh.expressions import Condition, ExpressionInvalid, RenderError, compile_condition
from flowmesh.sandbox import Sandbox


class InlineCondition(InlineStep):
    """An expression that CEL can express: bounded, so it runs on the event loop."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def run(self, attempt: Attempt) -> Output:
        value = attempt.value
        try:
            outcome = self._condition.evaluate({"context": value, "input": value})
        except RenderError as error:
            raise invalid(str(error)) from error
        return Output(b"true" if outcome else b"false", value=outcome)


class SandboxCondition(Step):
    """JavaScript that CEL cannot express."""

    def __init__(self, expression: str, steps: tuple[str, ...], sandbox: Sandbox) -> None:
        self._expression = expression
        self._steps = steps
        self._sandbox = sandbox

    async def run(self, attempt: Attempt) -> Output:
        value = attempt.value
        variables = {"context": value, "input": value}
        with sandbox_failures():
            holds = await self._sandbox.holds(
                self._expression, variables, sandbox_timeout_ms(attempt), result_of=self._steps
            )
        return Output.of(holds)


def condition_executor(sandbox: Sandbox) -> Executor:
    """The executor of `condition`."""

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> AnyStep:
        expression = str(config.get("expression") or "")
        steps = tuple(config.get("steps") or ())
        is_cel = config.get("language") == "cel"
        dialect: Literal["cel", "javascript"] = "cel" if is_cel else "javascript"
        try:
            condition = compile_condition(expression, dialect=dialect, steps=steps)
        except ExpressionInvalid as error:
            raise invalid(error.message) from error
        if condition is None:
            return SandboxCondition(expression, steps, sandbox)
        return InlineCondition(condition)

    return prepare
