"""The plugin `kubectl flowmesh`: the same commands, through the API server of a cluster.

`kubectl proxy` has the credentials of the kubeconfig; each connection of gRPC is a WebSocket to the
Service of the gateway, by the proxy of the API server. No port is opened: all is on sockets in a
folder of the user's own. The API server keeps the header `Authorization` for itself, so a closed
suite gets the credential as a subprotocol of the WebSocket; calls inside carry it as always.
"""

import asyncio
import functools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from flowmesh.suite.main import main as flowmesh

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

USAGE = """\
kubectl flowmesh [--kubeconfig FILE] [--context NAME] [--suite NAMESPACE] COMMAND …

The commands of `flowmesh` at the suite of a cluster; --suite is the namespace of its chart,
flowmesh-system by default. A closed suite needs FLOWMESH_API_KEY or FLOWMESH_TOKEN, and its
authority in FLOWMESH_CA.
"""
OPTIONS = ("--kubeconfig", "--context", "--suite")
CREDENTIALS = ("FLOWMESH_TOKEN", "FLOWMESH_API_KEY")
# The port of the gateway without TLS, and with it.
SERVICES = ("http:flowmesh-gateway:http", "https:flowmesh-gateway:http")
# Answers of a gateway that there is; another way to it has the same one.
ANSWERED = (401, 403, 404)
STARTS_S = 10.0
CHUNK_BYTES = 64 * 1024


def main() -> None:
    """Run a command of `flowmesh` at the suite of a cluster."""
    options, command = _read(sys.argv[1:])
    if not command or command[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        sys.exit(0 if command else 2)
    sys.argv = ["kubectl flowmesh", *command]
    namespace = options.pop("--suite", "flowmesh-system")
    with tempfile.TemporaryDirectory(prefix="flowmesh-kubectl-") as work:
        folder = Path(work)
        with _proxy(folder, options), _tunnel(folder, namespace):
            os.environ["FLOWMESH_ADDRESS"] = f"unix:{folder / 'grpc'}"
            flowmesh()


def _read(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options before the command, and the command."""
    options = {}
    while arguments and arguments[0].partition("=")[0] in OPTIONS:
        name, equals, value = arguments[0].partition("=")
        if not equals and len(arguments) < 2:
            sys.exit(f"kubectl flowmesh: {name} needs a value")
        options[name] = value if equals else arguments[1]
        arguments = arguments[1 if equals else 2 :]
    return options, arguments


@contextmanager
def _proxy(folder: Path, options: dict[str, str]) -> Iterator[None]:
    """Run `kubectl proxy` on a socket during the block."""
    socket = folder / "api"
    command = ["kubectl", "proxy", f"--unix-socket={socket}"]
    command += [f"{name}={value}" for name, value in options.items()]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        sys.exit("kubectl flowmesh: there is no kubectl in PATH")
    try:
        assert process.stdout is not None
        first = process.stdout.readline().decode().strip()
        if not first.startswith("Starting to serve"):
            sys.exit(f"kubectl flowmesh: {first or 'kubectl proxy did not start'}")
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _tunnel(folder: Path, namespace: str) -> Iterator[None]:
    """Carry the connections of a socket to the gateway during the block, in a thread."""
    loop = asyncio.new_event_loop()
    ready, stopped = threading.Event(), asyncio.Event()

    async def serve() -> None:
        await asyncio.start_unix_server(
            lambda reader, writer: _carry(reader, writer, folder, namespace), folder / "grpc"
        )
        ready.set()
        await stopped.wait()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(STARTS_S)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(STARTS_S)
        _end(loop)


@functools.cache
def _tell(text: str) -> None:
    """Write a problem once; a client tries again and again."""
    sys.stderr.write(text)


def _reason(error: Exception) -> str:
    from websockets.exceptions import InvalidStatus

    if not isinstance(error, InvalidStatus):
        return str(error)
    status = error.response.status_code
    if status == 401:
        return f"{status}, it is closed: set {' or '.join(CREDENTIALS)} to a valid credential"
    body = error.response.body.decode("utf-8", "replace").strip()
    return f"{status} {body[:300]}"


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the connections that are open, once the loop has stopped."""

    async def ended() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(ended())
    loop.close()


async def _connected(folder: Path, namespace: str) -> "ClientConnection":
    """Return a WebSocket to the gateway. Raises InvalidStatus for a refusal of the last way."""
    from websockets.asyncio.client import unix_connect
    from websockets.exceptions import InvalidStatus
    from websockets.typing import Subprotocol

    credential = next(filter(None, map(os.environ.get, CREDENTIALS)), None)
    offered = [Subprotocol(f"flowmesh.bearer.{credential}")] if credential else None
    for service in SERVICES:
        path = f"/api/v1/namespaces/{namespace}/services/{service}/proxy/api/v1/grpc"
        try:
            return await unix_connect(
                str(folder / "api"),
                f"ws://localhost{path}",
                max_size=None,
                compression=None,
                subprotocols=offered,
            )
        except InvalidStatus as error:
            if service == SERVICES[-1] or error.response.status_code in ANSWERED:
                raise
    raise AssertionError(SERVICES)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path, namespace: str
) -> None:
    from websockets.exceptions import WebSocketException

    try:
        async with await _connected(folder, namespace) as socket:

            async def outward() -> None:
                while data := await reader.read(CHUNK_BYTES):
                    await socket.send(data)
                await socket.close()

            task = asyncio.create_task(outward())
            async for message in socket:
                writer.write(message if isinstance(message, bytes) else message.encode())
                await writer.drain()
            task.cancel()
    except (OSError, WebSocketException) as error:
        _tell(f"kubectl flowmesh: the gateway in {namespace} does not answer: {_reason(error)}\n")
    finally:
        with suppress(OSError):
            writer.close()
