"""The plugin of kubectl: its options, the proxy, and the tunnel to a gateway."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from flowmesh.suite import kubectl

PATH = "/api/v1/namespaces/flows/services/{}:flowmesh-gateway:http/proxy/api/v1/grpc"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose sockets have short names."""
    with tempfile.TemporaryDirectory(prefix="fm-") as made:
        yield Path(made)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*kubectl.CREDENTIALS, "FLOWMESH_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    kubectl._tell.cache_clear()


def script(folder: Path, text: str) -> None:
    file = folder / "kubectl"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o700)


SERVES = 'echo "$@" > "$0.arguments"; echo Starting to serve on a socket; exec sleep 60'


def test_a_command_runs_behind_the_proxy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of the plugin are those of kubectl; the rest is the command."""
    script(folder, SERVES)
    monkeypatch.setenv("PATH", f"{folder}:{os.defpath}")
    words = ["--context=dev", "--kubeconfig", "k.yaml", "--suite", "flows", "list", "--json"]
    monkeypatch.setattr(sys, "argv", ["kubectl-flowmesh", *words])
    ran: list[tuple[list[str], str]] = []
    monkeypatch.setattr(
        kubectl, "flowmesh", lambda: ran.append((sys.argv, os.environ["FLOWMESH_ADDRESS"]))
    )
    monkeypatch.setenv("FLOWMESH_ADDRESS", "")
    kubectl.main()
    ((command, address),) = ran
    assert command == ["kubectl flowmesh", "list", "--json"]
    assert address.startswith("unix:/")
    given = (folder / "kubectl.arguments").read_text().split()
    assert given[:2] == ["proxy", f"--unix-socket={address.removeprefix('unix:')[:-4]}api"]
    assert given[2:] == ["--context=dev", "--kubeconfig=k.yaml"]


@pytest.mark.parametrize(
    ("words", "text", "ended"),
    [
        ([], SERVES, 2),
        (["--help"], SERVES, 0),
        (["--context"], SERVES, "kubectl flowmesh: --context needs a value"),
        (["list"], "echo error: no such context", "kubectl flowmesh: error: no such context"),
        (["list"], "exit 1", "kubectl flowmesh: kubectl proxy did not start"),
        (["list"], None, "kubectl flowmesh: there is no kubectl in PATH"),
    ],
)
def test_a_command_that_cannot_run_ends(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    text: str | None,
    ended: int | str,
) -> None:
    """With the usage, or the reason in a line."""
    if text is not None:
        script(folder, text)
    monkeypatch.setenv("PATH", str(folder) if text is None else f"{folder}:{os.defpath}")
    monkeypatch.setattr(sys, "argv", ["kubectl-flowmesh", *words])
    with pytest.raises(SystemExit) as ended_with:
        kubectl.main()
    assert ended_with.value.code == ended
    assert ("--suite NAMESPACE" in capsys.readouterr().out) == isinstance(ended, int)


class ApiServer:
    """The proxy of an API server; `answers` has the status of each service that has no gateway."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[HTTPStatus, str]] = {}
        self.seen: list[tuple[str, str]] = []

    def answer(self, connection: ServerConnection, request: Any) -> Any:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        self.seen.append((request.path, offered))
        scheme = request.path.partition("/services/")[2].partition(":")[0]
        if scheme in self.answers:
            return connection.respond(*self.answers[scheme])
        return None

    async def echo(self, connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)
            if message == b"text":
                await connection.send("text, too")

    @asynccontextmanager
    async def tunnel(self, folder: Path) -> AsyncIterator[Path]:
        """Yield the socket of the clients."""
        async with unix_serve(
            self.echo,
            str(folder / "api"),
            process_request=self.answer,
            select_subprotocol=lambda _, offered: offered[0] if offered else None,
        ):
            stack = ExitStack()
            stack.enter_context(kubectl._tunnel(folder, "flows"))
            try:
                yield folder / "grpc"
            finally:
                await asyncio.to_thread(stack.close)


async def test_connections_are_carried_to_the_gateway(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without TLS first, then with it; the credential is a subprotocol."""
    monkeypatch.setenv("FLOWMESH_API_KEY", "fm_made-up")
    server = ApiServer()
    server.answers["http"] = HTTPStatus.SERVICE_UNAVAILABLE, "no endpoints"
    async with server.tunnel(folder) as socket:
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"text")
        assert await reader.readexactly(13) == b"texttext, too"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        _, waiting = await asyncio.open_unix_connection(socket)
    waiting.close()
    offered = "flowmesh.bearer.fm_made-up"
    assert server.seen[:2] == [(PATH.format("http"), offered), (PATH.format("https"), offered)]


UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE, "no endpoints"


@pytest.mark.parametrize(
    ("answers", "text", "tried"),
    [
        ({"http": (HTTPStatus.UNAUTHORIZED, "")}, "401, it is closed: set FLOWMESH_TOKEN or", 1),
        ({"http": (HTTPStatus.NOT_FOUND, "no service")}, "404 no service", 1),
        ({"http": UNAVAILABLE, "https": UNAVAILABLE}, "503 no endpoints", 2),
    ],
)
async def test_a_gateway_that_refuses_is_reported_once(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    answers: dict[str, tuple[HTTPStatus, str]],
    text: str,
    tried: int,
) -> None:
    """The other way is tried only if there may be no gateway on the first one."""
    server = ApiServer()
    server.answers = answers
    async with server.tunnel(folder) as socket:
        for _ in range(2):
            reader, writer = await asyncio.open_unix_connection(socket)
            assert await reader.read() == b""
            writer.close()
    assert len(server.seen) == 2 * tried
    said = capsys.readouterr().err
    assert said.startswith(f"kubectl flowmesh: the gateway in flows does not answer: {text}")
    assert said.count("\n") == 1


async def test_an_api_server_that_is_gone_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the error of the system."""
    stack = ExitStack()
    stack.enter_context(kubectl._tunnel(folder, "flows"))
    reader, writer = await asyncio.open_unix_connection(folder / "grpc")
    assert await reader.read() == b""
    writer.close()
    await asyncio.to_thread(stack.close)
    assert "No such file" in capsys.readouterr().err
