"""Agents as processes of this machine, below a supervisor that outlives the fleet."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.embedded.child import plain_environment
from flowmesh.errors import Unavailable, WrongState
from flowmesh.fleet import limits
from flowmesh.fleet.driving.credentials import Credentials
from flowmesh.fleet.driving.driver import Observed, Started
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.storage.records import AgentRow, SpecRow

SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
START_S: Final = 10.0
ANSWER_S: Final = 10.0
LINE_BYTES_MAX: Final = 64 * 1024 * 1024


class ProcessDriver:
    """Asks the supervisor of a data folder, which is started when there is none."""

    lasting = False

    def __init__(
        self, *, data_dir: Path, credentials: Credentials, isolation: IsolationRules, log: Any
    ) -> None:
        self._root = data_dir / "agents"
        self._credentials, self._isolation, self._log = credentials, isolation, log
        digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
        self._socket = Path(tempfile.gettempdir()) / f"flowmesh-fleet-{os.geteuid()}-{digest}"
        self.node = f"{socket.gethostname()}-{digest[:6]}"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()
        self._supervisor = 0

    async def spawn(self, agent: AgentRow, spec: SpecRow) -> Started:
        content = spec.content
        isolation = await self._isolation.check(agent.isolation, content.command[0])
        variables = await self._credentials.of(agent, spec)
        folder = self._root / agent.id
        uid = await asyncio.to_thread(self._write, folder, content, isolation)
        # The folders above that of an agent are closed to a user of its own.
        home = "." if isolation == pb.ISOLATION_USER else str(folder)
        program = program_of(content, home)
        argv = [program, *content.command[1:]]
        running = await self._ask({"op": "list"})
        self._supervisor = int(running["pid"])
        if isolation == pb.ISOLATION_SANDBOX:
            gateways = await self._credentials.gateways()
            only = content.connections.endpoints if content.HasField("connections") else None
            plan = await self._isolation.sandbox(folder, program, uid, gateways, only)
            argv = list(plan.argv(argv, parent=self._supervisor))
        own = {"HOME": home, "TMPDIR": home, "PWD": str(folder), "USER": "agent"}
        answer = await self._ask(
            {
                "op": "spawn",
                "id": agent.id,
                "argv": argv,
                "cwd": str(folder),
                "env": {**plain_environment(), **own, **content.environment, **variables},
                "limits": limits_of(content.limits),
                "uid": uid if isolation == pb.ISOLATION_USER else -1,
            }
        )
        own_user = isolation != pb.ISOLATION_NONE and uid >= 0
        return Started(int(answer["pid"]), _enforcement(content.limits, own_user=own_user))

    async def observe(self) -> Mapping[str, Observed]:
        if self._streams is None and not (self._socket / "socket").exists():
            return {}
        answer = await self._ask({"op": "list"})
        return {each.pop("id"): Observed(**each) for each in answer["agents"]}

    async def drain(self, agent_id: str) -> None:
        await self._ask({"op": "signal", "id": agent_id, "signal": int(signal.SIGTERM)})

    async def kill(self, agent_id: str, reason: str) -> None:
        await self._ask(
            {"op": "signal", "id": agent_id, "signal": int(signal.SIGKILL), "reason": reason}
        )

    async def forget(self, agent_id: str) -> None:
        await self._ask({"op": "forget", "id": agent_id})
        await asyncio.to_thread(shutil.rmtree, self._root / agent_id, ignore_errors=True)

    async def alone(self) -> bool:
        if not (self._socket / "socket").exists():
            return False
        return (await self._ask({"op": "list"})).get("fleets") == 1

    async def end(self) -> None:
        """End the supervisor with all agents, if it runs, and leave nothing of it."""
        if self._streams is not None or (self._socket / "socket").exists():
            async with self._lock:
                with contextlib.suppress(OSError):
                    await self._exchange({"op": "end"}, start=False)
                self._close()
        await asyncio.to_thread(shutil.rmtree, self._socket, ignore_errors=True)

    async def close(self) -> None:
        self._close()

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        async with self._lock:
            try:
                answer = await self._exchange(request, start=True)
            except asyncio.CancelledError:
                # The next request must not read the answer to this one.
                self._close()
                raise
            except (OSError, TimeoutError, ValueError) as error:
                self._close()
                text = f"the supervisor of the agents does not answer: {error or 'no answer'}"
                raise Unavailable("SERVICE_UNAVAILABLE", text) from error
        if "error" in answer:
            raise WrongState("AGENT_START_FAILED", str(answer["error"]))
        return answer

    async def _exchange(self, request: dict[str, Any], *, start: bool) -> dict[str, Any]:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await self._connected(start=start)
            writer.write(orjson.dumps(request) + b"\n")
            await writer.drain()
            line = await reader.readline()
        if not line:
            self._close()
            raise ConnectionResetError("it has ended")
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    async def _connected(self, *, start: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            path = self._socket / "socket"
            try:
                self._streams = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
            except (FileNotFoundError, ConnectionRefusedError):
                if not start:
                    raise
                await self._start()
                self._streams = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
        return self._streams

    async def _start(self) -> None:
        """Start a supervisor; agents of a former one have ended with it."""
        await asyncio.to_thread(self._folder)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(SUPERVISOR)),
            *(str(self._socket / "socket"), str(limits.KEPT_S)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=plain_environment(),
            start_new_session=True,
        )
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            await process.stdout.readline()
        self._log.info("agent_supervisor_started", pid=process.pid)

    def _folder(self) -> None:
        """Make the private folder of the socket. Raises OSError for one of another user."""
        self._socket.mkdir(mode=0o700, exist_ok=True)
        found = self._socket.lstat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(f"{self._socket} belongs to another user")
        (self._socket / "socket").unlink(missing_ok=True)

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def _write(self, folder: Path, content: pb.AgentSpec, isolation: int) -> int:
        """Write the files of an agent; return its user, -1 for that of the fleet."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, text in content.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
        uid = -1
        if isolation != pb.ISOLATION_NONE and os.geteuid() == 0:
            uid = self._isolation.free_user(self._root)
            for each in folder.rglob("*"):
                os.lchown(each, uid, uid)
            os.chown(folder, uid, uid)
        return uid


def program_of(content: pb.AgentSpec, folder: str) -> str:
    """Return the path of the program of a spec. Raises WrongState if this machine lacks it."""
    name = content.command[0]
    if name == "python":
        return sys.executable
    if name.removeprefix("./") in content.files:
        return f"{folder}/{name.removeprefix('./')}"
    found = shutil.which(name, path=os.defpath)
    if found is None:
        raise WrongState("AGENT_START_FAILED", f"there is no program {name!r} on {os.uname()[1]}")
    return found


def limits_of(wanted: pb.AgentLimits) -> dict[str, float]:
    """Return the limits that are set."""
    return {field.name: value for field, value in wanted.ListFields()}


def _enforcement(wanted: pb.AgentLimits, *, own_user: bool) -> dict[str, str]:
    by = {
        "cpu": "supervisor",
        "memory_bytes": "supervisor",
        "pids": "kernel, supervisor" if own_user else "supervisor",
        "files": "kernel",
        "disk_bytes": "kernel, supervisor",
    }
    return {name: by[name] for name in limits_of(wanted)}
