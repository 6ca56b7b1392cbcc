"""Addresses of PostgreSQL, NATS and Redis with TLS and the authority of the installation."""

import asyncio
import json
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from redis.exceptions import ConnectionError as RedisUnreachable

from flowmesh.bus import Bus
from flowmesh.certificates import Authority, CertificateFiles, Request, issue
from flowmesh.certificates.nkeys import Nkey
from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers, binaries
from flowmesh.embedded.ports import free_port
from flowmesh.storage.redis_cache import open_cache
from flowmesh.testing.polling import until

TOKEN = "t0ken"
# Nkeys of users, for this test only.
SEED = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
PUBLIC = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
OTHER_SEED = "SUAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB6IC5CQ"
# The first packet of a client that asks PostgreSQL for TLS.
SSL_REQUEST = struct.pack("!II", 8, 80877103)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def own(tmp_path: Path) -> CertificateFiles:
    """A certificate of servers on this machine."""
    authority = Authority.create(tmp_path / "own")
    return issue(authority, Request("server", "db", ("localhost",)), tmp_path / "own" / "db")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """The certificate of another authority."""
    Authority.create(tmp_path / "foreign")
    return tmp_path / "foreign" / "ca.pem"


def context_of(files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


@asynccontextmanager
async def terminated(socket: str, tls: ssl.SSLContext, *, asks: bool = False) -> AsyncIterator[int]:
    """A port with TLS in front of a unix socket; clients of PostgreSQL ask for TLS first."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if asks:
                assert await reader.readexactly(8) == SSL_REQUEST
                writer.write(b"S")
                await writer.start_tls(tls)
            server = await asyncio.open_unix_connection(socket)
            await asyncio.wait(
                [
                    asyncio.create_task(_copy(reader, server[1])),
                    asyncio.create_task(_copy(server[0], writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            server[1].close()
        writer.close()

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if asks else tls)
    async with front:
        yield front.sockets[0].getsockname()[1]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@pytest.mark.feature("S3-131")
async def test_postgres_is_verified(
    servers: EmbeddedServers, own: CertificateFiles, foreign: Path
) -> None:
    """`sslmode=verify-full` with `sslrootcert` refuses a foreign authority and another name."""
    parts = urlsplit(servers.postgres)
    asked = parse_qs(parts.query)
    socket = f"{asked['host'][0]}/.s.PGSQL.{asked['port'][0]}"
    async with terminated(socket, context_of(own), asks=True) as port:

        async def version(host: str, root: Path | None) -> object:
            address = (
                f"postgresql://{parts.username}:{parts.password}@{host}:{port}{parts.path}"
                f"?sslmode=verify-full&sslrootcert={root}"
            )
            connection = await asyncpg.connect(address)
            try:
                return await connection.fetchval("select 1")
            finally:
                await connection.close()

        assert await version("localhost", own.authorities) == 1
        for host, root in (("localhost", foreign), ("127.0.0.1", own.authorities)):
            with pytest.raises(ssl.SSLCertVerificationError):
                await version(host, root)


@pytest.mark.feature("S3-131")
async def test_redis_is_verified(
    servers: EmbeddedServers, own: CertificateFiles, foreign: Path
) -> None:
    """`rediss://` with `ssl_ca_certs`."""
    parts = urlsplit(servers.redis)
    async with terminated(parts.path, context_of(own)) as port:
        for root, host, served in (
            (own.authorities, "localhost", True),
            (foreign, "localhost", False),
            (own.authorities, "127.0.0.1", False),
        ):
            address = f"rediss://:{parts.password}@{host}:{port}/0?ssl_ca_certs={root}"
            cache = open_cache(address)
            if served:
                assert await cache.ping()
            else:
                with pytest.raises(RedisUnreachable):
                    await cache.ping()
            await cache.aclose()


@asynccontextmanager
async def nats_server(folder: Path, **config: Json) -> AsyncIterator[int]:
    """NATS with a configuration."""
    port = free_port()
    config |= {"listen": f"127.0.0.1:{port}"}
    (folder / "nats.conf").write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        str(binaries.nats_server()), "-c", str(folder / "nats.conf"), stderr=asyncio.subprocess.PIPE
    )

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until("NATS listens", listens, within_s=10)
        yield port
    finally:
        process.terminate()
        await process.communicate()


async def reaches(address: str) -> bool:
    bus = Bus(address)
    bus.start()
    try:
        async with asyncio.timeout(2):
            await bus.until_connected()
    except TimeoutError:
        return False
    finally:
        await bus.close()
    return True


@pytest.mark.long
@pytest.mark.feature("S3-131")
async def test_nats_is_verified(tmp_path: Path, own: CertificateFiles, foreign: Path) -> None:
    """`tls://` with `sslrootcert`, and the certificate of the client that the server wants."""
    authority = Authority.open(tmp_path / "own")
    client = issue(authority, Request("client", "bus"), tmp_path / "own" / "bus")
    shown = f"sslcert={client.certificate}&sslkey={client.key}"
    tls = {
        "cert_file": str(own.certificate),
        "key_file": str(own.key),
        "ca_file": str(own.authorities),
        "verify": True,
    }
    async with nats_server(tmp_path, authorization={"token": TOKEN}, tls=tls) as port:
        place = f"{TOKEN}@localhost:{port}"
        assert await reaches(f"tls://{place}?sslrootcert={own.authorities}&{shown}")
        assert not await reaches(f"tls://{place}?sslrootcert={own.authorities}")
        assert not await reaches(f"tls://{place}?sslrootcert={foreign}&{shown}")
        ip = place.replace("localhost", "127.0.0.1")
        assert not await reaches(f"tls://{ip}?sslrootcert={own.authorities}&{shown}")


@pytest.mark.long
async def test_a_service_signs_with_its_nkey(tmp_path: Path) -> None:
    """The server knows the public part, and lets each user publish its own subjects only."""
    seeds = {"event": SEED, "other": OTHER_SEED}
    for name, seed in seeds.items():
        (tmp_path / name).write_text(seed + "\n")
    public = Nkey.read(str(tmp_path / "event")).public
    assert public == PUBLIC
    users: list[Json] = [
        {
            "nkey": public,
            "permissions": {"publish": ["mine.>"], "subscribe": ["mine.>", "_INBOX.>"]},
        }
    ]
    async with nats_server(tmp_path, authorization={"users": users}) as port:
        address = f"nats://127.0.0.1:{port}?nkey={tmp_path}"
        assert await reaches(f"{address}/event")
        assert not await reaches(f"{address}/other")
        assert not await reaches(f"nats://127.0.0.1:{port}")
        bus, heard = Bus(f"{address}/event"), asyncio.Event()
        bus.start()
        await bus.until_connected()

        async def hear(_message: object) -> None:
            heard.set()

        await bus.client.subscribe("mine.*", cb=hear)
        await bus.client.publish("foreign.it", b"")
        await bus.client.flush()

        async def refused() -> bool:
            return "permissions violation" in str(bus.client.last_error)

        await until("refused", refused, within_s=10)
        await bus.client.publish("mine.it", b"")
        await asyncio.wait_for(heard.wait(), 10)
        await bus.close()


async def test_no_credential_is_sent_to_a_server_without_tls(own: CertificateFiles) -> None:
    """A machine in between that offers no TLS receives nothing."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10","max_payload":1000}\r\n')
        received.append(await reader.read(1_000))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as front:
        port = front.sockets[0].getsockname()[1]
        root = own.authorities
        assert not await reaches(f"tls://{TOKEN}@localhost:{port}?sslrootcert={root}")
    assert received
    assert not any(received)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("tls://s3cret@a:1,nats://s3cret@b:1", "either all or none"),
        ("nats://s3cret@a:1?sslrootcert=ca.pem", "begins with tls://"),
        ("tls://s3cret@a:1?ca=ca.pem", "no parameter 'ca'"),
        ("tls://s3cret@a:1?sslrootcert=/nowhere/ca.pem", "do not load"),
        ("nats://a:1?nkey=/nowhere/seed", "cannot be read"),
        ("nats://a:1?nkey=/dev/null", "not the seed of a user"),
    ],
)
def test_addresses_of_nats_that_are_none_are_refused(address: str, problem: str) -> None:
    """The message states what is wrong, without the credential."""
    with pytest.raises(ValueError, match=problem) as refused:
        Bus(address)
    assert "s3cret" not in str(refused.value)
