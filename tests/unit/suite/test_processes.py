"""Processes of a suite on one machine: layouts, certificates, accounts, readiness, cells."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowmesh.embedded.datadir import DataDir
from flowmesh.runtime import Settings, StartError
from flowmesh.suite import allocator, probe
from flowmesh.suite.accounts import DIRECTORY, Accounts, write_accounts
from flowmesh.suite.cells import running
from flowmesh.suite.certificates import SuiteCertificates
from flowmesh.suite.cluster import CLUSTER_FILE, Cluster, layout
from flowmesh.suite.processes import Member, Processes
from flowmesh.suite.serve import run_serve


def settings(**given: Any) -> Settings:
    return Settings(**{"host": "127.0.0.1", "http_port": 3000, "grpc_port": 7450, **given})


def test_the_ports_of_a_cluster_follow_each_other() -> None:
    """Or each is a free one."""
    members = layout(settings(), orchestrators=2, workers=1)
    assert [each.name for each in members] == [
        *("gateway", "registry", "definition", "event", "orchestrator-1", "orchestrator-2"),
        *("worker-1", "identity", "apphost", "fleet"),
    ]
    assert [each.http_port for each in members] == list(range(3000, 3010))
    free = layout(settings(http_port=0, grpc_port=0), orchestrators=1, workers=1)
    assert all(each.http_port and each.grpc_port for each in free)
    assert len({each.grpc_port for each in free}) > 1


class Servers:
    """The servers of a cluster, as far as its file names them."""

    def __init__(self, data_dir: DataDir) -> None:
        self.data_dir = data_dir

    def pids(self) -> dict[str, int]:
        return {"postgres": 7}


async def test_a_cluster_writes_its_addresses(tmp_path: Path) -> None:
    """Until it stops; a process that is down has no pid."""
    servers: Any = Servers(DataDir(tmp_path))
    members = layout(settings(), orchestrators=1, workers=1)
    cluster = Cluster(settings(), servers, members, authority="/certs/ca.pem")
    cluster.write()
    file = tmp_path / CLUSTER_FILE
    assert '"http": "http://127.0.0.1:3000"' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    table = cluster.table().splitlines()
    assert table[1].split() == ["gateway", "0", "127.0.0.1:7450", "http://127.0.0.1:3000"]
    assert "CA: /certs/ca.pem, trusted by clients" in table
    await cluster.stop()
    assert not file.exists()


@pytest.mark.parametrize(
    ("member", "given", "scheme"),
    [
        (Member("gateway", "gateway", 7450, 3000), {}, "http"),
        (Member("gateway", "gateway", 7450, 3000, certs="/c"), {}, "https"),
        (Member("worker", "worker", 7450, 3000), {"certs": "/c"}, "https"),
        (Member("gateway", "gateway", 7450, 3000), {"tls_cert": "/c", "tls_key": "/k"}, "https"),
        (Member("worker", "worker", 7450, 3000), {"tls_cert": "/c", "tls_key": "/k"}, "http"),
    ],
)
def test_a_process_with_a_certificate_speaks_tls(
    tmp_path: Path, member: Member, given: dict[str, Any], scheme: str
) -> None:
    """The certificate for clients is that of the gateway."""
    processes = Processes(
        [member],
        settings=settings(**given),
        data_dir=DataDir(tmp_path),
        registry="",
        changed=lambda: None,
    )
    (row,) = processes.rows()
    assert row["http"] == f"{scheme}://127.0.0.1:3000"


async def test_a_process_that_does_not_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is that of its log."""
    monkeypatch.setenv("FLOWMESH_POSTGRES", "")
    monkeypatch.setattr("flowmesh.suite.processes.sys.executable", "/bin/false")
    (tmp_path / "logs").mkdir()
    processes = Processes(
        [Member("worker-1", "worker", 1, 1)],
        settings=settings(),
        data_dir=DataDir(tmp_path),
        registry="",
        changed=lambda: None,
    )
    with pytest.raises(Exception, match="worker-1 did not start"):
        await processes.start()
    await processes.stop(["worker"])


def test_certificates_are_of_one_authority(tmp_path: Path) -> None:
    """It is made once; a certificate has the names of this machine."""
    given = settings(public_url="https://flow.example", http_hosts="own.example,*")
    certificates = SuiteCertificates(tmp_path, given)
    (member,) = certificates.of_members([Member("worker-1", "worker", 1, 1)])
    assert Path(member.certs, "cert.pem").exists()
    made = certificates.authority.read_bytes()
    assert SuiteCertificates(tmp_path, given).authority.read_bytes() == made


def test_a_broken_authority_ends_the_start(tmp_path: Path) -> None:
    """Before a process is started."""
    certificates = SuiteCertificates(tmp_path, settings(host="0.0.0.0"))
    for each in tmp_path.iterdir():
        each.write_bytes(b"no key")
    with pytest.raises(StartError):
        SuiteCertificates(tmp_path, settings())
    (tmp_path / "worker").write_text("no folder")
    with pytest.raises(StartError):
        certificates.issue("worker", "worker")


@asynccontextmanager
async def answering(line: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Yield the port of a server that answers each request with a line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(line + b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("line", "ready"),
    [(b"HTTP/1.1 200 OK", True), (b"HTTP/1.1 503 Service Unavailable", False), (b"", False)],
)
async def test_a_process_is_ready_by_its_answer(
    monkeypatch: pytest.MonkeyPatch, line: bytes, ready: bool
) -> None:
    """The exit code of the health check says so, too."""
    for name in probe.TLS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    async with answering(line) as port:
        assert await probe.is_ready("127.0.0.1", port, tls=False) == ready
        monkeypatch.setenv("FLOWMESH_HTTP_PORT", str(port))
        assert await asyncio.to_thread(probe.main) == (0 if ready else 1)
    assert not await probe.is_ready("127.0.0.1", port, tls=False)


async def test_a_process_with_tls_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regardless of its certificate; an answer without TLS is none."""
    folder = Path(SuiteCertificates(tmp_path, settings()).issue("worker", "worker"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    async with answering(b"HTTP/1.1 200 OK", context) as port:
        assert await probe.is_ready("127.0.0.1", port, tls=True)
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.05)
    async with answering(b"HTTP/1.1 200 OK") as port:
        assert not await probe.is_ready("127.0.0.1", port, tls=True)


async def test_accounts_are_written_for_containers(tmp_path: Path) -> None:
    """Each service has its own; those that are there stay."""
    folder = tmp_path / "accounts"
    await write_accounts(settings(), folder, "nats://t0ken@nats:4222", "")
    environment = (folder / "worker.env").read_text().splitlines()
    assert environment == [
        "FLOWMESH_NATS=nats://nats:4222?nkey=/account/nats.nk",
        "FLOWMESH_REDIS=",
    ]
    before = (folder / "nats.conf").read_text()
    await write_accounts(settings(), folder, "", "redis://redis:6379/0")
    assert (folder / "nats.conf").read_text() == before
    environment = (folder / "worker.env").read_text().splitlines()
    assert environment[0] == "FLOWMESH_NATS="
    assert environment[1].startswith("FLOWMESH_REDIS=redis://worker:")
    assert environment[1].endswith("@redis:6379/0")
    assert "user default off" in (folder / "redis.conf").read_text()


def test_the_gateway_of_a_cell_reads_the_directory(tmp_path: Path) -> None:
    """A process with all services has the rights of all."""
    given = settings(cell_name="us0", cell_region="us")
    accounts = Accounts.of(given, tmp_path, whole="dev")
    users = accounts.nats_users()
    bucket = "$KV.fm-cells.>"
    allowed = [bucket in str(each["permissions"]) for each in users]
    assert allowed.count(True) == 3
    address = accounts.nats("nats://127.0.0.1:4222?timeout=3", DIRECTORY)
    assert address.startswith("nats://127.0.0.1:4222?timeout=3&nkey=")
    own = accounts.of_process(given, "nats://127.0.0.1:4222", "", "dev")
    assert own.nats.startswith("nats://127.0.0.1:4222?nkey=")
    assert own.redis == given.redis
    (member,) = accounts.of_members([Member("w", "worker", 1, 1)], "", "redis://h:1/0")
    assert member.nats == ""
    assert member.redis.startswith("redis://worker:")


@pytest.mark.parametrize(
    "given", [{"postgres": "postgresql://h/d"}, {"cell_name": "us0", "cell_region": "us"}]
)
async def test_cells_have_servers_of_their_own(given: dict[str, Any]) -> None:
    """So they share no addresses."""
    with pytest.raises(StartError, match="--cells goes without --tls"):
        await running.run_cells(
            settings(**given), 2, ephemeral=True, orchestrators=1, workers=1, tls=False
        )


async def test_a_cell_is_ready_once_its_file_is_written(tmp_path: Path) -> None:
    """It has the next ports and a region; one that was not started needs no stop."""
    cells = [
        running._DevCell(settings(), tmp_path, number, ("--workers", "2")) for number in range(4)
    ]
    assert [each.name for each in cells] == ["us0", "eu1", "ap2", "us3"]
    program = cells[1]._program("nats://directory")
    assert program.argv[-3:] == ("dev", "--workers", "2")
    given = program.environment
    assert (given["FLOWMESH_HTTP_PORT"], given["FLOWMESH_GRPC_PORT"]) == ("3001", "7451")
    assert (given["FLOWMESH_CELL"], given["FLOWMESH_CELL_NAME"]) == ("1", "eu1")
    assert given["FLOWMESH_CELL_DIRECTORY"] == "nats://directory"
    async with answering(b"HTTP/1.1 200 OK") as port:
        assert not await cells[0]._is_ready("127.0.0.1", port)
        (tmp_path / "us0").mkdir()
        (tmp_path / "us0" / "dev.json").write_text('{"http": "http://h:1", "grpc": "h:2"}')
        assert await cells[0]._is_ready("127.0.0.1", port)
    table = running._table(cells[:1], tmp_path).splitlines()
    assert table[3].split() == ["us0", "0", "http://h:1", "h:2"]
    assert running._port(0, 3) > 0
    await running._stop(cells)


async def test_a_cell_that_does_not_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with its error."""
    monkeypatch.setattr("flowmesh.suite.processes.sys.executable", "/bin/false")
    given = settings(data_dir=str(tmp_path), http_port=0, grpc_port=0)
    with pytest.raises(Exception, match="us0 did not start"):
        await running.run_cells(given, 1, ephemeral=False, orchestrators=1, workers=1, tls=False)


@pytest.mark.parametrize(
    ("names", "given", "problem"),
    [
        ((), {}, "say which services to serve: identity"),
        (("worker",), {"postgres": ""}, "no postgres address"),
        (("worker",), {}, "no registry address"),
        (("worker",), {"registry": "h:1", "auth": "closed"}, "prove themselves by certificates"),
        (("registry", "printer"), {}, "no service 'printer'"),
    ],
)
async def test_services_need_their_settings(
    names: tuple[str, ...], given: dict[str, Any], problem: str
) -> None:
    """Before one is started."""
    servers = {"postgres": "postgresql://h/d", "nats": "nats://h:1", "redis": "redis://h:1/0"}
    with pytest.raises(StartError, match=problem):
        await run_serve(settings(**{**servers, "auth": "open", **given}), names)


class _Stop(Exception):
    """The end of a loop that has none."""


class Malloc:
    """The memory of a process: its size at each look, and the trims."""

    def __init__(self, sizes: list[int], returned: int) -> None:
        self.sizes, self.returned = sizes, returned
        self.trims: list[int] = []
        self.looks = 0
        self.freed = 0

    def resident(self) -> int:
        if self.looks >= len(self.sizes):
            return self.sizes[-1] - self.freed
        return self.sizes[self.looks] - self.freed

    def sleep(self, _: float) -> None:
        self.looks += 1
        if self.looks >= len(self.sizes):
            raise _Stop

    def malloc_trim(self, _: int) -> None:
        self.trims.append(self.looks)
        self.freed += self.returned


@pytest.mark.parametrize(
    ("growth", "returned", "trims"),
    [([], 0, [64]), ([0, 0, 100], 0, [2, 3, 5, 9, 17, 33]), ([0, 100], 20, [1, 2])],
)
def test_memory_is_trimmed_when_the_process_has_grown(
    monkeypatch: pytest.MonkeyPatch, growth: list[int], returned: int, trims: list[int]
) -> None:
    """Again soon as long as it helps, then at twice the distance."""
    mebi = 2**20
    sizes = [(1_000 + each) * mebi for each in growth] or [1_000 * mebi]
    malloc = Malloc(sizes + sizes[-1:] * (66 - len(sizes)), returned * mebi)
    monkeypatch.setattr(allocator, "_resident_bytes", malloc.resident)
    monkeypatch.setattr("flowmesh.suite.allocator.time.sleep", malloc.sleep)
    with pytest.raises(_Stop):
        allocator._trim_pages(malloc)
    assert malloc.trims[: len(trims)] == trims
