"""`transform`: reshapes data by JavaScript, a pipeline of operations, or a plugin."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.contract.plugin_functions import plugin_of
from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.executors.base import AnyStep, Attempt, Executor, Output, Step
from flowmesh.executors.code.javascript import (
    CodeStep,
    code_of,
    picked,
    sandbox_failures,
    sandbox_timeout_ms,
)
from flowmesh.executors.failures import NETWORK, TaskFailure, invalid
from flowmesh.executors.limits import COMPILED_PIPELINES_MAX, LOOP_BYTES_MAX
from flowmesh.sandbox import Sandbox
from flowmesh.transforms import (
    Pipeline,
    PipelineInvalid,
    RemoteRun,
    TooCostly,
    TransformError,
    compile_pipeline,
    has_many_patterns,
    member_of,
    pipeline_of,
    transformed_inline,
    transformed_remotely,
)


class Functions(Protocol):
    """The functions of installed plugins."""

    async def call(self, namespace: str, plugin: str, value: Json, timeout_ms: int) -> Json:
        """Return the result of a function. Raises SandboxFailure, Overloaded and FlowmeshError."""


class FunctionStep(Step):
    """The function of a plugin, applied to the context or one member of it."""

    def __init__(self, reference: str, input_key: str, functions: Functions | None) -> None:
        self._plugin, self._input_key = plugin_of(reference), input_key
        self._functions = functions

    async def run(self, attempt: Attempt) -> Output:
        if self._functions is None:
            raise invalid("no plugins are installed here; mock the task in a dry run")
        value = picked(attempt.value, self._input_key)
        try:
            with sandbox_failures():
                found = await self._functions.call(
                    attempt.task.namespace, self._plugin, value, sandbox_timeout_ms(attempt)
                )
        except NotFound as error:
            raise invalid(error.message, reason=error.reason) from error
        except FlowmeshError as error:
            raise TaskFailure(NETWORK, error.message) from error
        return Output.of(found)


class PipelineStep(Step):
    """A pipeline from the configuration, applied to the context or one member of it."""

    def __init__(self, definition: Json, input_key: str, sandbox: Sandbox) -> None:
        self._pipeline = _compile(definition)
        self._remote = RemoteRun(definition, input_key)
        self._sandbox = sandbox

    async def run(self, attempt: Attempt) -> Output:
        def read() -> tuple[Pipeline, Json]:
            return self._pipeline, member_of(attempt.value, self._remote.member)

        return await _apply(read, self._remote, attempt, self._sandbox)


class GivenPipelineStep(Step):
    """The native task, whose input has `source` and `pipeline`."""

    def __init__(self, pipelines: "Pipelines", sandbox: Sandbox) -> None:
        self._pipelines = pipelines
        self._sandbox = sandbox

    async def run(self, attempt: Attempt) -> Output:
        def read() -> tuple[Pipeline, Json]:
            value = attempt.value
            definition = pipeline_of(value)
            if has_many_patterns(definition):
                raise TooCostly
            return self._pipelines.compiled(definition), value.get("source")

        return await _apply(read, RemoteRun(), attempt, self._sandbox)


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


def transform_executor(sandbox: Sandbox, functions: Functions | None = None) -> Executor:
    """Return the executor of `transform`."""
    pipelines = Pipelines()

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> AnyStep:
        input_key = str(config.get("input_key") or "")
        if "code" in config:
            return CodeStep(code_of(config), input_key, sandbox)
        if "function" in config:
            return FunctionStep(str(config["function"]), input_key, functions)
        if "pipeline" in config:
            return PipelineStep(config["pipeline"], input_key, sandbox)
        return GivenPipelineStep(pipelines, sandbox)

    return prepare


def _compile(definition: Json) -> Pipeline:
    try:
        return compile_pipeline(definition)
    except PipelineInvalid as error:
        raise _invalid_pipeline(error) from error


def _invalid_pipeline(error: PipelineInvalid) -> TaskFailure:
    problems = [
        {"path": f"pipeline{problem.path}", "message": problem.message}
        for problem in error.problems
    ]
    first = f"{problems[0]['path']}: {problems[0]['message']}"
    return invalid(first, violations=problems)


async def _apply(
    read: Callable[[], tuple[Pipeline, Json]],
    remote: RemoteRun,
    attempt: Attempt,
    sandbox: Sandbox,
) -> Output:
    """Apply a pipeline: here to a small input if that is cheap, else in a child process."""
    seed = f"{attempt.task.execution_id}/{attempt.task.node}"
    timeout_ms = sandbox_timeout_ms(attempt)
    try:
        with sandbox_failures():
            if len(attempt.input_bytes) <= LOOP_BYTES_MAX:
                with suppress(TooCostly):
                    pipeline, source = read()
                    return Output.of(
                        await transformed_inline(
                            pipeline, source, sandbox, seed=seed, timeout_ms=timeout_ms
                        )
                    )
            run = RemoteRun(remote.pipeline, remote.member, seed)
            data = attempt.input_bytes or b"null"
            return Output(await transformed_remotely(run, data, sandbox, timeout_ms))
    except PipelineInvalid as error:
        raise _invalid_pipeline(error) from error
    except TransformError as error:
        raise TaskFailure(error.class_, str(error)) from error
