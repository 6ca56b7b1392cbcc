"""Runs a pipeline: it computes here or in a thread, its programs run in a sandbox."""

import asyncio
from collections.abc import Callable
from functools import partial
from threading import Event

from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.transforms.operation import Flow, Json
from flowmesh.transforms.run import Pipeline, Request, Run

PROGRAM_TIMEOUT_MS = 5_000


class _End:
    """What the pipeline made, told apart from a request."""

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
    """The value after the last operation; each program has `timeout_ms`.

    Raises TransformError, and Overloaded where too much waits for the sandbox. A thread nobody
    waits for any longer stops after the operation it is at.
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
    """What resumes the pipeline: with the outputs, or with a failure it tells the place of."""
    try:
        outputs = await sandbox.evaluate(
            request.language, request.program, request.value, request.variables, timeout_ms
        )
    except SandboxFailure as failure:
        return partial(flow.throw, failure)
    return partial(flow.send, outputs)
