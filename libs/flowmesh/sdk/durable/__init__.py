"""Durable handlers: code whose steps are journaled, so that it resumes after a crash.

loop      the deterministic event loop of a handler
run       a running handler: replays its journal, then records new operations
context   the `ctx` argument of a handler
steps     the steps of a handler on a worker
host      a handler on a worker
flows     the workflow of a single handler
"""

from flowmesh.sdk.durable.context import DurableContext
from flowmesh.sdk.durable.failures import (
    CallFailed,
    NonDeterministic,
    OperationFailed,
    StepFailed,
)
from flowmesh.sdk.durable.steps import step_key

__all__ = [
    "CallFailed",
    "DurableContext",
    "NonDeterministic",
    "OperationFailed",
    "StepFailed",
    "step_key",
]
