"""Servers for plugins: SMTP as far as a client needs it, HTTP, and MariaDB."""

import asyncio
import base64
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from redis.asyncio import Redis

from flowmesh.embedded.binaries import redis_server
from flowmesh.embedded.ports import free_port
from tests.features.application_hosts.app_servers import program

# The second has a program that the installation of the first calls.
MARIADB = ("mariadb-server-core", "mariadb-client-core")


@dataclass
class Mailbox:
    """The mails that a server took; a recipient `nobody@…` is refused."""

    password: str
    port: int = 0
    mails: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the commands of one client (RFC 5321, AUTH PLAIN of RFC 4954)."""
        writer.write(b"220 mailbox\r\n")
        async for line in reader:
            words = line.decode().split()
            match words[0].upper():
                case "EHLO":
                    answer = "250-mailbox\r\n250 AUTH PLAIN"
                case "AUTH":
                    answer = self._login(words[2])
                case "RCPT":
                    answer = "550 unknown" if "nobody" in line.decode() else "250 ok"
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                    answer = "250 kept"
                case "QUIT":
                    break
                case _:
                    answer = "250 ok"
            writer.write(f"{answer}\r\n".encode())
        writer.close()

    def _login(self, response: str) -> str:
        _, user, password = base64.b64decode(response).decode().split("\0")
        self.logins.append(user)
        return "235 welcome" if password == self.password else "535 wrong password"


@asynccontextmanager
async def mariadb(folder: Path, password: str) -> AsyncIterator[int]:
    """Yield the port of MariaDB with the database `shop` of the user `shop`."""
    await asyncio.to_thread(_mariadb_data, folder, password)
    port = free_port()
    argv = (
        *("mariadbd", "--no-defaults", "--user=root", f"--datadir={folder / 'data'}"),
        *(f"--socket={folder / 'socket'}", f"--port={port}", "--bind-address=127.0.0.1"),
        "--skip-name-resolve",
        f"--init-file={folder / 'shop.sql'}",
    )
    async with program(*argv, port=port):
        yield port


def _mariadb_data(folder: Path, password: str) -> None:
    if not (shutil.which("mariadbd") and shutil.which("my_print_defaults")):
        subprocess.run(["apt-get", "install", "-qy", *MARIADB], check=True)
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", "--user=root"],
        check=True,
        capture_output=True,
    )
    statements = (
        "create database shop",
        f"create user 'shop'@'%' identified by '{password}'",
        "grant all on shop.* to 'shop'@'%'",
        "create table shop.orders (id int primary key auto_increment, name varchar(80),"
        " total decimal(10, 2), made datetime, mark binary(2))",
    )
    (folder / "shop.sql").write_text("".join(f"{each};\n" for each in statements))


@asynccontextmanager
async def mailbox(password: str) -> AsyncIterator[Mailbox]:
    """Yield a server of SMTP on loopback."""
    made = Mailbox(password)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


@dataclass
class Desk:
    """A chat with a webhook at `/hook`, and the API of Prometheus."""

    url: str = ""
    messages: list[Any] = field(default_factory=list)

    async def hook(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not body["text"]:
            return web.Response(status=400, text="no_text")
        self.messages.append(body)
        return web.Response(text="ok")

    async def query(self, request: web.Request) -> web.Response:
        """Answer as the HTTP API of Prometheus: `up` is 1, anything else no query."""
        if request.query["query"] != "up":
            error = {"status": "error", "errorType": "bad_data", "error": "parse error"}
            return web.json_response(error, status=400)
        series = [{"metric": {"__name__": "up"}, "value": [1_700_000_000, "1"]}]
        data = {"resultType": "vector", "result": series}
        return web.json_response({"status": "success", "data": data})


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """Yield a server of HTTP on loopback."""
    made, application = Desk(), web.Application()
    application.router.add_post("/hook", made.hook)
    application.router.add_get("/api/v1/query", made.query)
    async with _listening(application) as made.url:
        yield made


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """Yield the URL of the files of a folder on loopback."""
    application = web.Application()
    application.router.add_static("/plugins", folder)
    async with _listening(application) as url:
        yield f"{url}/plugins/"


@asynccontextmanager
async def _listening(application: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@dataclass
class Values:
    """A server of Redis with a password, and a client that watches its connections."""

    port: int
    client: Redis

    async def connections(self) -> int:
        """Return the number of connections since the start."""
        return int((await self.client.info("stats"))["total_connections_received"])

    async def drop_connections(self) -> None:
        """Close all other connections."""
        await self.client.client_kill_filter(_type="normal", skipme=True)


@asynccontextmanager
async def values_of(password: str) -> AsyncIterator[Values]:
    """Yield a server of Redis on loopback."""
    port = free_port()
    options = ("--port", str(port), "--requirepass", password, "--save", "", "--bind", "127.0.0.1")
    async with program(str(redis_server()), *options, port=port):
        client = Redis(port=port, password=password, single_connection_client=True)
        try:
            yield Values(port, client)
        finally:
            await client.aclose()
