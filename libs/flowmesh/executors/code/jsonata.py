"""Templates with JSONata, evaluated in the sandbox."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.errors import Overloaded
from flowmesh.executors.code.javascript import overload, task_failure
from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.sandbox.pool import TIMEOUT_MS_MAX
from flowmesh.standards.jsonata import has_expression

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
        program, limit = orjson.dumps(template).decode(), min(timeout_ms, TIMEOUT_MS_MAX)
        try:
            return await sandbox.evaluate("jsonata", program, list(states), variables, limit)
        except SandboxFailure as failure:
            raise task_failure(failure, FAILED) from failure
        except Overloaded as error:
            raise overload(error) from error

    return fill
