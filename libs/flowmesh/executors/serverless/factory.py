"""The factory of the executor of `serverless.task`."""

from collections.abc import Callable

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Executor, Sender
from flowmesh.executors.code.jq import jq_of
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.publish import Publisher
from flowmesh.executors.serverless.calls import Calls
from flowmesh.executors.serverless.events import Emitter
from flowmesh.executors.serverless.openapi import Operations
from flowmesh.executors.serverless.task import ServerlessStep, Tools
from flowmesh.sandbox import Sandbox


def serverless_executor(
    egress: Sender,
    sandbox: Sandbox,
    now_us: NowUs,
    operations: Operations,
    draw: Callable[[], float],
    publisher: Publisher | None = None,
) -> Executor:
    """Return the executor; without a publisher, tasks that emit events fail."""
    calls = Calls(egress, sandbox, now_us, operations)
    emitter = None if publisher is None else Emitter(publisher, now_us)
    return task_executor(Tools(jq_of(sandbox), calls, emitter, now_us, draw))


def task_executor(tools: Tools) -> Executor:
    """Return the executor with the given tools."""

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> ServerlessStep:
        return ServerlessStep(config, tools)

    return prepare
