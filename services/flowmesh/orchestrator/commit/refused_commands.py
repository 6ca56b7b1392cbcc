"""Commands whose batch the database rejects: the batch is halved until one command is left."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from flowmesh.orchestrator.commit.inbox import BY_CALLERS, Inbox
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.errors import (
    StatementRefused,
    command_failed,
    storage_unavailable,
)
from flowmesh.orchestrator.model.verdicts import refused_for_good

RETRY_S = 1.0
"""Pause before a command that the database rejects for another reason than its content."""
CONTENT_RETRY_S = 0.1
TRIES_MAX = 3
"""Tries of a command alone before its execution fails for it."""


class RefusedCommands:
    """Puts the commands of rejected batches back; fails an execution for one that never fits."""

    def __init__(self, *, inbox: Inbox, log: Any) -> None:
        self._inbox = inbox
        self._log = log

    def retry(self, commands: Sequence[PendingCommand], error: StatementRefused) -> None:
        """Try each half of a batch apart; other commands are not held up by it."""
        if len(commands) > 1:
            half = len(commands) // 2
            self._inbox.put_apart(commands[:half])
            self._inbox.put_apart(commands[half:])
        elif commands:
            self._retry_one(commands[0], error)

    def _retry_one(self, pending: PendingCommand, error: StatementRefused) -> None:
        execution_id = pending.execution_id
        self._log.error("command_refused", execution_id=execution_id, error=str(error))
        if isinstance(pending.command, BY_CALLERS):
            pending.answer(command_failed() if error.by_content else storage_unavailable())
            return
        pending.refusals += error.by_content
        if pending.refusals < TRIES_MAX:
            again = partial(self._inbox.put_apart, (pending,))
            delay_s = CONTENT_RETRY_S if error.by_content else RETRY_S
            asyncio.get_running_loop().call_later(delay_s, again)
            return
        self._inbox.put_apart(refused_for_good(pending, str(error)))
