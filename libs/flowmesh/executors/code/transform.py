"""`transform`: reshapes data by JavaScript or by a pipeline of named operations."""

import asyncio
from collections import OrderedDict

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.executors.base import AnyStep, Attempt, Executor, Json, Output, Step
from flowmesh.executors.code.javascript import (
    CodeStep,
    code_of,
    picked,
    sandbox_failures,
    sandbox_timeout_ms,
)
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.limits import COMPILED_PIPELINES_MAX, LOOP_BYTES_MAX
from flowmesh.sandbox import Sandbox
from flowmesh.transforms import (
    Pipeline,
    PipelineInvalid,
    TransformError,
    compile_pipeline,
    transformed,
)


class PipelineStep(Step):
    """A pipeline from the configuration, applied to the context or one member of it."""

    def __init__(self, pipeline: Pipeline, input_key: str, sandbox: Sandbox) -> None:
        self._pipeline = pipeline
        self._input_key = input_key
        self._sandbox = sandbox

    async def run(self, attempt: Attempt) -> Output:
        source = picked(attempt.value, self._input_key)
        return await _apply(self._pipeline, source, attempt, self._sandbox)


class GivenPipelineStep(Step):
    """The native task, whose input has `source` and `pipeline`."""

    def __init__(self, pipelines: "Pipelines", sandbox: Sandbox) -> None:
        self._pipelines = pipelines
        self._sandbox = sandbox

    async def run(self, attempt: Attempt) -> Output:
        value = attempt.value
        if not isinstance(value, dict) or "pipeline" not in value:
            raise invalid("a transform task needs `source` and `pipeline` in its input")
        pipeline = self._pipelines.compiled(value["pipeline"])
        return await _apply(pipeline, value.get("source"), attempt, self._sandbox)


class Pipelines:
    """A cache of compiled pipelines that arrived as input."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[bytes, Pipeline] = OrderedDict()

    def compiled(self, definition: Json) -> Pipeline:
        key = orjson.dumps(definition)
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = _compile(definition)
            if len(self._compiled) > COMPILED_PIPELINES_MAX:
                self._compiled.popitem(last=False)
        else:
            self._compiled.move_to_end(key)
        return found


def transform_executor(sandbox: Sandbox) -> Executor:
    """Return the executor of `transform`."""
    pipelines = Pipelines()

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> AnyStep:
        input_key = str(config.get("input_key") or "")
        if "code" in config:
            return CodeStep(code_of(config), input_key, sandbox)
        if "pipeline" in config:
            return PipelineStep(_compile(config["pipeline"]), input_key, sandbox)
        return GivenPipelineStep(pipelines, sandbox)

    return prepare


def _compile(definition: Json) -> Pipeline:
    try:
        return compile_pipeline(definition)
    except PipelineInvalid as error:
        problems = [
            {"path": f"pipeline{problem.path}", "message": problem.message}
            for problem in error.problems
        ]
        first = f"{problems[0]['path']}: {problems[0]['message']}"
        raise invalid(first, violations=problems) from error


async def _apply(pipeline: Pipeline, source: Json, attempt: Attempt, sandbox: Sandbox) -> Output:
    """Apply a pipeline; large values and heavy pipelines run in a thread."""
    threaded = pipeline.heavy or len(attempt.input_bytes) > LOOP_BYTES_MAX
    try:
        with sandbox_failures():
            made = await transformed(
                pipeline,
                source,
                sandbox,
                seed=f"{attempt.task.execution_id}/{attempt.task.node}",
                timeout_ms=sandbox_timeout_ms(attempt),
                threaded=threaded,
            )
    except TransformError as error:
        raise TaskFailure(error.class_, str(error)) from error
    return await asyncio.to_thread(Output.of, made) if threaded else Output.of(made)
