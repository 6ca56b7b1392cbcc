"""Processes of agents: SDK workers that a provisioning saga starts and stops.

`python -m flowmesh.sdk.sagas.agents AGENT TASK [MODULE:FUNCTION]` is such a process.
"""

import asyncio
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, NotFound, Unavailable
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.values import limits
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.handlers import TaskHandler
from flowmesh.sdk.worker.worker import Worker

STOP_S: Final = 10.0
POLL_S: Final = 0.02


class AgentMaker(Protocol):
    """Starts and stops agents. Both are repeatable: an agent runs once, however often asked."""

    async def spawn(self, client: Client, agent_id: str, task: str, handler: str) -> Json:
        """Start an agent that serves a type of tasks on a queue of its own name."""

    async def stop(self, agent_id: str) -> None:
        """Stop an agent; nothing if it does not run."""


class ProcessAgents:
    """Agents as processes of this machine, found again by files in `folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"flowmesh-agents-{os.getuid()}"

    async def spawn(self, client: Client, agent_id: str, task: str, handler: str) -> Json:
        running = self._process(agent_id)
        if running is None:
            environment = os.environ | {
                "FLOWMESH_ADDRESS": client.address,
                "FLOWMESH_NAMESPACE": client.namespace,
            }
            command = [sys.executable, "-m", __name__, agent_id, task, *filter(None, (handler,))]
            child = await asyncio.create_subprocess_exec(
                *command, env=environment, start_new_session=True
            )
            running = child.pid
            self._folder.mkdir(parents=True, exist_ok=True)
            found = {"pid": running, "started": _started(running)}
            self._file(agent_id).write_text(json.dumps(found))
        return {"pid": running}

    async def stop(self, agent_id: str) -> None:
        running = self._process(agent_id)
        if running is not None:
            os.kill(running, signal.SIGTERM)
            until = time.monotonic() + STOP_S
            while (again := self._process(agent_id)) is not None:
                if time.monotonic() > until:
                    os.kill(again, signal.SIGKILL)
                await asyncio.sleep(POLL_S)
        self._file(agent_id).unlink(missing_ok=True)

    def runs(self, agent_id: str) -> bool:
        """Return whether the process of an agent is alive."""
        return self._process(agent_id) is not None

    def _file(self, agent_id: str) -> Path:
        return self._folder / f"{agent_id}.json"

    def _process(self, agent_id: str) -> int | None:
        """Return the process of an agent; a process id that was used again is not it."""
        try:
            found = json.loads(self._file(agent_id).read_text())
        except (OSError, ValueError):
            return None
        pid = int(found["pid"])
        return pid if _started(pid) == found["started"] else None


def _started(pid: int) -> str | None:
    """Return the start time of a process, or None if it does not run."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return None
    except OSError:
        return ""  # a system without /proc
    # The name, in parentheses, may hold anything.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]


async def run_agent(agent_id: str, task: str, handler: str) -> None:
    """Serve tasks until SIGTERM, and renew the registration of the agent."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with Client() as client:
        worker = Worker(
            client, {task: _handler(agent_id, handler)}, queues=[agent_id], worker_id=agent_id
        )
        async with worker:
            while not stopping.is_set():
                with suppress(NotFound, Unavailable):
                    await client.registry.heartbeat(agent_id)
                with suppress(TimeoutError):
                    async with asyncio.timeout(limits.SERVICE_HEARTBEAT_S):
                        await stopping.wait()


def _handler(agent_id: str, name: str) -> TaskHandler:
    """Return the handler `module:function`; without one, a handler that returns its input."""
    if name:
        module, _, function = name.partition(":")
        found: TaskHandler = getattr(importlib.import_module(module), function)
        return found

    async def accept(given: Json, context: TaskContext) -> Json:
        return {"agent": agent_id, "task": context.task_type, "input": given}

    return accept


if __name__ == "__main__":
    try:
        asyncio.run(run_agent(sys.argv[1], sys.argv[2], "".join(sys.argv[3:])))
    except FlowmeshError as error:
        sys.exit(str(error))
