"""The collaborators of built-in executors; a factory takes those that its parameters name."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowmesh.executors.base import Sender
from flowmesh.executors.code.python import Interpreters
from flowmesh.executors.code.transform import Functions
from flowmesh.executors.completion.budgets import Spending
from flowmesh.executors.completion.task import Models
from flowmesh.executors.databases import Databases
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.log import Log
from flowmesh.executors.publish import MessageSender, Publisher
from flowmesh.executors.rpc import Caller
from flowmesh.executors.serverless.openapi import Documents, Operations
from flowmesh.executors.tools.calls import ToolCaller
from flowmesh.sandbox import Sandbox


def _uuid() -> str:
    return str(uuid.uuid4())


@dataclass(kw_only=True, slots=True)
class Collaborators:
    """Clients and sources that executors use. A type whose client is None is not offered."""

    egress: Sender
    sandbox: Sandbox
    now_us: NowUs
    python: Interpreters | None = None
    databases: Databases | None = None
    caller: Caller | None = None
    tools: ToolCaller | None = None
    models: Models | None = None
    spending: Spending | None = None
    publisher: Publisher | None = None
    messages: MessageSender | None = None
    log: Log | None = None
    functions: Functions | None = None
    draw: Callable[[], float] = random.random
    """Returns a random number from 0 to 1."""
    new_id: Callable[[], str] = _uuid
    operations: Operations | None = None

    def __post_init__(self) -> None:
        self.python = self.python or Interpreters(self.sandbox)
        self.operations = self.operations or Documents(self.egress, self.now_us)

    def named(self, name: str) -> Any:
        return getattr(self, name)
