"""Running of pipelines: in this thread or another one, with programs in the sandbox."""

import asyncio
from collections.abc import Callable
from functools import partial
from threading import Event

from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.transforms.operation import Flow, Json
from flowmesh.transforms.run import Pipeline, Request, Run

PROGRAM_TIMEOUT_MS = 5_000


class _End:
    """The result of a pipeline, as opposed to a request."""

    def __init__(self, value: Json) -> None:
        self.value = value


async def transformed(
    pipeline: Pipeline,
    value: Json,
    sandbox: Sandbox,
    *,
    seed: str = "",
    timeout_ms: int = PROGRAM_TIMEOUT_MS,
    threaded: bool = True,
) -> Json:
    """Run a pipeline and return its value; each program has `timeout_ms`.

    Raises TransformError, and Overloaded if too many calls wait for the sandbox. The thread of a
    canceled run stops after its current operation.
    """
    stopped = Event()
    flow = pipeline.flow(value, Run(seed, stopped.is_set))
    go_on: Callable[[], Request | _End] = partial(_reached, flow.__next__)
    try:
        while True:
            reached = await asyncio.to_thread(go_on) if threaded else go_on()
            if isinstance(reached, _End):
                return reached.value
            go_on = partial(_reached, await _answer(flow, reached, sandbox, timeout_ms))
    finally:
        stopped.set()


def _reached(resume: Callable[[], Request]) -> Request | _End:
    try:
        return resume()
    except StopIteration as end:
        return _End(end.value)


async def _answer(
    flow: Flow, request: Request, sandbox: Sandbox, timeout_ms: int
) -> Callable[[], Request]:
    """Return a function that resumes the pipeline with the outputs or a failure."""
    try:
        outputs = await sandbox.evaluate(
            request.language, request.program, request.value, request.variables, timeout_ms
        )
    except SandboxFailure as failure:
        return partial(flow.throw, failure)
    return partial(flow.send, outputs)
