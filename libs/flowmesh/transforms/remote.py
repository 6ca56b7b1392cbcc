"""Runs of pipelines in a child process of the sandbox, which limits CPU time and memory."""

from collections.abc import Callable, Mapping

import msgspec
import orjson

from flowmesh.contract.json_value import Json
from flowmesh.jsontext.integers import inexact
from flowmesh.sandbox import SandboxFailure
from flowmesh.sandbox.pool import outputs_of
from flowmesh.sandbox.process import Answer
from flowmesh.transforms.errors import (
    VALIDATION,
    PipelineInvalid,
    PipelineProblem,
    TransformError,
)
from flowmesh.transforms.pipeline import compile_pipeline
from flowmesh.transforms.run import Pipeline, Request, Run

# Evaluates a program: time limit, program, variables, value; returns status and text.
Evaluate = Callable[[int, str, str, str], tuple[bytes, bytes]]


class RemoteRun(msgspec.Struct):
    """A run: the pipeline, and the member of the input that it transforms (all without one).

    Without a pipeline the input is that of the native task: `pipeline` and `source`.
    """

    pipeline: Json = None
    member: str = ""
    seed: str = ""


class RemoteFailure(msgspec.Struct):
    """The failure of a run; `problems` are those of an invalid pipeline."""

    message: str = ""
    class_: str = ""
    problems: list[tuple[str, str, str]] = []

    def error(self) -> PipelineInvalid | TransformError:
        if self.problems:
            return PipelineInvalid(tuple(PipelineProblem(*each) for each in self.problems))
        return TransformError(self.message, class_=self.class_)


class Runner:
    """Runs pipelines; compiled ones are cached. Programs are evaluated by their language."""

    def __init__(self, compiled_max: int, evaluators: Mapping[str, Evaluate]) -> None:
        self._compiled_max = compiled_max
        self._compiled: dict[bytes, Pipeline] = {}
        self._evaluators = evaluators

    def run(self, text: str, data: str) -> tuple[bytes, str]:
        """Return the value as JSON, or the failure as JSON."""
        asked = msgspec.json.decode(text, type=RemoteRun)
        try:
            definition, source = _read(asked, data)
            value = self._value(self._pipeline(definition), source, Run(asked.seed))
            return orjson.dumps(value), ""
        except PipelineInvalid as error:
            problems = [(each.path, each.message, each.code) for each in error.problems]
            failure = RemoteFailure(problems=problems)
        except TransformError as error:
            failure = RemoteFailure(str(error), error.class_)
        except TypeError:  # also the base of orjson's errors
            failure = RemoteFailure("the step's result cannot be written as JSON", VALIDATION)
        return b"", msgspec.json.encode(failure).decode()

    def _pipeline(self, definition: Json) -> Pipeline:
        key = orjson.dumps(definition)
        if key not in self._compiled:
            if len(self._compiled) >= self._compiled_max:
                self._compiled.clear()
            self._compiled[key] = compile_pipeline(definition)
        return self._compiled[key]

    def _value(self, pipeline: Pipeline, source: Json, run: Run) -> Json:
        flow = pipeline.flow(source, run)
        try:
            request = next(flow)
            while True:
                try:
                    outputs = self._outputs(request)
                except SandboxFailure as failure:
                    request = flow.throw(failure)
                else:
                    request = flow.send(outputs)
        except StopIteration as end:
            return end.value

    def _outputs(self, request: Request) -> list[Json]:
        """Return the outputs of a program. Raises SandboxFailure."""
        value, variables = orjson.dumps(request.value), orjson.dumps(dict(request.variables))
        evaluate = self._evaluators[request.language]
        status, text = evaluate(0, request.program, variables.decode(), value.decode())
        return outputs_of(request.language, Answer(status, text))


def _read(asked: RemoteRun, data: str) -> tuple[Json, Json]:
    """Return the pipeline and its source. Raises TransformError."""
    try:
        if path := inexact(data.encode(), "input"):
            message = f"{path} is a number that cannot be kept exactly; write it as a string"
            raise TransformError(message)
        value = orjson.loads(data)
    except (orjson.JSONDecodeError, msgspec.DecodeError):
        raise TransformError("the task's input is not JSON") from None
    if asked.pipeline is None:
        return pipeline_of(value), value.get("source")
    return asked.pipeline, member_of(value, asked.member)


def pipeline_of(value: Json) -> Json:
    """Return the pipeline in the input of the native task. Raises TransformError."""
    if not isinstance(value, dict) or "pipeline" not in value:
        raise TransformError("a transform task needs `source` and `pipeline` in its input")
    return value["pipeline"]


def member_of(value: Json, name: str) -> Json:
    """Return a member of the input, or the input without a name. Raises TransformError."""
    if not name:
        return value
    if not isinstance(value, dict) or name not in value:
        raise TransformError(f"inputKey {name!r} is not in the context")
    return value[name]
