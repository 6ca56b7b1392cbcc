"""The table of built-in task types."""

from flowmesh.executors.answers import NowUs
from flowmesh.executors.base import Executor
from flowmesh.executors.condition import condition_executor
from flowmesh.executors.decision import decision_executor
from flowmesh.executors.http import Sender, http_executor, webhook_executor
from flowmesh.executors.javascript import function_executor
from flowmesh.executors.noop import noop
from flowmesh.executors.transform import transform_executor
from flowmesh.sandbox import Sandbox

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


def builtin_executors(*, egress: Sender, sandbox: Sandbox, now_us: NowUs) -> dict[str, Executor]:
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
