"""`python`: code that computes in a confined process; printed lines are logged."""

from dataclasses import dataclass, field

import orjson

from flowmesh.api.definition.v1.plan_pb2 import DIALECT_STEPS, TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.code.javascript import code_of, sandbox_failures
from flowmesh.executors.failures import invalid
from flowmesh.executors.lines import log_lines
from flowmesh.sandbox import Sandbox
from flowmesh.sandbox.python import MIB, Limits, run_python


@dataclass(frozen=True, slots=True)
class Interpreters:
    """Runs Python in child processes, with maximum resources per task."""

    sandbox: Sandbox
    most: Limits = field(default_factory=Limits)

    def limits(self, asked: dict[str, Json]) -> Limits:
        """Return the limits of a task. Raises TaskFailure for a request above the maximum."""
        most = self.most
        limits = Limits(
            int(asked.get("memoryMiB") or min(Limits().memory_bytes, most.memory_bytes) // MIB)
            * MIB,
            int(asked.get("cpuSeconds") or min(Limits().cpu_s, most.cpu_s)),
            int(asked.get("outputBytes") or most.output_bytes),
        )
        if limits.memory_bytes > most.memory_bytes or limits.cpu_s > most.cpu_s:
            message = (
                f"a task may use {most.memory_bytes // MIB} MiB of memory and {most.cpu_s} s of "
                "processor time on this worker"
            )
            raise invalid(message, reason="LIMIT_TOO_HIGH")
        return limits


class PythonStep(Step):
    def __init__(self, spec: TaskSpec, config: dict[str, Json], python: Interpreters) -> None:
        self._code = code_of(config)
        self._limits = python.limits(config.get("limits") or {})
        self._sandbox = python.sandbox
        self._names = ("input", "context") if spec.dialect == DIALECT_STEPS else ("input",)

    async def run(self, attempt: Attempt) -> Output:
        variables = dict.fromkeys(self._names, attempt.value)
        with sandbox_failures():
            outcome = await run_python(
                self._sandbox, self._code, variables, self._limits, attempt.timeout_ms
            )
        log = orjson.dumps({"log": log_lines(outcome.log)}) if outcome.log else b""
        return Output.of(outcome.value, log)


def python_executor(python: Interpreters) -> Executor:
    """Return the executor of `python`."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> PythonStep:
        return PythonStep(spec, config, python)

    return prepare
