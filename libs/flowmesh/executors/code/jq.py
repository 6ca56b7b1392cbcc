"""jq expressions of definition formats, evaluated in the sandbox to one value."""

from collections.abc import Awaitable, Callable, Mapping

from flowmesh.contract.json_value import Json
from flowmesh.errors import Overloaded
from flowmesh.executors.code.javascript import overload, task_failure
from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.sandbox.pool import TIMEOUT_MS_MAX

EXPRESSION_FAILED = "ExpressionError"

# Runs a program over a value with variables, within ms; raises TaskFailure.
Jq = Callable[[str, Json, Mapping[str, Json], int], Awaitable[Json]]


def jq_of(sandbox: Sandbox) -> Jq:
    """Return an evaluator that yields the first output of a program, or null."""

    async def evaluate(
        program: str, value: Json, variables: Mapping[str, Json], timeout_ms: int
    ) -> Json:
        limit = min(timeout_ms, TIMEOUT_MS_MAX)
        try:
            found = await sandbox.evaluate("jq", program, value, variables, limit)
        except SandboxFailure as failure:
            is_users = failure.class_ in ("JqError", "SyntaxError")
            class_ = EXPRESSION_FAILED if is_users else failure.class_
            raise task_failure(failure, class_) from failure
        except Overloaded as error:
            raise overload(error) from error
        return found[0] if found else None

    return evaluate
