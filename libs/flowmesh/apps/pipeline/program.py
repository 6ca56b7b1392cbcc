"""A compiled pipeline, and its loop over steps."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowmesh.apps.data.database import Database, Session
from flowmesh.apps.data.effects import EFFECT_KEY, once, step_scope
from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem, problem_of
from flowmesh.apps.pipeline.journal import apply_whole, whole
from flowmesh.apps.pipeline.run import MEMBERS, Output, Run, StepCall
from flowmesh.apps.pipeline.templates import Render
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry

STEPS_MAX = 1_000


class RunObserver(Protocol):
    """Observes the ends of runs."""

    def run(self, pipeline: str, seconds: float, failed_step: str, code: str) -> None: ...


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """A step with its rules."""

    name: str
    call: StepCall
    condition: Callable[[Run], bool] | None = None
    skip: Callable[[Run], bool] | None = None
    on_error: str = ""
    timeout_s: float = 0.0
    retry: Retry | None = None
    # Codes of the errors that are retried; without them, those from 500.
    retried: frozenset[str] = frozenset()

    @property
    def guarded(self) -> bool:
        return bool(self.condition or self.skip or self.timeout_s or self.retry)


@dataclass(frozen=True, slots=True)
class Program:
    """A pipeline, compiled; immutable, so any number of runs share it."""

    name: str
    steps: Sequence[CompiledStep]
    index: Mapping[str, int]
    on_error: str = "stop"
    timeout_s: float = 0.0
    compensation: Sequence[CompiledStep] = ()
    output: Render | None = None
    detach: bool = False
    # The database of the one transaction that all statements are in.
    transaction: Callable[[], Database] | None = None
    transaction_database: str = ""
    observers: Sequence[RunObserver] = field(default_factory=tuple)
    clock: Callable[[], float] = time.perf_counter
    # Opens a span around a run.
    around: Callable[[str], AbstractContextManager[Any]] | None = None
    # The forms of the steps and of the compensation in durable runs.
    journaled: Sequence[CompiledStep] = ()
    journaled_compensation: Sequence[CompiledStep] = ()

    async def handle(self, request: Request, data: dict[str, Json] | None = None) -> Response:
        """Answer a request with a run on this data, by default on the parameters of its path."""
        trigger = {**request.params} if data is None else data
        run = Run(trigger, request=request, meta={"pipeline": self.name, "runId": request.id})
        if self.detach:
            await asyncio.shield(asyncio.ensure_future(self.execute(run)))
        else:
            await self.execute(run)
        return run.response or json_response(self.result(run))

    def result(self, run: Run) -> Json:
        """Return the result of a run that has not answered."""
        if self.output is not None:
            return self.output(run)
        if not run.triggered:
            return run.current
        return {
            key: value
            for key, value in run.current.items()
            if key not in MEMBERS or value is not run.trigger[key]
        }

    async def execute(self, run: Run) -> None:
        """Run all steps. Raises HttpProblem with the place of the failed step."""
        if run.journal is not None:
            await self._execute_journaled(run)
            return
        if self.transaction is not None and EFFECT_KEY.get():
            # A part of a step of a durable run: it commits with the key of that part.
            apply_whole(run, await self._whole(run))
            return
        begun = self.clock()
        failed, code = "", ""
        try:
            if self.timeout_s or self.transaction is not None or self.around is not None:
                await self._bounded(run)
            else:
                await self._loop(run)
        except Exception as error:
            problem = problem_of(error)
            failed, code = problem.step, problem.code
            raise
        finally:
            seconds = self.clock() - begun
            for each in self.observers:
                each.run(self.name, seconds, failed, code)

    async def _execute_journaled(self, run: Run) -> None:
        """Run the steps as a part of a durable run; its timeout is a timer of the engine."""
        if self.transaction is not None:
            assert run.journal is not None
            recorded = await run.journal.effect(self.name, lambda: self._whole(run))
            apply_whole(run, recorded)
            return
        async with AsyncExitStack() as stack:
            if self.timeout_s:
                await stack.enter_async_context(asyncio.timeout(self.timeout_s))
            await self._loop(run)

    async def _whole(self, run: Run) -> Json:
        """Run all steps in one transaction, committed with the key of the effect."""
        assert self.transaction is not None

        async def work(session: Session) -> Json:
            inner = Run(run.trigger, request=run.request, meta=run.meta)
            inner.steps, inner.current = dict(run.steps), dict(run.current)
            inner.sessions = {self.transaction_database: session}
            await self._loop(inner)
            return await whole(inner)

        async with asyncio.timeout(self.timeout_s or None):
            return await once(self.transaction(), EFFECT_KEY.get(), work)

    async def _bounded(self, run: Run) -> None:
        async with AsyncExitStack() as stack:
            if self.around is not None:
                stack.enter_context(self.around(self.name))
            if self.timeout_s:
                await stack.enter_async_context(asyncio.timeout(self.timeout_s))
            if self.transaction is not None:
                session = await stack.enter_async_context(self.transaction().transaction())
                run.sessions = {self.transaction_database: session}
            await self._loop(run)

    async def _loop(self, run: Run) -> None:
        steps, position, executed = self.steps, 0, 0
        in_effect = run.journal is None and bool(EFFECT_KEY.get())
        if run.journal is not None:
            steps = self.journaled
        end = len(steps)
        while position < end:
            step = steps[position]
            executed += 1
            if executed > STEPS_MAX:
                text = f"a run has at most {STEPS_MAX} steps; a jump leads back without an end"
                raise HttpProblem(500, "STEP_LIMIT", text).at(self.name, step.name)
            try:
                if in_effect:
                    with step_scope(f"{executed}.{step.name}"):
                        output = await _guarded(step, run)
                elif step.guarded:
                    output = await _guarded(step, run)
                else:
                    result = step.call(run)
                    output = result if isinstance(result, dict) else await result
            except Exception as error:  # noqa: BLE001 - the rules decide
                output = await self._failed(step, run, error)
            if output is not None:
                run.steps[step.name] = output
                if output:
                    run.current.update(output)
            if run.response is not None:
                return
            if run.next:
                position = self._position(run.next, step.name)
                run.next = ""
            else:
                position += 1

    def _position(self, name: str, from_step: str) -> int:
        found = self.index.get(name)
        if found is None:
            text = f"there is no step {name!r}"
            raise HttpProblem(500, "STEP_UNKNOWN", text).at(self.name, from_step)
        return found

    async def _failed(self, step: CompiledStep, run: Run, error: Exception) -> Output:
        """Apply the rule of the step, then that of the pipeline; return a replacement."""
        problem = problem_of(error)
        if problem is not error:
            problem.__cause__ = error
        problem = problem.at(self.name, step.name)
        rule = step.on_error or self.on_error
        if rule == "skip":
            return {"_error": problem.detail, "_skipped": True}
        if rule in self.index and step.on_error:
            run.next = rule
            return {"_error": problem.detail}
        if rule == "compensate":
            done = await self._compensate(run)
            problem.detail += "; compensated" if done else "; the compensation failed too"
            raise _with(problem, compensated=done) from error
        raise problem from error

    async def _compensate(self, run: Run) -> bool:
        """Run the compensation, last to first; return whether all of it succeeded."""
        steps = self.compensation if run.journal is None else self.journaled_compensation
        for step in reversed(steps):
            try:
                with step_scope(f"compensation.{step.name}"):
                    output = await _guarded(step, run)
            except Exception:  # noqa: BLE001 - the first error is the answer
                return False
            run.steps[step.name] = output or {}
        return True


def _with(problem: HttpProblem, *, compensated: bool) -> HttpProblem:
    problem.violations = (*problem.violations, {"compensated": compensated})
    return problem


async def _guarded(step: CompiledStep, run: Run) -> Output | None:
    """Run a step within its condition, timeout and retries; None if it is left out."""
    if step.condition is not None and not step.condition(run):
        return None
    if step.skip is not None and step.skip(run):
        return None
    retry = step.retry or Retry()
    for attempt in range(1, retry.attempts + 1):
        try:
            if step.timeout_s:
                async with asyncio.timeout(step.timeout_s):
                    return await _called(step, run)
            return await _called(step, run)
        except Exception as error:
            problem = problem_of(error)
            retried = problem.code in step.retried if step.retried else problem.status >= 500
            if attempt == retry.attempts or not retried:
                raise
            await asyncio.sleep(retry.delay_s(attempt))
    return None


async def _called(step: CompiledStep, run: Run) -> Output:
    result: Output | Awaitable[Output] = step.call(run)
    return result if isinstance(result, dict) else await result
