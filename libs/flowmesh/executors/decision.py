"""`decision`: which of several conditions hold; the output is the list of their ids.

`match` says whether to stop at the first that holds. Where none does, the output is `default`.
Conditions are CEL, JavaScript, JSONPath or jq over the task's input, in any mixture.
"""

import asyncio
from typing import cast

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
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.javascript import sandbox_failures, sandbox_timeout_ms, step_ids
from flowmesh.expressions import Condition, ExpressionInvalid, RenderError, compile_condition
from flowmesh.expressions.conditions import Dialect, truthy
from flowmesh.sandbox import Sandbox

INLINE_CONDITIONS_MAX = 8
"""Of a decision that is made without a break."""


class Test:
    """One condition of a decision; without `condition` it is for the sandbox."""

    def __init__(self, label: str, dialect: Dialect, source: str, steps: tuple[str, ...]) -> None:
        self.label = label
        self.dialect = dialect
        self.source = source
        self.condition: Condition | None = None
        if dialect == "jq":
            return
        try:
            self.condition = compile_condition(source, dialect=dialect, steps=steps)
        except ExpressionInvalid as error:
            raise invalid(f"condition {label!r}: {error.message}") from error

    def holds_inline(self, value: Json) -> bool:
        assert self.condition is not None
        try:
            return self.condition.evaluate({"context": value, "input": value})
        except RenderError as error:
            raise invalid(f"condition {self.label!r}: {error}") from error

    async def holds(self, attempt: Attempt, sandbox: Sandbox) -> bool:
        value = attempt.value
        if self.condition is not None:
            return self.holds_inline(value)
        timeout_ms = sandbox_timeout_ms(attempt)
        try:
            with sandbox_failures():
                if self.dialect == "jq":
                    outputs = await sandbox.evaluate("jq", self.source, value, {}, timeout_ms)
                    return truthy(outputs)
                variables = {"context": value, "input": value}
                return await sandbox.holds(
                    self.source, variables, timeout_ms, result_of=step_ids(value)
                )
        except TaskFailure as failure:
            failure.message = f"condition {self.label!r}: {failure.message}"
            raise


class ShortDecision(InlineStep):
    """A decision with few conditions, all bounded, so that it runs on the event loop."""

    def __init__(self, tests: list[Test], default: list[str], first: bool) -> None:
        self._tests = tests
        self._default = default
        self._first = first

    def run(self, attempt: Attempt) -> Output:
        found = []
        for test in self._tests:
            if test.holds_inline(attempt.value):
                found.append(test.label)
                if self._first:
                    break
        return Output.of(found or self._default)


class LongDecision(Step):
    """A decision with many conditions, or with one that needs the sandbox."""

    def __init__(
        self, tests: list[Test], default: list[str], first: bool, sandbox: Sandbox
    ) -> None:
        self._tests = tests
        self._default = default
        self._first = first
        self._sandbox = sandbox

    async def run(self, attempt: Attempt) -> Output:
        found = []
        for test in self._tests:
            await asyncio.sleep(0)  # others have their turn between conditions
            if await test.holds(attempt, self._sandbox):
                found.append(test.label)
                if self._first:
                    break
        return Output.of(found or self._default)


def decision_executor(sandbox: Sandbox) -> Executor:
    """The executor of `decision`."""

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> AnyStep:
        steps = tuple(config.get("steps") or ())
        tests = [
            Test(
                str(each["id"]),
                cast(Dialect, each.get("language") or "cel"),
                str(each["expression"]),
                steps,
            )
            for each in config.get("conditions") or ()
        ]
        default = [str(label) for label in config.get("default") or ()]
        first = config.get("match") != "all"
        inline = all(test.condition is not None for test in tests)
        if inline and len(tests) <= INLINE_CONDITIONS_MAX:
            return ShortDecision(tests, default, first)
        return LongDecision(tests, default, first, sandbox)

    return prepare
