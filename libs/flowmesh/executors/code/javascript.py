"""`transform` with code and `function`: JavaScript in the sandbox, never in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.errors import Overloaded
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.failures import RATE_LIMIT, TaskFailure, invalid
from flowmesh.executors.lines import log_lines
from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.sandbox.pool import TIMEOUT_MS_MAX
from flowmesh.transforms import TransformError, member_of


def step_ids(context: Json) -> tuple[str, ...]:
    """Return the members of the context that have `.result`: the outputs of earlier steps."""
    return tuple(context) if isinstance(context, dict) else ()


@contextmanager
def sandbox_failures() -> Iterator[None]:
    """Translate errors of the sandbox to failures of the attempt."""
    try:
        yield
    except SandboxFailure as failure:
        raise task_failure(failure, failure.class_) from failure
    except Overloaded as error:
        raise overload(error) from error


def task_failure(failure: SandboxFailure, class_: str) -> TaskFailure:
    """Return the failure of the attempt, with the printed text and the reason."""
    details: dict[str, Json] = {"log": log_lines(failure.log)} if failure.log else {}
    if failure.reason:
        details["reason"] = failure.reason
        class_ = failure.class_
    return TaskFailure(class_, failure.message, details=details)


def overload(error: Overloaded) -> TaskFailure:
    """Return the failure of an attempt that is tried again later."""
    details = {"reason": error.reason}
    wait_ms = error.retry_after_ms
    return TaskFailure(RATE_LIMIT, error.message, retry_after_ms=wait_ms, details=details)


def sandbox_timeout_ms(attempt: Attempt) -> int:
    """Return the time of a call; its CPU time is limited by the sandbox."""
    return min(TIMEOUT_MS_MAX, attempt.timeout_ms)


class CodeStep(Step):
    """Code that sees `context`, `input` (the context, or the member `inputKey`) and `inputKey`."""

    def __init__(self, code: str, input_key: str, sandbox: Sandbox) -> None:
        self._code = code
        self._input_key = input_key
        self._sandbox = sandbox

    async def run(self, attempt: Attempt) -> Output:
        value = attempt.value
        variables = {
            "context": value,
            "input": picked(value, self._input_key),
            "inputKey": self._input_key or None,
        }
        with sandbox_failures():
            outcome = await self._sandbox.run(
                self._code, variables, sandbox_timeout_ms(attempt), result_of=step_ids(value)
            )
        return Output.of(outcome)


def picked(value: Json, key: str) -> Json:
    """Return the value under the input key, or the whole input without a key."""
    try:
        return member_of(value, key)
    except TransformError as error:
        raise invalid(str(error)) from error


def function_executor(sandbox: Sandbox) -> Executor:
    """Return the executor of `function`."""

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> CodeStep:
        return CodeStep(code_of(config), str(config.get("input_key") or ""), sandbox)

    return prepare


def code_of(config: dict[str, Json]) -> str:
    code = config.get("code")
    if not isinstance(code, str):
        raise invalid("the step has no code")
    return code
