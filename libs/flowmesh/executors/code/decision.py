"""`decision`: evaluates several conditions; the output lists the ids of those that hold.

With `match: first`, evaluation stops at the first that holds. If none holds, it is `default`.
Conditions are CEL, JavaScript, JSONPath or jq over the task's input, in any mixture.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import AnyStep, Attempt, Executor, InlineStep, Output, Step
from flowmesh.executors.code.conditions import InputCondition
from flowmesh.executors.code.javascript import step_ids
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.expressions import ExpressionInvalid
from flowmesh.expressions.conditions import Dialect
from flowmesh.sandbox import Sandbox

INLINE_CONDITIONS_MAX = 8
"""The most conditions that a decision evaluates without yielding to the event loop."""


class Test:
    """One condition of a decision."""

    def __init__(self, label: str, condition: InputCondition) -> None:
        self.label = label
        self.condition = condition

    def holds(self, attempt: Attempt) -> bool:
        with self._named():
            return self.condition.holds(attempt)

    async def holds_off_loop(self, attempt: Attempt) -> bool:
        with self._named():
            return await self.condition.holds_off_loop(attempt)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except TaskFailure as failure:
            failure.message = f"condition {self.label!r}: {failure.message}"
            raise


class LongDecision(Step):
    """A decision with many conditions, or with one that needs the sandbox."""

    def __init__(self, tests: list[Test], default: list[str], first: bool) -> None:
        self._tests = tests
        self._default = default
        self._first = first

    async def run(self, attempt: Attempt) -> Output:
        found = []
        for test in self._tests:
            await asyncio.sleep(0)  # yield to the event loop between conditions
            if await test.holds_off_loop(attempt):
                found.append(test.label)
                if self._first:
                    break
        return Output.of(found or self._default)


class ShortDecision(InlineStep):
    """A decision with few conditions of bounded cost; it runs on the event loop."""

    def __init__(self, tests: list[Test], default: list[str], first: bool) -> None:
        self._tests = tests
        self._default = default
        self._first = first
        self._long = LongDecision(tests, default, first)

    def is_prompt(self, attempt: Attempt) -> bool:
        among = len(self._tests) or 1
        return all(test.condition.is_prompt(attempt, among) for test in self._tests)

    def run(self, attempt: Attempt) -> Output:
        found = []
        for test in self._tests:
            if test.holds(attempt):
                found.append(test.label)
                if self._first:
                    break
        return Output.of(found or self._default)

    async def run_off_loop(self, attempt: Attempt) -> Output:
        return await self._long.run(attempt)


def decision_executor(sandbox: Sandbox) -> Executor:
    """Return the executor of `decision`."""

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> AnyStep:
        steps = tuple(config.get("steps") or ())
        tests = [_test(each, steps, sandbox) for each in config.get("conditions") or ()]
        default = [str(label) for label in config.get("default") or ()]
        first = config.get("match") != "all"
        inline = all(test.condition.is_inline for test in tests)
        if inline and len(tests) <= INLINE_CONDITIONS_MAX:
            return ShortDecision(tests, default, first)
        return LongDecision(tests, default, first)

    return prepare


def _test(definition: Mapping[str, Json], steps: Sequence[str], sandbox: Sandbox) -> Test:
    label, source = str(definition["id"]), str(definition["expression"])
    dialect = cast(Dialect, definition.get("language") or "cel")
    try:
        return Test(label, InputCondition(source, dialect, steps, sandbox, step_ids))
    except ExpressionInvalid as error:
        raise invalid(f"condition {label!r}: {error.message}") from error
