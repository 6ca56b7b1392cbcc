"""`builtin.noop`: returns its input. The cheapest task; benchmarks use it."""

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Executor, InlineStep, Output


class Noop(InlineStep):
    def run(self, attempt: Attempt) -> Output:
        return Output(attempt.input_bytes or b"null")


def noop_executor() -> Executor:
    """Return the executor of `builtin.noop`."""

    def prepare(_spec: TaskSpec, _config: dict[str, Json]) -> Noop:
        return Noop()

    return prepare
