"""Running of pipelines: cheap ones on the event loop, costly ones in a child process.

Runs have no side effects and a fixed seed, so a run that turns out costly begins again there.
"""

from collections.abc import Callable
from functools import partial

import msgspec
import orjson

from flowmesh.contract.json_value import Json
from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.sandbox.child import PIPELINE_FAILED
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import INLINE_COST_MAX
from flowmesh.transforms.operation import Flow
from flowmesh.transforms.pipeline import compile_pipeline
from flowmesh.transforms.remote import RemoteFailure, RemoteRun
from flowmesh.transforms.run import Pipeline, Request, Run, TooCostly

PROGRAM_TIMEOUT_MS = 5_000


class _End:
    """The result of a pipeline, as opposed to a request."""

    def __init__(self, value: Json) -> None:
        self.value = value


async def transformed(definition: Json, value: Json, sandbox: Sandbox, timeout_ms: int) -> Json:
    """Run a pipeline and return its value. Raises PipelineInvalid, TransformError, Overloaded."""
    try:
        return await transformed_inline(
            compile_pipeline(definition), value, sandbox, timeout_ms=PROGRAM_TIMEOUT_MS
        )
    except TooCostly:
        run, data = RemoteRun(definition), orjson.dumps(value)
    try:
        return orjson.loads(await transformed_remotely(run, data, sandbox, timeout_ms))
    except SandboxFailure as failure:
        raise TransformError(failure.message, class_=failure.class_) from failure


async def transformed_inline(
    pipeline: Pipeline, value: Json, sandbox: Sandbox, *, seed: str = "", timeout_ms: int
) -> Json:
    """Run a pipeline here; each program has `timeout_ms`.

    Raises TooCostly before an operation that could block the event loop for more than some 10 ms,
    TransformError, and Overloaded if too many calls wait for the sandbox.
    """
    flow = pipeline.flow(value, Run(seed, INLINE_COST_MAX))
    reached = _reached(flow.__next__)
    while not isinstance(reached, _End):
        reached = _reached(await _answer(flow, reached, sandbox, timeout_ms))
    return reached.value


async def transformed_remotely(
    run: RemoteRun, data: bytes, sandbox: Sandbox, timeout_ms: int
) -> bytes:
    """Run a pipeline in a child process over JSON text and return its value as JSON text.

    Raises PipelineInvalid, TransformError, SandboxFailure, and Overloaded.
    """
    try:
        return await sandbox.transform(msgspec.json.encode(run), data, timeout_ms)
    except SandboxFailure as failure:
        if failure.class_ != PIPELINE_FAILED:
            raise
        raise msgspec.json.decode(failure.message, type=RemoteFailure).error() from None


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
