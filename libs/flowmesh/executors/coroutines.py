"""Executors whose work is one coroutine function of the rendered parameters."""

from collections.abc import Awaitable, Callable

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.templates import Rendered

Run = Callable[[dict[str, Json], Attempt], Awaitable[Json]]


class CoroutineStep(Step):
    """Renders the parameters of the spec and awaits the function."""

    def __init__(self, spec: TaskSpec, config: dict[str, Json], run: Run, now_us: NowUs) -> None:
        self._run = run
        self._given = Rendered(config, spec.dialect, now_us)

    async def run(self, attempt: Attempt) -> Output:
        return Output.of(await self._run(self._given.over(attempt), attempt))


def coroutine_executor(run: Run, now_us: NowUs) -> Executor:
    """Return an executor that awaits `run` for each attempt."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> CoroutineStep:
        return CoroutineStep(spec, config, run, now_us)

    return prepare
