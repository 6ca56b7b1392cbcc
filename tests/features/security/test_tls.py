"""Closed suites that speak TLS: the ports of the gateway, and the calls between processes."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from flowmesh.access.keys import read_key_file
from flowmesh.access.service_tokens import METADATA_KEY, ServiceTokens
from flowmesh.api.execution.v1 import execution_service_pb2 as executions
from flowmesh.api.execution.v1 import execution_service_pb2_grpc
from flowmesh.api.identity.v1 import auth_service_pb2
from flowmesh.certificates import Authority, Request, issue
from flowmesh.errors import WrongState
from flowmesh.runtime.names import IDENTITY
from flowmesh.sdk import Client, TaskContext, Tls, Worker, Workflow
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from tests.access.contracts import METHODS
from tests.features.closed import PASSWORD, Caller, Closed, closed_suite
from tests.features.commands import command
from tests.features.security.test_closed import WORKFLOW

pytestmark = [pytest.mark.long]

CALLS_PER_S = 200
CALLS_S = 10
# Each opens a connection, and with it a handshake with the latest certificate.
FRESH_EVERY = 20
RENEWALS = 4


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder = tmp_path_factory.mktemp("tls")
    async with closed_suite(
        folder, "--certs", str(folder / "certs"), kind=Cluster, FLOWMESH_LOG_LEVEL="info"
    ) as made:
        yield made


def folder_of(closed: Closed) -> Path:
    """The folder of the authority."""
    return Path(closed.suite.about["ca"]).parent


@pytest.mark.feature("S3-131")
async def test_a_closed_cluster_runs_a_workflow_over_encrypted_connections(
    closed: Closed,
) -> None:
    """Every address is TLS; the workflow is started by REST and read by gRPC."""
    assert all(row["http"].startswith("https://") for row in closed.suite.processes)
    project = await closed.project("encrypted")
    editor = await closed.key(project.id, "editor")
    headers = {"flowmesh_namespace": "encrypted"}
    status, body = await editor.rest("POST", "/api/v1/workflows", WORKFLOW, **headers)
    assert status in (200, 201), body
    status, body = await editor.rest("POST", "/api/v1/workflows/greet/start", {}, **headers)
    assert status in (200, 201, 202), body
    stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(editor.channel)
    ended = await stub.WaitExecution(
        executions.WaitExecutionRequest(
            namespace="encrypted", execution_id=body["executionId"], timeout_ms=20_000
        )
    )
    assert ended.ended
    metrics = await closed.owner.text("/metrics")
    assert re.search(
        r'^flowmesh_certificate_expiry_\w+\{certificate="service"\} 1\.', metrics, re.M
    )
    path = f"/api/v1/executions/{body['executionId']}"
    status, body = await editor.rest("GET", path, **headers)
    assert (status, body["status"]) == (200, "completed"), body
    trusted = ssl.create_default_context(cafile=str(closed.suite.about["ca"]))
    async with (
        aiohttp.ClientSession() as session,
        session.get(closed.suite.http_url + "/login", ssl=trusted) as page,
    ):
        assert page.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.feature("S3-131")
async def test_processes_behind_the_gateway_refuse_clients_without_a_certificate(
    closed: Closed,
) -> None:
    """Also with the token of a service, and over plain text."""
    roots = (folder_of(closed) / "ca.pem").read_bytes()
    request = auth_service_pb2.GetMeRequest()
    for row in closed.suite.processes:
        if row["service"] == "gateway":
            continue
        for channel in (
            grpc.aio.secure_channel(row["grpc"], grpc.ssl_channel_credentials(roots)),
            grpc.aio.insecure_channel(row["grpc"]),
        ):
            async with channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await channel.unary_unary(
                        "/flowmesh.api.identity.v1.AuthService/GetMe",
                        request_serializer=type(request).SerializeToString,
                    )(request, timeout=3, metadata=service_token(closed, "AuthService"))
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE, row["name"]


def service_token(
    closed: Closed, called: str = "ExecutionService", service: str = IDENTITY
) -> tuple[tuple[str, str], ...]:
    """The token that a thief of the key file could make."""
    keys = read_key_file(Path(closed.suite.environment["FLOWMESH_KEY_FILE"]))
    audience = next(each.rule.service for each in METHODS if each.name.startswith(f"{called}."))
    token = ServiceTokens(key=keys.services, service=service).token(None, audience)
    return ((METADATA_KEY, token),)


@pytest.mark.feature("S3-131", "S4-62")
async def test_the_token_of_a_service_counts_for_nothing_at_the_gateway(closed: Closed) -> None:
    """Its clients have no certificates, so none of them is a service."""
    stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(Caller(closed.suite, "").channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListExecutions(
            executions.ListExecutionsRequest(), metadata=service_token(closed)
        )
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "the certificate of a service" in str(refused.value.details())


@pytest.mark.feature("S3-131", "S4-63")
async def test_the_token_of_a_service_counts_with_its_own_certificate(closed: Closed) -> None:
    """With the certificate of the worker service, no token of another service or audience."""
    authority = Authority.open(folder_of(closed))
    files = issue(authority, Request("service", "worker"), folder_of(closed).parent / "worker")
    assert files.authorities is not None
    roots, key, chain = (
        path.read_bytes() for path in (files.authorities, files.key, files.certificate)
    )
    row = next(row for row in closed.suite.processes if row["service"] == "orchestrator")
    credentials = grpc.ssl_channel_credentials(roots, key, chain)
    async with grpc.aio.secure_channel(row["grpc"], credentials) as channel:
        stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(channel)
        request = executions.ListExecutionsRequest()
        own = service_token(closed, service="worker")
        await stub.ListExecutions(request, metadata=own)
        for replayed in (
            service_token(closed, service="gateway"),
            service_token(closed, "PartitionService", "worker"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ListExecutions(request, metadata=replayed)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.feature("S3-131")
async def test_a_client_certificate_is_no_service(closed: Closed) -> None:
    """The authority is the same, but the name in the certificate is none of a service."""
    authority = Authority.open(folder_of(closed))
    files = issue(authority, Request("client", "ada"), folder_of(closed).parent / "ada")
    roots, key, chain = (
        path.read_bytes() for path in (files.authorities or Path(), files.key, files.certificate)
    )
    row = next(row for row in closed.suite.processes if row["service"] == "orchestrator")
    credentials = grpc.ssl_channel_credentials(roots, key, chain)
    async with grpc.aio.secure_channel(row["grpc"], credentials) as channel:
        stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListExecutions(
                executions.ListExecutionsRequest(), metadata=service_token(closed)
            )
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_clients_that_trust_another_authority_are_not_served(
    closed: Closed, tmp_path: Path
) -> None:
    """The gateway has no way to show them a certificate that they accept."""
    Authority.create(tmp_path)
    roots = (tmp_path / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(roots)
    async with grpc.aio.secure_channel(closed.suite.grpc_address, credentials) as channel:
        stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListExecutions(executions.ListExecutionsRequest(), timeout=3)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.feature("S3-131")
async def test_certificates_are_replaced_under_load_and_no_call_fails(closed: Closed) -> None:
    """200 calls a second for 10 s, some over new connections, while all certificates change."""
    load = Load(closed)
    serials = {await _serial(closed)}
    await load.run()

    async def seen() -> bool:
        serials.add(await _serial(closed))
        return len(serials) > 1

    await until("a later certificate is served", seen, within_s=10)
    assert load.made == CALLS_PER_S * CALLS_S
    assert load.failures == []
    log = closed.suite.data_dir / "logs" / "orchestrator-1.log"
    assert log.read_text().count("certificate_loaded") > RENEWALS // 2


class Load:
    """Calls at a steady rate, and renewals of all certificates between them."""

    def __init__(self, closed: Closed) -> None:
        self._closed = closed
        self._tasks: list[asyncio.Task[None]] = []
        self.made = 0
        self.failures: list[str] = []

    async def run(self) -> None:
        """Return when all calls and renewals have ended."""
        loop = asyncio.get_running_loop()
        begins, ended = loop.time(), loop.create_future()
        for number in range(CALLS_PER_S * CALLS_S):
            loop.call_at(begins + number / CALLS_PER_S, self._begin, self._call(number))
        for number in range(RENEWALS):
            loop.call_at(begins + number * CALLS_S / RENEWALS, self._begin, self._renew())
        loop.call_at(begins + CALLS_S, ended.set_result, None)
        await ended
        await asyncio.gather(*self._tasks)

    def _begin(self, action: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(action))

    async def _renew(self) -> None:
        tokens = ("certs", "renew", "--force", "--dir", str(folder_of(self._closed)))
        done = await command(self._closed.suite, *tokens, addressed=False)
        assert done.code == 0, done

    async def _call(self, number: int) -> None:
        """Make a call that crosses two processes, some by REST; note a failure."""
        owner = self._closed.owner
        caller = owner if number % FRESH_EVERY else self._closed.caller(owner.credential)
        try:
            if number % FRESH_EVERY == FRESH_EVERY // 2:
                status, body = await caller.rest("GET", "/api/v1/executions?pageSize=1")
                assert status == 200, body
            else:
                stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(caller.channel)
                request = executions.ListExecutionsRequest(page_size=1)
                await stub.ListExecutions(request, timeout=10)
        except Exception as error:  # noqa: BLE001 each failure counts
            self.failures.append(repr(error))
        self.made += 1


async def _serial(closed: Closed) -> int:
    """The serial number of the certificate that the gateway shows now."""
    host, _, port = closed.suite.http_url.removeprefix("https://").rpartition(":")
    shown = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
    return hash(shown)


@pytest.mark.feature("S3-131")
async def test_dev_makes_certificates_for_all_of_its_processes(tmp_path: Path) -> None:
    """`flowmesh dev --tls` with further processes: they reach the first one at another port."""
    arguments = ("--tls", "--orchestrators", "2", "--workers", "2")
    async with closed_suite(tmp_path, *arguments) as made:
        assert made.suite.http_url.startswith("https://")
        owner = made.owner
        status, body = await owner.rest("POST", "/api/v1/workflows", WORKFLOW)
        assert status in (200, 201), body
        started = [
            await owner.rest("POST", "/api/v1/workflows/greet/execute", {}) for _ in range(8)
        ]
        assert [(status, body["status"]) for status, body in started] == [(200, "completed")] * 8
        instances = (await owner.rest("GET", "/api/v1/services"))[1]["services"]
        ports = {each["endpoint"] for each in instances if each["name"] == "registry"}
        assert ports.isdisjoint({made.suite.grpc_address})


@pytest.mark.feature("S3-131", "S3-129")
async def test_the_sdk_and_the_command_reach_it_with_the_authority(
    closed: Closed, tmp_path: Path
) -> None:
    """A worker with a key, and a session of the command; without the authority neither connects."""
    project = await closed.project("clients")
    tls = Tls(ca=folder_of(closed) / "ca.pem")
    address = f"grpcs://{closed.suite.grpc_address}"
    editor, key = [await closed.key(project.id, role) for role in ("editor", "worker")]

    async def double(input: int, context: TaskContext) -> int:
        return 2 * input

    flow = Workflow("double")
    flow.task("only", "double", input=flow.input)
    async with (
        Client(address, "clients", api_key=editor.credential, tls=tls) as client,
        Worker(address, {"double": double}, namespace="clients", api_key=key.credential, tls=tls),
    ):
        await client.register(flow)
        assert await client.run("double", 21) == 42
    async with Client(address, "clients", api_key=editor.credential) as stranger:
        with pytest.raises(WrongState) as refused:
            await stranger.ready()
    assert refused.value.reason == "TLS_FAILED"

    environment = {"XDG_CONFIG_HOME": str(tmp_path), "FLOWMESH_ADDRESS": address}
    trusting = {**environment, "FLOWMESH_CA": str(tls.ca)}
    for own, code in ((environment, 1), (trusting, 0)):
        login = await command(
            closed.suite,
            *("login", "--email", "owner@example.com"),
            stdin=f"{PASSWORD}\n",
            addressed=False,
            environment=own,
        )
        assert login.code == code, login.err
    listed = await command(
        closed.suite, "list", "workflows", "-n", "clients", addressed=False, environment=trusting
    )
    assert "double" in listed.out
