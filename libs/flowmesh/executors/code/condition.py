"""`condition`: an expression, true or false, that decides whether the following steps run."""

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import AnyStep, Attempt, Executor, InlineStep, Output, Step
from flowmesh.executors.code.conditions import InputCondition
from flowmesh.executors.failures import invalid
from flowmesh.expressions import ExpressionInvalid
from flowmesh.expressions.conditions import Dialect
from flowmesh.sandbox import Sandbox


class InlineCondition(InlineStep):
    """A condition compiled to CEL; its cost is bounded, so it runs on the event loop."""

    def __init__(self, condition: InputCondition) -> None:
        self._condition = condition

    def is_prompt(self, attempt: Attempt) -> bool:
        return self._condition.is_prompt(attempt)

    def run(self, attempt: Attempt) -> Output:
        return _output(self._condition.holds(attempt))

    async def run_off_loop(self, attempt: Attempt) -> Output:
        return _output(await self._condition.holds_off_loop(attempt))


class SandboxCondition(Step):
    """A JavaScript condition that CEL cannot express."""

    def __init__(self, condition: InputCondition) -> None:
        self._condition = condition

    async def run(self, attempt: Attempt) -> Output:
        return _output(await self._condition.holds_off_loop(attempt))


def _output(holds: bool) -> Output:
    return Output(b"true" if holds else b"false", value=holds)


def condition_executor(sandbox: Sandbox) -> Executor:
    """Return the executor of `condition`."""

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> AnyStep:
        expression = str(config.get("expression") or "")
        steps = tuple(config.get("steps") or ())
        dialect: Dialect = "cel" if config.get("language") == "cel" else "javascript"
        try:
            condition = InputCondition(expression, dialect, steps, sandbox, lambda _: steps)
        except ExpressionInvalid as error:
            raise invalid(error.message) from error
        return InlineCondition(condition) if condition.is_inline else SandboxCondition(condition)

    return prepare
