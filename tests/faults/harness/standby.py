"""PostgreSQL with a standby, on loopback: the primary can be lost for good and be replaced."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import asyncpg

from flowmesh.embedded import binaries
from flowmesh.embedded.child import Child
from flowmesh.embedded.datadir import DataDir
from flowmesh.embedded.postgres import DATABASE, PORT, USER, Postgres
from flowmesh.testing.polling import until
from tests.faults.harness.tracing import signal_family

PASSWORD = "postgres.password"
SETTINGS = ("wal_level=replica", "max_wal_senders=4")
OPEN_MODE = 0o711
STREAMING_WITHIN_S = 20.0
PROMOTED_WITHIN_S = 20.0
_STREAMING = "select count(*) from pg_stat_replication where state = 'streaming'"
_SYNCHRONOUS = "select count(*) from pg_stat_replication where sync_state = 'sync'"
_RECEIVING = "select count(*) from pg_stat_wal_receiver"


class PostgresPair:
    """A primary and its standby, of which the one can be lost; `address` names both."""

    def __init__(self, primary: Child, hosts: Sequence[str], password: str) -> None:
        self._primary = primary
        self._hosts = hosts
        self._password = password

    @property
    def address(self) -> str:
        """Both servers; who connects gets the one that is the primary then."""
        hosts, ports = ",".join(self._hosts), ",".join([str(PORT)] * len(self._hosts))
        return (
            f"postgresql://{USER}:{self._password}@/{DATABASE}"
            f"?host={hosts}&port={ports}&target_session_attrs=primary"
        )

    async def cut_off(self) -> None:
        """From now on nothing of what is committed reaches the standby."""
        await self._set(1, "primary_conninfo", "")
        await self._until(1, _RECEIVING, count=0)

    async def fail_over(self) -> None:
        """Kills the primary for good, all its processes at once, and promotes the standby."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            signal_family(self._primary.pid, number)
        await self._primary.stop()
        connection = await self._connect(1)
        try:
            seconds = int(PROMOTED_WITHIN_S)
            assert await connection.fetchval("select pg_promote(true, $1)", seconds)
        finally:
            await connection.close()

    async def follows(self, *, synchronous: bool) -> None:
        """Returns once the standby gets what is committed; a commit waits for it where asked."""
        await self._until(0, _STREAMING)
        if synchronous:
            await self._set(0, "synchronous_standby_names", "*")
            await self._until(0, _SYNCHRONOUS)

    async def _connect(self, at: int) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            host=self._hosts[at],
            port=PORT,
            user=USER,
            password=self._password,
            database="postgres",
        )

    async def _set(self, at: int, name: str, value: str) -> None:
        connection = await self._connect(at)
        try:
            await connection.execute(f"alter system set {name} = '{value}'")
            await connection.execute("select pg_reload_conf()")
        finally:
            await connection.close()

    async def _until(self, at: int, query: str, *, count: int = 1) -> None:
        connection = await self._connect(at)

        async def so() -> bool:
            return bool(await connection.fetchval(query) == count)

        try:
            await until(query, so, within_s=STREAMING_WITHIN_S)
        finally:
            await connection.close()


@asynccontextmanager
async def postgres_pair(*, synchronous: bool) -> AsyncIterator[PostgresPair]:
    """Starts both. `synchronous`: a commit is answered when the standby has it on its disk, too."""
    with _data_dirs("primary", "standby") as data_dirs:
        # A copy has the password of its original.
        password = data_dirs[0].secret(PASSWORD)
        shutil.copy(data_dirs[0].path / PASSWORD, data_dirs[1].path)
        primary, standby = map(Postgres, data_dirs)
        hosts = [_host(primary), _host(standby)]
        async with _running(primary) as child:
            await _copy(hosts[0], password, standby.program().folder)
            async with _running(standby):
                pair = PostgresPair(child, hosts, password)
                await pair.follows(synchronous=synchronous)
                yield pair


@contextmanager
def _data_dirs(*names: str) -> Iterator[list[DataDir]]:
    """Not among the folders of the test: those are closed to the user that PostgreSQL runs as."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="flowmesh-")))
        folder.chmod(OPEN_MODE)
        found = [DataDir(folder / name) for name in names]
        for data_dir in found:
            data_dir.acquire()
            stack.callback(data_dir.release)
        yield found


@asynccontextmanager
async def _running(server: Postgres) -> AsyncIterator[Child]:
    await server.prepare()
    program = server.program()
    options = [word for setting in SETTINGS for word in ("-c", setting)]
    child = Child(replace(program, argv=(*program.argv, *options)), lambda: None)
    await child.start()
    try:
        yield child
    finally:
        await child.stop()


async def _copy(host: str, password: str, folder: Path) -> None:
    """The data of the primary, and the settings that have the copy follow it."""
    process = await asyncio.create_subprocess_exec(
        *(str(binaries.postgres_bin() / "pg_basebackup"), "--checkpoint=fast"),
        *("--dbname", f"host={host} port={PORT} user={USER} password={password}"),
        *("--pgdata", str(folder), "--write-recovery-conf"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


def _host(server: Postgres) -> str:
    """The folder of its socket."""
    return parse_qs(urlsplit(server.address).query)["host"][0]
