"""Certificates that change while a client of the SDK uses them."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.certificates import Authority, CertificateFiles, Request, issue
from flowmesh.certificates.files import write
from flowmesh.runtime.tls.process import ProcessTls
from flowmesh.sdk import Tls
from flowmesh.sdk.transport.calls import Caller
from flowmesh.testing.polling import pause, until
from tests.unit.rpc.servicers import Registry
from tests.unit.runtime.test_tls import ID, LOCAL, Certificates, serving

CALLS_PER_S = 200
CALLS = 800
WITHIN_S = 15.0
PUBLIC = 0o644


class Callers(Registry):
    """A servicer that notes the certificates of its callers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[x509.Certificate] = []
        self._known: dict[bytes, x509.Certificate] = {}

    async def GetInstance(self, request: Any, context: Any) -> Any:
        (shown,) = context.auth_context()["x509_pem_cert"]
        if shown not in self._known:
            self._known[shown] = x509.load_pem_x509_certificate(shown)
            self.seen.append(self._known[shown])
        return await super().GetInstance(request, context)


class Load:
    """Calls at a steady rate; every failure counts."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self.made = 0
        self.failures: list[str] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        begins, tasks = loop.time(), []
        for number in range(CALLS):
            await pause(begins + number / CALLS_PER_S - loop.time())
            tasks.append(asyncio.create_task(self._call()))
        await asyncio.gather(*tasks)

    async def _call(self) -> None:
        try:
            await self._stub.GetInstance(ID, timeout=5)
        except Exception as error:  # noqa: BLE001 each failure counts
            self.failures.append(repr(error))
        self.made += 1


class Rotation:
    """A server that wants certificates of clients, and a client whose files are replaced."""

    def __init__(self, folder: Path) -> None:
        self.server = Certificates(folder / "server")
        self._places = [folder / "first", folder / "second"]
        self.authorities = [Authority.create(place, place.name) for place in self._places]
        self.trusted = folder / "trusted.pem"
        self.files = CertificateFiles(folder / "ada" / "cert.pem", folder / "ada" / "key.pem")
        self.trust(0)
        self.issue(0)

    def trust(self, *numbers: int) -> None:
        """Make the server accept clients of these authorities only."""
        texts = [(self._places[number] / "ca.pem").read_bytes() for number in numbers]
        write(self.trusted, b"".join(texts), PUBLIC)

    def issue(self, number: int) -> None:
        """Replace the certificate of the client, file by file."""
        issue(self.authorities[number], Request("client", "ada", LOCAL), self.files.key.parent)

    def tls(self) -> Tls:
        ca = self.server.folder / "ca.pem"
        return Tls(ca, self.files.certificate, self.files.key)


async def refreshed(tls: ProcessTls) -> None:
    """Read changed files as a process does every two seconds."""
    while True:
        await pause(0.1)
        await tls.loop.run_once()


@pytest.mark.long
@pytest.mark.feature("S3-131")
async def test_a_running_client_takes_new_certificates_and_no_call_fails(tmp_path: Path) -> None:
    """200 calls a second while the certificate, and then its authority, are replaced."""
    made = Rotation(tmp_path)
    tls = made.server.process("gateway", tls_client_ca=str(made.trusted))
    callers: Any = Callers()  # type: ignore[abstract]  # the other methods are not called
    async with serving(tls, callers) as server:
        refreshing = asyncio.create_task(refreshed(tls))
        caller = Caller(f"grpcs://127.0.0.1:{server.port}", tls=made.tls())
        load = Load(pb_grpc.RegistryServiceStub(caller.channel))
        running: Coroutine[Any, Any, None] = load.run()
        task = asyncio.create_task(running)

        async def shown(count: int) -> None:
            async def seen() -> bool:
                return len(callers.seen) == count

            await until(f"{count} certificates of the client", seen, within_s=WITHIN_S)

        await shown(1)
        made.issue(0)
        await shown(2)
        made.trust(0, 1)
        await until("both authorities trusted", lambda: trusts(tls, 2), within_s=WITHIN_S)
        made.issue(1)
        await shown(3)
        made.trust(1)
        await task
        await caller.close()
        refreshing.cancel()
    assert (load.made, load.failures) == (CALLS, [])
    first, second, third = callers.seen
    assert first.serial_number != second.serial_number
    assert first.issuer == second.issuer
    assert third.issuer != second.issuer


async def trusts(tls: ProcessTls, count: int) -> bool:
    """Return whether a process has read so many authorities of clients."""
    assert tls._public is not None
    return tls._public.now.authorities.count(b"BEGIN CERTIFICATE") == count


@pytest.mark.feature("S3-131")
async def test_files_that_do_not_fit_leave_the_former_certificate_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pair that is half written, or no certificate, is reported and not used."""
    made = Rotation(tmp_path)
    tls = made.server.process("gateway", tls_client_ca=str(made.trusted))
    callers: Any = Callers()  # type: ignore[abstract]  # the other methods are not called
    async with serving(tls, callers) as server:
        caller = Caller(f"grpcs://127.0.0.1:{server.port}", tls=made.tls())
        stub: Any = pb_grpc.RegistryServiceStub(caller.channel)
        await stub.GetInstance(ID)
        made.files.certificate.write_text("no certificate")

        async def reported() -> bool:
            await stub.GetInstance(ID)
            return "the former certificates stay in use" in caplog.text

        await until("reported", reported, within_s=WITHIN_S, poll_s=0.1)
        made.issue(0)

        async def replaced() -> bool:
            await stub.GetInstance(ID)
            return len(callers.seen) == 2

        await until("replaced", replaced, within_s=WITHIN_S, poll_s=0.1)
        await caller.close()
