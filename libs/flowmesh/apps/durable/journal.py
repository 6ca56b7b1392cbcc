"""The journal of a durable run, over a durable handler of the suite."""

from collections.abc import Awaitable, Callable

from flowmesh.apps.data.effects import EFFECT_KEY
from flowmesh.apps.durable.messages import failure_of, problem_of_failure
from flowmesh.apps.http.problems import problem_of
from flowmesh.apps.observing.logs import LogHub
from flowmesh.contract.json_value import Json
from flowmesh.sdk.durable.context import NAME_CHARS_MAX, DurableContext
from flowmesh.sdk.durable.failures import StepFailed
from flowmesh.sdk.durable.steps import step_key


class RunJournal:
    """Journals effects as steps of the handler, under their keys."""

    def __init__(self, ctx: DurableContext, *, pipeline: str, log: LogHub) -> None:
        self._ctx = ctx
        self._pipeline = pipeline
        self._log = log

    @property
    def replaying(self) -> bool:
        return self._ctx.replaying

    def uuid(self) -> str:
        return str(self._ctx.uuid())

    def now(self) -> str:
        return self._ctx.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    async def effect(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        async def done() -> Json:
            EFFECT_KEY.set(step_key())
            try:
                return await work()
            except Exception as error:
                self._report(name, error)
                raise failure_of(error) from error

        try:
            return await self._ctx.step(name[:NAME_CHARS_MAX], done)
        except StepFailed as failed:
            raise problem_of_failure(failed.failure) from None

    def _report(self, step: str, error: Exception) -> None:
        """Log an error that its answer does not show."""
        problem = problem_of(error)
        if problem.status >= 500:
            shown = problem.detail if problem is error else f"{type(error).__name__}: {error}"
            text = f"{self._pipeline}/{step}: {shown}"
            execution = self._ctx.execution_id
            self._log.write("error", "durable", text, executionId=execution, code=problem.code)
