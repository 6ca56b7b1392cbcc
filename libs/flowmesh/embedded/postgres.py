"""PostgreSQL 18 as a child process: initialized once, durable, with a unix socket and a password.

PostgreSQL refuses to run as root. If root starts it, it runs as an unprivileged user and opens its
data through its working directory (`/proc/self/cwd`), so parent folders can stay closed to that
user. It keeps the capability to enter folders only if its programs are in a closed folder.
"""

import asyncio
import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import asyncpg

from flowmesh.embedded import binaries
from flowmesh.embedded.child import (
    Program,
    RunAs,
    last_lines,
    launch_argv,
    open_log,
    plain_environment,
)
from flowmesh.embedded.datadir import DataDir
from flowmesh.embedded.errors import EmbeddedError, ServerFailed
from flowmesh.embedded.leftovers import end_leftovers

USER = "flowmesh"
DATABASE = "flowmesh"
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
INIT_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 1.0
# Lines of pg_hba.conf: before and after the password is set.
TRUST = "local all all trust\nlocal replication all trust\n"
SECURED = "local all all scram-sha-256\nlocal replication all scram-sha-256\n"
# A random password of 192 bits needs no slow hash, which each connection would pay for.
PASSWORD_ITERATIONS = 1
# The digest of the password that the role has.
SECURED_MARK = ".password"
# Accounts that own the data if root starts the server, in order of preference.
ACCOUNTS = ("pgserver", "nobody")
SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # The maximum replayed after a crash: 64 MB take 0.2 to 0.4 s.
    "max_wal_size": "64MB",
    "min_wal_size": "64MB",
    "checkpoint_warning": "0",
    "wal_buffers": "8MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    "idle_in_transaction_session_timeout": "60s",
    "huge_pages": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
    # Each service has a role that owns its schema only.
    "flowmesh.service_roles": "on",
}


class Postgres:
    """The embedded PostgreSQL: its address and program."""

    def __init__(self, data_dir: DataDir) -> None:
        self._bin = binaries.postgres_bin()
        self._folder = data_dir.folder("postgres")
        self._log = data_dir.folder("logs", 0o755) / "postgres.log"
        self._sockets = data_dir.socket_dir(self._folder, SOCKET)
        self._run_as = _unprivileged(self._bin / "postgres")
        # The other user may have no right to enter the folders of an absolute path.
        self._data_argument = "/proc/self/cwd" if self._run_as.uid >= 0 else str(self._folder)
        self._password = data_dir.secret("postgres.password")
        place = f"host={quote(str(self._sockets))}&port={PORT}"
        self.address = f"postgresql://{USER}:{self._password}@/{DATABASE}?{place}"

    async def prepare(self) -> None:
        """Initialize the data once; an interrupted initialization is repeated."""
        self._own(self._folder)
        if self._sockets != self._folder:
            self._own(self._sockets)
        await self._initialize_once()
        self._admit(SECURED if self._has_password() else TRUST)

    async def _initialize_once(self) -> None:
        if (self._folder / "PG_VERSION").exists() and (self._folder / ".complete").exists():
            return
        for entry in self._folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        await self._initialize()
        (self._folder / ".complete").touch()

    def program(self) -> Program:
        """Return the program of the server."""
        settings = dict(SETTINGS, unix_socket_directories=self._socket_argument())
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return Program(
            name="postgres",
            argv=(
                str(self._bin / "postgres"),
                "-D",
                self._data_argument,
                "-p",
                str(PORT),
                *options,
            ),
            folder=self._folder,
            log=self._log,
            ready=self._is_ready,
            before_start=self._clear_stale,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            run_as=self._run_as,
        )

    def _socket_argument(self) -> str:
        return "." if self._sockets == self._folder else str(self._sockets)

    def _own(self, folder: Path) -> None:
        if self._run_as.uid >= 0 and folder.stat().st_uid != self._run_as.uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self._run_as.uid, self._run_as.gid, follow_symlinks=False)
        folder.chmod(0o700)

    async def _initialize(self) -> None:
        argv = (
            *(str(self._bin / "initdb"), "-D", self._data_argument, "-U", USER),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"),
        )
        with open_log(self._log) as log:
            process = await asyncio.create_subprocess_exec(
                *launch_argv(argv, self._run_as, signal.SIGKILL),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=plain_environment(),
            )
        async with asyncio.timeout(INIT_TIMEOUT_S):
            code = await process.wait()
        if code != 0:
            raise ServerFailed(f"postgres could not be initialized: {last_lines(self._log)}")

    def _clear_stale(self) -> None:
        """Stop orphaned servers and delete the stale files of a killed postmaster."""
        pid_file = self._folder / "postmaster.pid"
        if pid_file.exists():
            end_leftovers(self._folder)
            pid_file.unlink(missing_ok=True)
        for name in (SOCKET, f"{SOCKET}.lock"):
            (self._sockets / name).unlink(missing_ok=True)

    async def _is_ready(self) -> bool:
        if not (self._sockets / SOCKET).exists():
            return False
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                connection = await asyncpg.connect(self._maintenance())
                try:
                    await self._ensure_password(connection)
                    await self._ensure_database(connection)
                finally:
                    await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def _maintenance(self) -> str:
        return self.address.replace(f"/{DATABASE}?", "/postgres?")

    async def database(self, name: str) -> str:
        """Return the address of a database, which is made if it is not there; the server runs."""
        connection = await asyncpg.connect(self._maintenance())
        try:
            await self._ensure_database(connection, name)
        finally:
            await connection.close()
        return self.address.replace(f"/{DATABASE}?", f"/{quote(name, safe='')}?")

    async def _ensure_database(
        self, connection: "asyncpg.Connection[asyncpg.Record]", name: str = DATABASE
    ) -> None:
        found = await connection.fetchval("select 1 from pg_database where datname = $1", name)
        if found is None:
            quoted = name.replace('"', '""')
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f'create database "{quoted}"')

    def _has_password(self) -> bool:
        mark = self._folder / SECURED_MARK
        return mark.exists() and mark.read_text() == _digest(self._password)

    async def _ensure_password(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Give the role its password, and refuse connections without one from then on."""
        if self._has_password():
            return
        await connection.execute(f"set scram_iterations = {PASSWORD_ITERATIONS}")
        await connection.execute(f"alter role \"{USER}\" password '{self._password}'")
        self._admit(SECURED)
        await connection.execute("select pg_reload_conf()")
        self._write(SECURED_MARK, _digest(self._password))

    def _admit(self, rules: str) -> None:
        """State which connections the server accepts."""
        self._write("pg_hba.conf", rules)

    def _write(self, name: str, content: str) -> None:
        """Write a file of the data folder for the user of the server."""
        path = self._folder / name
        path.write_text(content)
        path.chmod(0o600)
        if self._run_as.uid >= 0:
            os.chown(path, self._run_as.uid, self._run_as.gid)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _unprivileged(program: Path) -> RunAs:
    """Return the user of the server: this user, or an unprivileged account for root."""
    if os.geteuid() != 0:
        return RunAs()
    if sys.platform != "linux":
        raise EmbeddedError(
            "PostgreSQL does not run as root; start as an ordinary user, or pass --postgres ADDRESS"
        )
    for name in ACCOUNTS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        closed = any(not parent.stat().st_mode & stat.S_IXOTH for parent in program.parents)
        return RunAs(uid=account.pw_uid, gid=account.pw_gid, read_anywhere=closed)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and this machine has none of the accounts"
        f" {', '.join(ACCOUNTS)} to run it;"
        " start as an ordinary user, or pass --postgres ADDRESS"
    )
