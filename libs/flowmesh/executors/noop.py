"""`builtin.noop`: answers with its input. The cheapest task there is; benchmarks use it."""

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.executors.base import Attempt, InlineStep, Json, Output


class Noop(InlineStep):
    def run(self, attempt: Attempt) -> Output:
        return Output(attempt.input_bytes or b"null")


def noop(_spec: TaskSpec, _config: dict[str, Json]) -> Noop:
    return Noop()
