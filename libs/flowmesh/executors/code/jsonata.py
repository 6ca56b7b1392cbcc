"""Templates with JSONata, evaluated in the sandbox."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson

from flowmesh.errors import Overloaded
from flowmesh.executors.base import Json
from flowmesh.executors.failures import RATE_LIMIT, TaskFailure
from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.standards.jsonata import has_expression

EVALUATION_MS_MAX = 5_000
FAILED = "States.QueryEvaluationError"

# Evaluates a template once for each `$states`, with variables; raises TaskFailure.
Fill = Callable[[Json, Sequence[Json], Mapping[str, Json], int], Awaitable[list[Json]]]


def jsonata_of(sandbox: Sandbox) -> Fill:
    """Return a function that evaluates templates; one without expressions stays unchanged."""

    async def fill(
        template: Json, states: Sequence[Json], variables: Mapping[str, Json], timeout_ms: int
    ) -> list[Json]:
        if not has_expression(template):
            return [template] * len(states)
        program, limit = orjson.dumps(template).decode(), min(timeout_ms, EVALUATION_MS_MAX)
        try:
            return await sandbox.evaluate("jsonata", program, list(states), variables, limit)
        except SandboxFailure as failure:
            raise TaskFailure(FAILED, failure.message) from failure
        except Overloaded as error:
            wait_ms = error.retry_after_ms
            raise TaskFailure(RATE_LIMIT, error.message, retry_after_ms=wait_ms) from error

    return fill
