"""TLS of a process: who may connect to which port, and certificates that change while it serves."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.certificates import (
    Authority,
    CertificateFiles,
    Request,
    Watched,
    issue,
    service_of,
)
from flowmesh.certificates.authority import Kind
from flowmesh.errors import Unavailable
from flowmesh.rpc import Handlers, RemoteTarget, channel_to
from flowmesh.runtime import StartError
from flowmesh.runtime.access import OpenAccess
from flowmesh.runtime.checks import Checks
from flowmesh.runtime.http.server import HttpServer, listen
from flowmesh.runtime.server import GrpcServer, Port
from flowmesh.runtime.settings import Settings
from flowmesh.runtime.tls.credentials import ServiceChannels
from flowmesh.runtime.tls.process import ProcessTls, tls_of
from flowmesh.telemetry import Metrics
from tests.unit.rpc.servicers import Registry

LOCAL = ("localhost", "127.0.0.1")
DUE = timedelta(minutes=1)
ID = pb.GetInstanceRequest(id="a")


class Peers(Registry):
    """A servicer that notes which services call it."""

    def __init__(self) -> None:
        super().__init__()
        self.services: list[str] = []

    async def GetInstance(self, request: Any, context: Any) -> Any:
        found = service_of(context.auth_context())
        self.services.append(str(found or ""))
        return await super().GetInstance(request, context)


def peers() -> Peers:
    return Peers()  # type: ignore[abstract]  # the other methods are not called


@dataclass
class Certificates:
    """An authority in a folder."""

    folder: Path

    def __post_init__(self) -> None:
        self.authority = Authority.create(self.folder, "shop")

    def issue(self, kind: Kind, name: str, *hosts: str, life: timedelta = DUE) -> CertificateFiles:
        request = Request(kind, name, hosts or LOCAL, life)
        return issue(self.authority, request, self.folder / name)

    def process(self, *services: str, **settings: str) -> ProcessTls:
        """Return the TLS of a process with a certificate of this authority."""
        files = self.issue("service", services[0])
        given = Settings(certs=str(files.certificate.parent), **settings)  # type: ignore[arg-type]
        return tls_of(given, services, Metrics())


@pytest.fixture
def own(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "own")


@pytest.fixture
def foreign(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "foreign")


@asynccontextmanager
async def serving(tls: ProcessTls, servicer: Registry) -> AsyncIterator[GrpcServer]:
    internal = Port(0, tls.internal_credentials()) if tls.has_internal_port else None
    server = GrpcServer("127.0.0.1", Port(0, tls.grpc_credentials()), Metrics(), internal=internal)
    handlers: Any = Handlers(Metrics())
    pb_grpc.add_RegistryServiceServicer_to_server(servicer, handlers)
    await server.start(handlers, reflect=False)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def calling(
    port: int, files: CertificateFiles, host: str = "127.0.0.1"
) -> AsyncIterator[Any]:
    target = RemoteTarget(f"{host}:{port}", security=ServiceChannels(Watched(files)))
    try:
        yield pb_grpc.RegistryServiceStub(channel_to(target))
    finally:
        await target.close()


async def is_served(port: int, files: CertificateFiles, host: str = "127.0.0.1") -> bool:
    async with calling(port, files, host) as stub:
        try:
            await stub.GetInstance(ID, timeout=5.0)
        except Unavailable:
            return False
    return True


async def is_served_without(port: int, authority: CertificateFiles | None) -> bool:
    """Return True if a client without a certificate is served; in plain text if None."""
    place = f"127.0.0.1:{port}"
    if authority is None or authority.authorities is None:
        channel = grpc.aio.insecure_channel(place)
    else:
        roots = authority.authorities.read_bytes()
        channel = grpc.aio.secure_channel(place, grpc.ssl_channel_credentials(roots))
    async with channel:
        try:
            await pb_grpc.RegistryServiceStub(channel).GetInstance(ID, timeout=5.0)
        except grpc.aio.AioRpcError:
            return False
    return True


@pytest.mark.feature("S3-131")
async def test_services_are_served_to_services_of_their_authority_only(
    own: Certificates, foreign: Certificates
) -> None:
    """A foreign authority, no certificate, plain text and a server's certificate are refused."""
    servicer = peers()
    async with serving(own.process("registry"), servicer) as server:
        port = server.port
        worker = own.issue("service", "worker")
        assert await is_served(port, worker)
        assert servicer.services == ["spiffe://flowmesh/shop/worker"]
        impostor = foreign.issue("service", "worker")
        mixed = CertificateFiles(impostor.certificate, impostor.key, worker.authorities)
        assert not await is_served(port, mixed)
        assert not await is_served_without(port, worker)
        assert not await is_served_without(port, None)
        assert not await is_served(port, own.issue("server", "public"))
    assert len(servicer.services) == 1


@pytest.mark.feature("S3-131")
async def test_callers_verify_the_server(own: Certificates, foreign: Certificates) -> None:
    """Another name, a foreign authority and the certificate of a client are refused."""
    caller = own.issue("service", "worker")
    elsewhere = own.process("registry")
    async with serving(elsewhere, peers()) as server:
        assert await is_served(server.port, caller)
        assert not await is_served(server.port, foreign.issue("service", "worker"))
    own.issue("service", "named", "registry.example.com")
    named = tls_of(Settings(certs=str(own.folder / "named")), ["registry"], Metrics())
    async with serving(named, peers()) as server:
        assert not await is_served(server.port, caller)


async def test_a_gateway_serves_clients_without_certificates(own: Certificates) -> None:
    """The services beside it are reached at a port of their own, by services only."""
    servicer = peers()
    async with serving(own.process("gateway", "registry"), servicer) as server:
        worker = own.issue("service", "worker")
        assert server.internal_port != server.port
        assert await is_served_without(server.port, worker)
        assert not await is_served_without(server.internal_port, worker)
        assert await is_served(server.internal_port, worker)
        assert servicer.services == ["", "spiffe://flowmesh/shop/worker"]


async def test_a_gateway_may_want_certificates_of_clients(
    own: Certificates, foreign: Certificates
) -> None:
    """Those of the authority that the setting names, which need not be the suite's own."""
    client = foreign.issue("client", "ada")
    tls = own.process("gateway", tls_client_ca=str(client.authorities))
    async with serving(tls, peers()) as server:
        worker = own.issue("service", "worker")
        shown = CertificateFiles(client.certificate, client.key, worker.authorities)
        assert await is_served(server.port, shown)
        assert not await is_served_without(server.port, worker)
        assert not await is_served(server.port, worker)


def test_services_of_another_cluster_are_none(own: Certificates, tmp_path: Path) -> None:
    """The name in the certificate counts, not only its authority."""
    tls = own.process("registry")
    for uri, expected in (
        (b"spiffe://flowmesh/shop/worker", "worker"),
        (b"spiffe://flowmesh/other/worker", ""),
        (b"spiffe://flowmesh/shop/client/ada", ""),
    ):
        assert tls.peer_service({"peer_uri": [uri]}) == expected
    assert tls.peer_service({}) == ""


async def test_both_sides_take_renewed_certificates_without_a_dropped_call(
    own: Certificates,
) -> None:
    """The loop renews; later connections use it, calls of older connections run on."""
    tls, servicer = own.process("registry"), peers()
    worker = own.process("worker")
    assert worker.channels is not None
    async with serving(tls, servicer) as server:
        target = RemoteTarget(f"127.0.0.1:{server.port}", security=worker.channels)
        stub = pb_grpc.RegistryServiceStub(channel_to(target))
        await stub.GetInstance(ID)
        slow = asyncio.ensure_future(stub.GetInstance(pb.GetInstanceRequest(id="slow"), timeout=60))
        await servicer.waiting.wait()
        for generation in (2, 3):
            assert await tls.loop.run_once() == 1
            assert await worker.loop.run_once() == 1
            assert worker.channels.generation == generation
            await stub.GetInstance(ID)
            assert not slow.done()
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", server.port))
        latest = CertificateFiles.in_folder(own.folder / "registry").certificate.read_text()
        assert shown.strip() == latest.strip()
        slow.cancel()
        await asyncio.wait_for(servicer.cancelled.wait(), 5)
        await target.close()


@asynccontextmanager
async def https(tls: ProcessTls) -> AsyncIterator[tuple[str, HttpServer]]:
    listener = listen("127.0.0.1", 0)
    listener.listen()
    server = HttpServer(
        checks=Checks(),
        metrics=Metrics(),
        about=dict,
        access=OpenAccess(),
        certificates_only=tls.verifies_clients,
    )
    await server.start(listener, tls.http_context)
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        await server.stop()


def trusting(files: CertificateFiles, *, shows: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.authorities))
    if shows:
        context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.mark.feature("S3-131")
async def test_the_http_port_takes_a_renewed_certificate(
    own: Certificates, foreign: Certificates
) -> None:
    """A kept connection is served on, a new one sees the new certificate."""
    tls = own.process("gateway")
    trusted = own.issue("client", "ada")
    async with https(tls) as (url, _), aiohttp.ClientSession() as kept:
        context = trusting(trusted)
        serials = []
        for _ in range(2):
            async with kept.get(f"{url}/livez", ssl=context) as answer:
                assert answer.status == 200
            port = int(url.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            serials.append(writer.get_extra_info("peercert")["serialNumber"])
            writer.close()
            assert await tls.loop.run_once() == 1
        assert serials[0] != serials[1]
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await kept.get(f"{url}/livez", ssl=trusting(foreign.issue("client", "ada")))
    assert tls.http_context is not None
    assert tls.http_context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_the_http_port_wants_certificates_but_of_probes(
    own: Certificates, foreign: Certificates
) -> None:
    """Liveness and readiness need none; one of another authority ends the handshake."""
    ada = own.issue("client", "ada")
    tls = own.process("gateway", tls_client_ca=str(ada.authorities))

    async def status(path: str, context: ssl.SSLContext) -> int:
        async with aiohttp.ClientSession() as session, session.get(path, ssl=context) as answer:
            return answer.status

    async with https(tls) as (url, _):
        assert await status(f"{url}/livez", trusting(ada)) == 200
        assert await status(f"{url}/metrics", trusting(ada)) == 401
        assert await status(f"{url}/metrics", trusting(ada, shows=True)) == 200
        stranger = foreign.issue("client", "ada")
        wrong = trusting(ada)
        wrong.load_cert_chain(stranger.certificate, stranger.key)
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await status(f"{url}/metrics", wrong)


def _client(own: Certificates) -> dict[str, str]:
    return {"certs": str(own.issue("client", "ada").certificate.parent)}


def _loose(own: Certificates) -> dict[str, str]:
    own.issue("service", "a").key.chmod(0o644)
    return {"certs": str(own.folder / "a")}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (lambda _: {"certs": "nowhere"}, "cannot read .*nowhere"),
        (_client, "names no service"),
        (_loose, "chmod 600"),
        (lambda _: {"tls_cert": "a.pem"}, "are a pair"),
        (lambda _: {"tls_client_ca": "a.pem"}, "needs FLOWMESH_TLS_CERT or FLOWMESH_CERTS"),
    ],
)
def test_a_process_does_not_start_with_settings_that_do_not_fit(
    own: Certificates, settings: Callable[[Certificates], dict[str, Any]], problem: str
) -> None:
    """The message names the file or the setting."""
    with pytest.raises(StartError, match=problem):
        tls_of(Settings(**settings(own)), ["gateway"], Metrics())


async def test_a_certificate_that_does_not_fit_leaves_the_present_one(own: Certificates) -> None:
    """The round fails, which metrics count, and the next one takes the mended files."""
    async with AsyncExitStack() as stack:
        tls = own.process("registry")
        server = await stack.enter_async_context(serving(tls, peers()))
        worker = own.issue("service", "worker")
        files = CertificateFiles.in_folder(own.folder / "registry")
        files.key.write_bytes(own.authority.issue(Request("service", "x", LOCAL)).key)
        with pytest.raises(ValueError, match="is not the key of"):
            await tls.loop.run_once()
        assert await is_served(server.port, worker)
        files.write(own.authority.issue(Request("service", "registry", LOCAL)))
        assert await tls.loop.run_once() == 1
        assert await is_served(server.port, worker)
