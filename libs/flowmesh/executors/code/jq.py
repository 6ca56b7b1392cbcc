"""jq expressions of definition formats, evaluated in the sandbox to one value."""

from collections.abc import Awaitable, Callable, Mapping

from flowmesh.errors import Overloaded
from flowmesh.executors.base import Json
from flowmesh.executors.failures import RATE_LIMIT, TaskFailure
from flowmesh.sandbox import Sandbox, SandboxFailure

EVALUATION_MS_MAX = 5_000
EXPRESSION_FAILED = "ExpressionError"

# Runs a program over a value with variables, within ms; raises TaskFailure.
Jq = Callable[[str, Json, Mapping[str, Json], int], Awaitable[Json]]


def jq_of(sandbox: Sandbox) -> Jq:
    """Return an evaluator that yields the first output of a program, or null."""

    async def evaluate(
        program: str, value: Json, variables: Mapping[str, Json], timeout_ms: int
    ) -> Json:
        limit = min(timeout_ms, EVALUATION_MS_MAX)
        try:
            found = await sandbox.evaluate("jq", program, value, variables, limit)
        except SandboxFailure as failure:
            is_users = failure.class_ in ("JqError", "SyntaxError")
            class_ = EXPRESSION_FAILED if is_users else failure.class_
            raise TaskFailure(class_, failure.message) from failure
        except Overloaded as error:
            wait_ms = error.retry_after_ms
            raise TaskFailure(RATE_LIMIT, error.message, retry_after_ms=wait_ms) from error
        return found[0] if found else None

    return evaluate
