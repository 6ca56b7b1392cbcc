"""Durable handlers: code whose every step is journaled, so that it can run again from where it was.

loop      the event loop a handler runs on: nothing in it comes from outside of the journal
run       one handler being run: replays its journal, then asks for more
context   what a handler is given
host      a handler at a worker
flows     the workflow of a single handler
"""

from flowmesh.sdk.durable.context import DurableContext
from flowmesh.sdk.durable.failures import (
    CallFailed,
    NonDeterministic,
    OperationFailed,
    StepFailed,
)
from flowmesh.sdk.durable.host import step_key

__all__ = [
    "CallFailed",
    "DurableContext",
    "NonDeterministic",
    "OperationFailed",
    "StepFailed",
    "step_key",
]
