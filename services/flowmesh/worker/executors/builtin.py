"""The table of built-in task types."""

from flowmesh.egress import Egress
from flowmesh.sandbox import Sandbox
from flowmesh.worker.executors.answers import NowUs
from flowmesh.worker.executors.base import Executor
from flowmesh.worker.executors.condition import condition_executor
from flowmesh.worker.executors.decision import decision_executor
from flowmesh.worker.executors.http import http_executor, webhook_executor
from flowmesh.worker.executors.javascript import function_executor
from flowmesh.worker.executors.noop import noop
from flowmesh.worker.executors.transform import transform_executor

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
    }
)


def builtin_executors(*, egress: Egress, sandbox: Sandbox, now_us: NowUs) -> dict[str, Executor]:
    """Every built-in executor by its task type."""
    return {
        "http.request": http_executor(egress, now_us),
        "webhook": webhook_executor(egress, now_us),
        "transform": transform_executor(sandbox),
        "function": function_executor(sandbox),
        "condition": condition_executor(sandbox),
        "decision": decision_executor(sandbox),
        "builtin.noop": noop,
    }
