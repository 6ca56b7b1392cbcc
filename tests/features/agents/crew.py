"""Agents of one namespace of a running suite, and a workflow whose tasks they take."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowmesh.sdk import Client, Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response, Suite

PATIENCE_S = 40.0
QUEUE = "packing"
WORKER = Path("examples/agents/worker.py").read_text()


class Crew:
    """Calls about the agents of a namespace."""

    def __init__(self, suite: Suite, namespace: str) -> None:
        self.suite, self.namespace = suite, namespace

    async def call(self, method: str, path: str, body: Any = None) -> Response:
        headers = {"Flowmesh-Namespace": self.namespace}
        return await self.suite.request(method, f"/api/v1/{path}", body, headers=headers)

    async def apply(self, spec: str, **content: Any) -> Response:
        """Store a spec; by default, of workers of the SDK."""
        body = {
            "command": ["python", "worker.py"],
            "files": {"worker.py": WORKER},
            "queues": [QUEUE],
            **content,
        }
        return await self.call("PUT", f"agent-specs/{spec}", body)

    async def spec(self, spec: str) -> Any:
        answer = await self.call("GET", f"agent-specs/{spec}")
        assert answer.status == 200, answer.text
        return answer.json

    async def agents(self, *states: str, ended: bool = False) -> list[Any]:
        answer = await self.call("GET", f"agents?ended={str(ended).lower()}")
        assert answer.status == 200, answer.text
        found: list[Any] = answer.json["agents"]
        return [each for each in found if not states or each["state"] in states]

    async def ready(self, count: int, within_s: float = PATIENCE_S) -> list[Any]:
        """Return the agents once so many are ready and none is left besides."""

        found: list[Any] = []

        async def settled() -> bool:
            found[:] = await self.agents()
            return len(found) == count and all(each["state"] == "ready" for each in found)

        await until(f"{count} agents are ready", settled, within_s=within_s)
        return found

    async def end(self) -> None:
        """Delete all specs with their agents, and wait for their end."""
        for each in (await self.call("GET", "agent-specs")).json["specs"]:
            name = each["spec"]["spec"]
            await self.call("DELETE", f"agent-specs/{name}?stopAgents=true")
        await self.ready(0)


async def tasks(client: Client, count: int, seconds: float) -> list[Any]:
    """Start executions of one task each; return their handles."""
    flow = Workflow("packed")
    flow.task("pack", "pack-box", input={"seconds": seconds}, queue=QUEUE)
    await client.register(flow)
    return [await client.start("packed") for _ in range(count)]


def alive(pid: int) -> bool:
    """Return whether a process runs; one that waits to be reaped does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def processes_of(suite: Suite) -> set[int]:
    """Return the processes of agents of a suite, found by their environment."""
    found = set()
    folder = str(suite.data_dir / "agents")
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with suppress(OSError):
                environment = (each / "environ").read_bytes()
                if b"FLOWMESH_AGENT_ID" in environment and folder.encode() in environment:
                    found.add(int(each.name))
    return {pid for pid in found if alive(pid)}


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
