"""The table of built-in task types."""

import random
import uuid
from collections.abc import Callable

from flowmesh.executors.base import Executor, Sender
from flowmesh.executors.code.condition import condition_executor
from flowmesh.executors.code.decision import decision_executor
from flowmesh.executors.code.javascript import function_executor
from flowmesh.executors.code.jq import jq_of
from flowmesh.executors.code.jsonata import jsonata_of
from flowmesh.executors.code.python import Interpreters, python_executor
from flowmesh.executors.code.transform import transform_executor
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.http.request import http_executor, webhook_executor
from flowmesh.executors.log import Log, log_executor
from flowmesh.executors.noop import noop
from flowmesh.executors.outside import Outside, outside_executors
from flowmesh.executors.secrets import SecretOf, secret_of_environment
from flowmesh.executors.serverless.calls import Calls
from flowmesh.executors.serverless.events import Emitter
from flowmesh.executors.serverless.openapi import Documents, Operations
from flowmesh.executors.serverless.task import Tools, serverless_executor
from flowmesh.executors.states.running import Tools as StatesTools
from flowmesh.executors.states.task import states_executor
from flowmesh.sandbox import Sandbox
from flowmesh.standards.intrinsics import World

# A remote worker cannot register these; the first two never leave the orchestrator.
RESERVED_TASK_TYPES = frozenset(
    {
        "noop",
        "delay",
        "builtin.noop",
        "http.request",
        "webhook",
        "transform",
        "function",
        "condition",
        "decision",
        "serverless.task",
        "states.task",
        "db.query",
        "db.exec",
        "grpc.call",
        "log",
        "publish",
        "python",
    }
)


def _uuid() -> str:
    return str(uuid.uuid4())


def builtin_executors(
    *,
    egress: Sender,
    sandbox: Sandbox,
    now_us: NowUs,
    python: Interpreters | None = None,
    outside: Outside | None = None,
    log: Log | None = None,
    draw: Callable[[], float] = random.random,
    new_id: Callable[[], str] = _uuid,
    secret_of: SecretOf = secret_of_environment,
    operations: Operations | None = None,
) -> dict[str, Executor]:
    """Every built-in executor by its task type. `draw` gives numbers from 0 to 1.

    Without an `outside` there are only those that call nobody, and those over HTTP.
    """
    calls = Calls(egress, sandbox, now_us, operations or Documents(egress, now_us))
    publisher = None if outside is None else outside.publisher
    emitter = None if publisher is None else Emitter(publisher, now_us)
    return {
        "http.request": http_executor(egress, now_us),
        "webhook": webhook_executor(egress, now_us),
        "transform": transform_executor(sandbox),
        "function": function_executor(sandbox),
        "condition": condition_executor(sandbox),
        "decision": decision_executor(sandbox),
        "builtin.noop": noop,
        "log": log_executor(log, now_us),
        "python": python_executor(python or Interpreters(sandbox)),
        "serverless.task": serverless_executor(
            Tools(jq_of(sandbox), calls, emitter, now_us, draw, secret_of)
        ),
        "states.task": states_executor(
            StatesTools(egress, now_us, World(new_id, draw), jsonata_of(sandbox), publisher)
        ),
        **({} if outside is None else outside_executors(outside, now_us)),
    }
