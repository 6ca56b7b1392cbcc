"""A running suite for tests: a separate process, used through REST and gRPC only."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from typing import Any, Protocol, Self

import aiohttp
import grpc.aio
import psutil

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.contract.json_value import Json
from flowmesh.errors import Unavailable
from flowmesh.rpc import RemoteTarget, channel_to
from flowmesh.testing.databases import InitialDatabase

READY_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 60.0
RUN_TIMEOUT_S = 30.0
CALLS_END_S = 1.0


class SuiteFailed(Exception):
    """The suite did not start; the message has its log."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response with its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Started(Protocol):
    """A process of a suite."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


class Launcher(Protocol):
    """Starts `flowmesh WORDS` in a session of its own, with these standard streams."""

    async def launch(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> Started: ...


class Executing:
    """Executes a Python with the command; a launcher."""

    def __init__(self, python: str, *options: str) -> None:
        self._python, self._options = python, options

    async def launch(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> Started:
        return await asyncio.create_subprocess_exec(
            self._python,
            *(*self._options, "-m", "flowmesh.suite", *words),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )


class Suite:
    """`flowmesh dev` as a child process on free ports, a context manager.

    Tests of crashes call `kill`, and `start` again with the same data directory.
    """

    command = "dev"
    ready_line = b"Flowmesh is ready"
    stop_timeout_s = 12.0
    initial_database: InitialDatabase | None = None
    """If set, new suites copy this initialized database instead of creating one."""
    launcher: Launcher | None = None
    """If set, starts the processes that are not of another Python."""

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        ports: tuple[int, int] = (0, 0),
        environment: Mapping[str, str] | None = None,
        python: str = "",
    ) -> None:
        self.data_dir = data_dir
        self._launcher = (None if python else self.launcher) or Executing(python or sys.executable)
        self._ports = ports
        self._environment = {**os.environ, **(environment or {})}
        # Other sources may have an older version, with fewer migrations.
        path = self._environment.get("PYTHONPATH")
        self._has_own_sources = not python and path == os.environ.get("PYTHONPATH")
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self._arguments = arguments
        self._process: Started | None = None
        self._reader: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None
        self._target: RemoteTarget | None = None
        self.about: dict[str, Json] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def http_url(self) -> str:
        return str(self.about["http"])

    @property
    def grpc_address(self) -> str:
        return str(self.about["grpc"])

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the process."""
        return dict(self._environment)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def pids(self) -> dict[str, int]:
        """The current pids of the servers; 0 for one that is down."""
        return dict(json.loads((self.data_dir / "servers.json").read_text()))

    @property
    def processes(self) -> list[dict[str, Any]]:
        """The current processes of services besides the first."""
        return list(self._read_about()["processes"])

    def pid_of(self, name: str) -> int:
        """Return the pid of one of these processes; 0 while it is down."""
        return next(int(row["pid"]) for row in self.processes if row["name"] == name)

    @property
    def channel(self) -> Any:
        """A channel for stubs; calls raise FlowmeshError, also while the suite is down."""
        if self._target is None:
            raise Unavailable("SERVICE_UNAVAILABLE", "the suite is not running")
        return channel_to(self._target)

    async def start(self) -> None:
        """Start the suite and wait until it is ready; raises SuiteFailed with its log."""
        if self.initial_database is not None and not self.data_dir.exists():
            migrated = self._has_own_sources
            await self.initial_database.copy_to(self.data_dir, migrated=migrated)
        http_port, grpc_port = self._ports
        ports = ("--http-port", str(http_port), "--grpc-port", str(grpc_port))
        output, stdout = os.pipe()
        stdin = os.open(os.devnull, os.O_RDONLY)
        with self.log.open("ab") as log:
            try:
                self._process = await self._launcher.launch(
                    (self.command, "--data-dir", str(self.data_dir), *ports, *self._arguments),
                    environment=self._environment,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=log.fileno(),
                )
            finally:
                os.close(stdin)
                os.close(stdout)
        ready = asyncio.Event()
        self._reader = asyncio.create_task(
            _read_output(self._process, output, self.ready_line, ready)
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await ready.wait()
        except TimeoutError:
            await self.kill()
        if self._process.returncode is not None:
            raise SuiteFailed(self.log.read_text(errors="replace")[-4_000:])
        self.about = self._read_about()
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        self._http = aiohttp.ClientSession(timeout=timeout)
        self._target = RemoteTarget(self.grpc_address)

    async def stop(self) -> int:
        """Stop the suite and return its exit code."""
        await self._disconnect()
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self.stop_timeout_s):
                    await process.wait()
            except TimeoutError:
                await self.kill()
        return await process.wait()

    async def kill(self) -> None:
        """Kill the process group with SIGKILL; the servers die with it."""
        assert self._process is not None
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        # Open calls must fail by the death of the process before the channel is closed.
        await self._disconnect(CALLS_END_S)

    async def kill_everything(self) -> None:
        """Kill the process and all its children, including servers, with SIGKILL."""
        process = psutil.Process(self.pid)
        for victim in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        await self.kill()

    async def request(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Response:
        """Make an HTTP request; `body` is sent as JSON, `data` unchanged."""
        assert self._http is not None
        sent = dict(headers or {})
        if data is None and body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        url = f"{self.http_url}{path}"
        async with self._http.request(method, url, data=data, headers=sent) as answer:
            return Response(answer.status, dict(answer.headers), await answer.read())

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    put = partialmethod(request, "PUT")
    delete = partialmethod(request, "DELETE")

    def websocket(self, path: str) -> Any:
        """Return an async context manager of an aiohttp WebSocket."""
        assert self._http is not None
        return self._http.ws_connect(f"{self.http_url}{path}")

    async def events(self, execution_id: str, after: int = 0) -> list[Json]:
        """Return all events of an execution, read to the end of its stream."""
        assert self._http is not None
        url = f"{self.http_url}/api/v1/executions/{execution_id}/events?after={after}"
        found = []
        async with self._http.get(url) as answer:
            async for line in answer.content:
                if line.startswith(b"data:"):
                    found.append(json.loads(line[5:]))
        return found

    async def define(self, definition: Json) -> str:
        """Register a step-JSON definition and return its id; fails if it is refused."""
        answer = await self.post("/workflows", definition)
        assert answer.status in (200, 201), answer.text
        return str(answer.json["id"])

    async def begin(self, workflow_id: str, context: Json = None) -> str:
        """Start an execution and return its id."""
        body = {"workflowId": workflow_id, "context": context or {}, "requestId": uuid.uuid4().hex}
        answer = await self.post("/executions/start", body)
        assert answer.status == 200, answer.text
        return str(answer.json["executionId"])

    async def wait(self, execution_id: str, timeout_s: float = RUN_TIMEOUT_S) -> Json:
        """Wait for the end of an execution and return its JSON."""
        stub = pb_grpc.ExecutionServiceStub(self.channel)
        request = pb.WaitExecutionRequest(
            execution_id=execution_id, timeout_ms=int(timeout_s * 1_000)
        )
        answer = await stub.WaitExecution(request, timeout=timeout_s + 5)
        assert answer.ended, f"{execution_id} is still running after {timeout_s} s"
        return await self.execution(execution_id)

    async def execution(self, execution_id: str) -> Json:
        """Return the current JSON of an execution."""
        answer = await self.get(f"/executions/{execution_id}")
        assert answer.status == 200, answer.text
        return answer.json

    async def run(
        self, definition: Json, context: Json = None, *, timeout_s: float = RUN_TIMEOUT_S
    ) -> Json:
        """Register a definition, start it, wait for the end and return its JSON."""
        workflow_id = await self.define(definition)
        return await self.wait(await self.begin(workflow_id, context), timeout_s)

    def _read_about(self) -> dict[str, Json]:
        """Read the file of the command, with its addresses and those of its servers."""
        return dict(json.loads((self.data_dir / f"{self.command}.json").read_text()))

    async def _disconnect(self, grace_s: float | None = None) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None
        target, self._target = self._target, None
        if target is not None:
            await target.close(grace_s)


async def _read_output(
    process: Started, output: int, ready_line: bytes, ready: asyncio.Event
) -> None:
    """Set `ready` at the ready line or at the end, and keep the pipe empty."""
    lines = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(output, "rb")
    )
    try:
        async for line in lines:
            if line.startswith(ready_line):
                ready.set()
    finally:
        transport.close()
    await process.wait()
    ready.set()


def raw_channel(suite: Suite) -> grpc.aio.Channel:
    """Return a plain gRPC channel to the suite, for tests of gRPC statuses.

    It has its own connection, as a connection accepts a bounded number of calls.
    """
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(suite.grpc_address, options)
