"""Applications and releases in PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowmesh.access.audited import audited_call
from flowmesh.api.apphost.v1 import app_pb2 as pb
from flowmesh.apphost.limits import RELEASES_KEPT
from flowmesh.apphost.storage.records import AppRow, FindingRow, Key, NewRelease, Ports, ReleaseRow
from flowmesh.errors import Overloaded, WrongState
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

SCHEMA: Final = "apphost"
MIGRATIONS: Final = files("flowmesh.apphost").joinpath("migrations")
LOCK: Final = "select pg_try_advisory_lock(hashtext('flowmesh.apphost'))"
UNLOCK: Final = "select pg_advisory_unlock(hashtext('flowmesh.apphost'))"


class AppStore:
    """Reads and changes of applications. A `Key` is namespace and name."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        apps_max: int,
        call: Callable[[], str] = audited_call,
    ) -> None:
        self._pool, self._apps_max = pool, apps_max
        self._sql: Any = load_queries(files("flowmesh.apphost").joinpath("sql"), call=call)

    async def app(self, key: Key) -> AppRow | None:
        row = await self._sql.app(self._pool, namespace=key[0], app=key[1])
        return row and AppRow.of(row)

    async def apps(self, namespace: str) -> list[AppRow]:
        return [AppRow.of(row) async for row in self._sql.apps(self._pool, namespace=namespace)]

    async def all_apps(self) -> list[AppRow]:
        """Return the applications of all namespaces, with those that are being deleted."""
        return [AppRow.of(row) async for row in self._sql.all_apps(self._pool)]

    async def uses_of_plugin(self, plugin: str, namespace: str = "") -> list[tuple[Key, int]]:
        """Return the applications that use a plugin, each with the release that does.

        It serves, or is to serve. Without a namespace, those of all.
        """
        rows = self._sql.uses_of_plugin(self._pool, plugin=plugin, namespace=namespace)
        return [((row["namespace"], row["app"]), row["release"]) async for row in rows]

    async def note_plugins(
        self, key: Key, release: int, plugins: Collection[str]
    ) -> frozenset[str]:
        """Note that a release is to use plugins; return those that were not noted before."""
        rows = self._sql.note_plugins(
            self._pool, namespace=key[0], app=key[1], release=release, plugins=list(plugins)
        )
        return frozenset([row["plugin"] async for row in rows])

    async def release(self, key: Key, release: int) -> ReleaseRow | None:
        row = await self._sql.release(self._pool, namespace=key[0], app=key[1], release=release)
        return row and ReleaseRow.of(row)

    async def content(self, key: Key, release: int) -> tuple[bytes, bytes] | None:
        """Return the stored content and environment of a release."""
        row = await self._sql.release(self._pool, namespace=key[0], app=key[1], release=release)
        return row and (row["content"], row["environment"])

    async def releases(self, key: Key) -> list[ReleaseRow]:
        """Return the releases, newest first."""
        rows = self._sql.releases(self._pool, namespace=key[0], app=key[1])
        return [ReleaseRow.of(row) async for row in rows]

    async def add_release(
        self, key: Key, new: NewRelease, *, base: int = 0, stopped: bool = False
    ) -> int | None:
        """Store a release that is to serve, once a stopped one is started; return its number.

        Returns None while the application is being deleted. Raises WrongState if `base` is given
        and is no longer the present release, Overloaded if the namespace has its applications.
        """
        async with self._changing(key) as (at, of):
            # Applications that are deployed at once are counted one after another.
            await self._sql.lock_namespace(at, namespace=key[0])
            if await self._sql.count_others(at, **of) >= self._apps_max:
                text = f"a namespace has at most {self._apps_max} applications"
                raise Overloaded("APPS_LIMIT", text)
            await self._sql.insert_app(at, **of)
            row = await self._sql.lock_app(at, **of)
            if row["deleted"]:
                return None
            if base and AppRow.of(await self._sql.app(at, **of)).present != base:
                text = f"release {base} of {key[1]} is no longer the present one; read it anew"
                raise WrongState("ETAG_MISMATCH", text)
            number = int(row["newest"]) + 1
            await self._sql.insert_release(
                at,
                **of,
                release=number,
                state=pb.RELEASE_STATE_PENDING,
                digest=new.digest,
                content=new.content,
                environment=new.environment,
                files=list(new.files),
                variables=list(new.variables),
                size_bytes=new.size_bytes,
                created_by=new.deployer.name,
                rights=new.rights,
                maker=new.deployer.id,
                role=new.role,
            )
            await self._sql.want_new(at, **of, release=number, stopped=stopped)
            await self._supersede(at, of, number)
            await self._sql.forget(
                at,
                **of,
                kept=RELEASES_KEPT,
                serving=pb.RELEASE_STATE_SERVING,
                pending=pb.RELEASE_STATE_PENDING,
            )
            return number

    async def want_again(self, key: Key, release: int) -> None:
        """Let a release that served before take over."""
        async with self._changing(key) as (at, of):
            await self._sql.pend_again(at, **of, release=release, pending=pb.RELEASE_STATE_PENDING)
            await self._sql.want_again(at, **of, release=release)
            await self._supersede(at, of, release)

    async def previous(self, key: Key, release: int) -> int:
        """Return the release that served last, apart from one; 0 without one."""
        found = await self._sql.previous(
            self._pool,
            namespace=key[0],
            app=key[1],
            release=release,
            replaced=pb.RELEASE_STATE_REPLACED,
        )
        return int(found or 0)

    async def set_stopped(self, key: Key, stopped: bool) -> None:
        await self._sql.set_stopped(self._pool, namespace=key[0], app=key[1], stopped=stopped)

    async def note_export(self, key: Key) -> None:
        """Record that an application leaves, for the audit log."""
        await self._sql.note_export(self._pool, namespace=key[0], app=key[1])

    async def set_deleted(self, key: Key) -> None:
        """Let the host remove an application."""
        await self._sql.set_deleted(self._pool, namespace=key[0], app=key[1])

    async def remove(self, key: Key) -> None:
        await self._sql.remove(self._pool, namespace=key[0], app=key[1])

    async def ports(self, key: Key) -> Ports:
        """Return the reserved ports, as an application sees them."""
        rows = [row async for row in self._sql.ports(self._pool)]
        own = {r["server"]: r["port"] for r in rows if (r["namespace"], r["app"]) == key}
        return Ports(own, frozenset(row["port"] for row in rows) - frozenset(own.values()))

    async def take_over(
        self,
        key: Key,
        release: int,
        *,
        addresses: Mapping[str, str],
        pid: int,
        restarts: int,
        warnings: Sequence[str],
        plugins: Sequence[str],
        problem: str = "",
    ) -> None:
        """Record that a release serves in place of the one before it; its ports are its own now."""
        async with self._changing(key) as (at, of):
            serving = pb.RELEASE_STATE_SERVING
            await self._sql.replace(
                at, **of, release=release, serving=serving, replaced=pb.RELEASE_STATE_REPLACED
            )
            await self._sql.serve(
                at, **of, release=release, serving=serving, warnings=list(warnings)
            )
            await self._sql.set_release(at, **of, release=release)
            await self._sql.free_ports(at, **of)
            ports = [int(each.rpartition(":")[2]) for each in addresses.values()]
            await self._sql.reserve_ports(at, **of, servers=list(addresses), ports=ports)
            await self._sql.use_plugins(at, **of, release=release, plugins=list(plugins))
            running = pb.APP_STATE_RUNNING
            await self._set_state(at, of, running, problem, addresses, pid, restarts)

    async def refuse(
        self, key: Key, release: int, problem: str, findings: Sequence[FindingRow] = ()
    ) -> None:
        """Record that a release does not serve."""
        listed = [
            {"place": each.place, "message": each.message, "code": each.code} for each in findings
        ]
        async with self._changing(key) as (at, of):
            await self._sql.refuse(
                at,
                **of,
                release=release,
                refused=pb.RELEASE_STATE_REFUSED,
                problem=problem,
                findings=orjson.dumps(listed).decode(),
            )
            await self._sql.free_plugins(at, **of, release=release)

    async def restore(self, key: Key, release: int) -> None:
        """Make an earlier release the serving one; its process is started next."""
        async with self._changing(key) as (at, of):
            await self._sql.restore(at, **of, release=release)
            await self._sql.mark_serving(
                at, **of, release=release, serving=pb.RELEASE_STATE_SERVING
            )

    async def set_state(
        self,
        key: Key,
        state: int,
        *,
        problem: str = "",
        addresses: Mapping[str, str] | None = None,
        pid: int = 0,
        restarts: int = 0,
    ) -> None:
        """Record the state of the process."""
        of = {"namespace": key[0], "app": key[1]}
        await self._set_state(self._pool, of, state, problem, addresses or {}, pid, restarts)

    async def forget_processes(self) -> None:
        """Record that the processes of a former host have ended."""
        await self._sql.forget_processes(
            self._pool, running=pb.APP_STATE_RUNNING, starting=pb.APP_STATE_STARTING
        )

    async def _set_state(
        self,
        at: Any,
        of: Mapping[str, str],
        state: int,
        problem: str,
        addresses: Mapping[str, str],
        pid: int,
        restarts: int,
    ) -> None:
        await self._sql.set_state(
            at,
            **of,
            state=state,
            problem=problem,
            addresses=orjson.dumps(list(addresses.items())).decode(),
            pid=pid,
            restarts=restarts,
        )

    async def _supersede(self, at: Any, of: Mapping[str, str], release: int) -> None:
        await self._sql.supersede(
            at,
            **of,
            release=release,
            pending=pb.RELEASE_STATE_PENDING,
            refused=pb.RELEASE_STATE_REFUSED,
            problem=f"release {release} followed before it was ready",
        )

    @asynccontextmanager
    async def _changing(self, key: Key) -> AsyncIterator[tuple[Any, Mapping[str, str]]]:
        """Commit all changes of the block, or none."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection, {"namespace": key[0], "app": key[1]}


class Leadership:
    """The lock of the instance that runs the applications, held by a connection of its own."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._connection: Any = None

    async def held(self) -> bool:
        """Return whether this instance holds the lock, after an attempt to get it."""
        if self._connection is not None and not self._connection.is_closed():
            return True
        await self.release()
        connection = await self._pool.acquire()
        try:
            if await connection.fetchval(LOCK):
                self._connection = connection
        finally:
            if self._connection is None:
                await self._pool.release(connection)
        return self._connection is not None

    async def release(self) -> None:
        """Give the lock up."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                if not connection.is_closed():
                    await connection.execute(UNLOCK)
            finally:
                await self._pool.release(connection)
