"""Addresses, TLS options and credentials of clients."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flowmesh.api.identity.v1 import auth_service_pb2 as auth_pb
from flowmesh.api.identity.v1 import auth_service_pb2_grpc as auth_rpc
from flowmesh.errors import FlowmeshError, Invalid, Unauthenticated
from flowmesh.rpc import Handlers
from flowmesh.sdk import Client, Login, SyncClient, Tls, Tokens, Worker
from flowmesh.sdk.transport.endpoint import Endpoint
from flowmesh.telemetry.metrics import Metrics

SECRET = "fm_0123456789ab_very-secret"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "API_KEY", "CA", "CLIENT_CERT", "CLIENT_KEY", "ALLOW_PLAINTEXT"):
        monkeypatch.delenv(f"FLOWMESH_{name}", raising=False)


@pytest.mark.parametrize(
    ("address", "target", "secure"),
    [
        ("127.0.0.1:7450", "127.0.0.1:7450", False),
        ("grpc://host:7450/", "host:7450", False),
        ("grpcs://host:7450", "host:7450", True),
        ("https://host", "host:443", True),
        ("HTTPS://[::1]", "[::1]:443", True),
        ("dns:///host:7450", "dns:///host:7450", False),
    ],
)
def test_the_scheme_of_an_address_chooses_tls(address: str, target: str, secure: bool) -> None:
    """`grpcs://` and `https://` are TLS, also without a port; targets of gRPC pass unchanged."""
    endpoint = Endpoint.of(address)
    assert (endpoint.target, endpoint.credentials is not None) == (target, secure)


@pytest.mark.parametrize(
    "address",
    ["ftp://host:1", "grpcs://user:secret@host:1", "https://host/path", "grpc://", "https://h\n:1"],
)
def test_a_malformed_address_is_refused(address: str) -> None:
    """The error does not repeat a password in it."""
    with pytest.raises(Invalid) as refused:
        Endpoint.of(address)
    assert refused.value.reason == "ENDPOINT_INVALID"
    assert "secret" not in str(refused.value)


def test_an_endpoint_of_another_cell_is_as_safe() -> None:
    """A call that is encrypted stays so; one that is not may become so."""
    plain, safe = Endpoint.of("grpc://one:1"), Endpoint.of("grpcs://one:1")
    for at, address, target, secure in (
        (plain, "two:2", "two:2", False),
        (plain, "grpc://two:2", "two:2", False),
        (plain, "grpcs://two:2", "two:2", True),
        (safe, "two:2", "two:2", True),
        (safe, "grpcs://two:2", "two:2", True),
    ):
        found = at.elsewhere(address)
        assert (found.target, found.credentials is not None) == (target, secure)
    with pytest.raises(Invalid, match="has no TLS"):
        safe.elsewhere("grpc://two:2")


def test_contradicting_and_missing_tls_options_are_refused(tmp_path: Path) -> None:
    """A scheme against an option, a file that is not there, a certificate without its key."""
    for address, tls in (
        ("grpcs://host:1", False),
        ("grpc://host:1", True),
        ("host:1", Tls(ca=tmp_path / "missing")),
        ("host:1", Tls(certificate=tmp_path / "alone")),
    ):
        with pytest.raises(Invalid) as refused:
            Endpoint.of(address, tls)
        assert refused.value.reason == "ENDPOINT_INVALID"


@pytest.mark.parametrize("host", ["10.0.0.7", "example.com", "127.0.0.1.example.com"])
def test_a_credential_is_not_sent_without_tls_to_another_host(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one of an option nor of the environment, unless that is allowed."""
    for connect in (Client, SyncClient):
        with pytest.raises(Invalid) as refused:
            connect(f"{host}:7450", api_key=SECRET)
        assert refused.value.reason == "PLAINTEXT_REFUSED"
        assert SECRET not in str(refused.value)
    monkeypatch.setenv("FLOWMESH_API_KEY", SECRET)
    with pytest.raises(Invalid) as refused:
        Client(f"{host}:7450")
    assert "FLOWMESH_API_KEY" in str(refused.value)


async def test_a_credential_is_sent_without_tls_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To this machine, with `tls=False`, and with the variable."""
    for address in ("127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/tmp/x"):
        await Client(address, api_key=SECRET).close()
    await Client("10.0.0.7:1", api_key=SECRET, tls=False).close()
    monkeypatch.setenv("FLOWMESH_ALLOW_PLAINTEXT", "true")
    await Client("10.0.0.7:1", api_key=SECRET).close()


@pytest.mark.parametrize("credential", ["two words", "line\nbreak", "ä", "x" * 5_000])
def test_a_malformed_credential_is_refused_without_naming_it(credential: str) -> None:
    """GRPC would repeat it in its error."""
    with pytest.raises(Invalid) as refused:
        Client("127.0.0.1:1", api_key=credential)
    assert refused.value.reason == "CREDENTIAL_MALFORMED"
    assert credential not in str(refused.value)


async def test_secrets_are_in_no_representation() -> None:
    """Neither of a client nor of its parts."""
    tokens = Tokens(SECRET, SECRET)
    client = Client("127.0.0.1:1", token=Login(tokens))
    worker = Worker("127.0.0.1:1", api_key=SECRET)
    parts = (tokens, client, worker, client.caller, client.caller._credential)
    assert SECRET not in "".join(map(repr, parts))
    await client.close()


class Server(auth_rpc.AuthServiceServicer):
    """Accepts one access token; a refresh issues the next."""

    def __init__(self) -> None:
        self.valid = 1
        self.refreshed: list[str] = []
        self.seen: list[str] = []

    async def GetMe(self, request: Any, context: Any) -> Any:
        sent = dict(context.invocation_metadata())["authorization"]
        self.seen.append(sent)
        if sent != f"Bearer {token_of(self.valid)}":
            raise Unauthenticated("CREDENTIALS_INVALID", "the access token is expired")
        return auth_pb.GetMeResponse()

    async def Refresh(self, request: Any, context: Any) -> Any:
        self.refreshed.append(request.refresh_token)
        if request.refresh_token != f"refresh-{self.valid}":
            raise Unauthenticated("CREDENTIALS_INVALID", "the session has ended; log in again")
        self.valid += 1
        return auth_pb.RefreshResponse(
            tokens=auth_pb.Tokens(
                access_token=token_of(self.valid), refresh_token=f"refresh-{self.valid}"
            )
        )


def token_of(number: int, life_s: int = 600) -> str:
    claims = {"iat": 1_000_000, "exp": 1_000_000 + life_s, "number": number}
    return f"e30.{base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip('=')}.sig"


@pytest.mark.parametrize("number", [1, 10, 100, 1_000])
def test_a_token_is_renewed_before_it_expires(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute before, or half of a short life; a token that tells no life at once."""
    monkeypatch.setattr(time, "time", lambda: 5_000.0)
    for life_s, left_s in ((600, 60), (120, 60), (100, 50), (0, 0)):
        tokens = Tokens.received(token_of(number, life_s), "refresh")
        assert tokens.renew_at == 5_000.0 + life_s - left_s
    for text in ("opaque", "a.b.c", "a.e30.c"):
        assert Tokens.received(text, "refresh").renew_at == 5_000.0


def _server(servicer: Server) -> grpc.aio.Server:
    handlers: Any = Handlers(Metrics())
    auth_rpc.add_AuthServiceServicer_to_server(servicer, handlers)
    server = grpc.aio.server()
    handlers.install(server)
    return server


@pytest.fixture
async def served() -> AsyncIterator[tuple[Server, str]]:
    servicer = Server()  # type: ignore[abstract]  # what it lacks is not called
    server = _server(servicer)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


async def _get_me(client: Client) -> None:
    stub: Any = auth_rpc.AuthServiceStub(client.caller.channel)
    await client.caller.call(stub.GetMe, auth_pb.GetMeRequest())


async def test_a_session_is_refreshed_before_its_token_expires(served: tuple[Server, str]) -> None:
    """Once for many calls at a time, with the newest refresh token."""
    server, address = served
    login = Login(Tokens(token_of(1), "refresh-1", renew_at=0.0))
    async with Client(address, token=login) as client:
        await asyncio.gather(*(_get_me(client) for _ in range(20)))
        assert server.refreshed == ["refresh-1"]
        login.tokens = Tokens(token_of(2), "refresh-2", renew_at=0.0)
        assert client.caller._credential is not None
        client.caller._credential._renew_at = 0.0
        await _get_me(client)
    assert server.refreshed == ["refresh-1", "refresh-2"]


async def test_a_refused_token_is_renewed_once(served: tuple[Server, str]) -> None:
    """Also where the clock of this machine says that it is valid; a revoked session stays ended."""
    server, address = served
    later = time.time() + 1_000
    async with Client(address, token=Login(Tokens("stale", "refresh-1", later))) as client:
        await _get_me(client)
        assert server.refreshed == ["refresh-1"]
    async with Client(address, token=Login(Tokens("stale", "revoked", later))) as client:
        with pytest.raises(Unauthenticated) as refused:
            await _get_me(client)
    assert "the login" in str(refused.value)
    assert server.refreshed == ["refresh-1", "revoked"]


async def test_a_function_returns_the_token(served: tuple[Server, str]) -> None:
    """It is called again for a token that the server refused, not for each call."""
    server, address = served
    calls = 0

    async def token() -> str:
        nonlocal calls
        calls += 1
        return token_of(server.valid)

    async with Client(address, token=token) as client:
        for _ in range(3):
            await _get_me(client)
        server.valid += 1
        await _get_me(client)
    assert calls == 2


async def test_the_error_names_the_variable(
    served: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLOWMESH_TOKEN is named, and its value is not."""
    monkeypatch.setenv("FLOWMESH_TOKEN", "an-old-one")
    async with Client(served[1]) as client:
        with pytest.raises(Unauthenticated) as refused:
            await _get_me(client)
    assert "FLOWMESH_TOKEN" in str(refused.value)
    assert "an-old-one" not in str(refused.value)


def _certificates(folder: Path) -> tuple[bytes, bytes]:
    """Return the key and the certificate of localhost, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    day = timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(pem)
    (folder / "ca.pem").write_bytes(public)
    (folder / "key.pem").write_bytes(private)
    return private, public


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_with_an_authority_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutual: bool
) -> None:
    """The CA file by option and by variable; an unknown authority is an error that says so."""
    private, public = _certificates(tmp_path)
    servicer = Server()  # type: ignore[abstract]  # what it lacks is not called
    server = _server(servicer)
    credentials = grpc.ssl_server_credentials(
        [(private, public)], public if mutual else None, require_client_auth=mutual
    )
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    address = f"grpcs://localhost:{port}"
    own: dict[str, Any] = {"ca": tmp_path / "ca.pem"}
    if mutual:
        own |= {"certificate": tmp_path / "ca.pem", "key": tmp_path / "key.pem"}
    try:
        async with Client(address, api_key=token_of(1), tls=Tls(**own)) as client:
            await client.ready()
            await _get_me(client)
        async with Client(address, api_key=token_of(1)) as client:
            with pytest.raises(FlowmeshError) as failed:
                await client.ready(1.0)
            assert failed.value.reason == "TLS_FAILED"
            with pytest.raises(FlowmeshError) as failed:
                await _get_me(client)
            assert "FLOWMESH_CA" in str(failed.value)
        monkeypatch.setenv("FLOWMESH_CA", str(tmp_path / "ca.pem"))
        if mutual:
            monkeypatch.setenv("FLOWMESH_CLIENT_CERT", str(tmp_path / "ca.pem"))
            monkeypatch.setenv("FLOWMESH_CLIENT_KEY", str(tmp_path / "key.pem"))
        async with Client(f"localhost:{port}", api_key=token_of(1)) as client:
            await _get_me(client)
    finally:
        await server.stop(None)
    assert set(servicer.seen) == {f"Bearer {token_of(1)}"}
