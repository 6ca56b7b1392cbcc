"""Subscriptions and notifications as rows. Times are those of the database."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.event.notifications import limits
from flowmesh.event.notifications.compiled import Notification, Row
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed notification, with the subscription that it is for."""

    ordinal: int
    id: str
    subscription: str
    type: str
    event: bytes
    attempts: int
    namespace: str
    name: str
    body: bytes
    secret: str
    previous_secret: str
    concurrency: int


@dataclass(frozen=True, slots=True)
class Start:
    """The position of a new subscription in both kinds of events."""

    cursor: str
    from_us: int = 0
    backfill_us: int | None = None


class NotificationStore:
    """Queries, and changes by a single statement."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        call: Callable[[], str] = audited_call,
        keys: DataKeys = NO_KEYS,
    ) -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.event").joinpath("sql"), call=call, keys=keys)

    # --- subscriptions ---

    async def put(
        self,
        namespace: str,
        config: pb.Subscription,
        *,
        new_id: str,
        secret: str,
        signed: bool,
        start: Start,
    ) -> tuple[Row | None, bool]:
        """Create or change a subscription; return its row and whether it is new.

        The row is None if the namespace is full.
        """
        given: dict[str, Any] = {
            "namespace": namespace,
            "name": config.subscription,
            "body": config.SerializeToString(deterministic=True),
            "secret": secret,
            "concurrency": config.policy.concurrency,
            "breaker_failures": config.policy.breaker_failures,
        }
        async with self._pool.acquire() as connection, connection.transaction():
            changed: Row | None = await self._sql.change_subscription(
                connection, signed=signed, **given
            )
            if changed is not None:
                return changed, False
            row: Row | None = await self._sql.add_subscription(
                connection, id=new_id, most=limits.SUBSCRIPTIONS_MAX, **given
            )
            if row is not None:
                await self._sql.add_subscription_state(
                    connection,
                    id=new_id,
                    cursor=start.cursor,
                    from_us=start.from_us,
                    backfill_us=start.backfill_us,
                )
            return row, True

    async def states(self, namespace: str, name: str = "") -> list[Row]:
        """Return the subscriptions of a namespace by name, or one, with their progress."""
        rows = self._sql.subscription_states(self._pool, namespace=namespace, name=name)
        return [row async for row in rows]

    async def delete(self, namespace: str, name: str) -> bool:
        return bool(await self._sql.delete_subscription(self._pool, namespace=namespace, name=name))

    async def set_paused(self, namespace: str, name: str, *, paused: bool) -> Row | None:
        row: Row | None = await self._sql.set_subscription_paused(
            self._pool, namespace=namespace, name=name, paused=paused
        )
        return row

    async def rotate(self, namespace: str, name: str, *, secret: str, until_us: int) -> Row | None:
        """Replace the secret; return None without one."""
        row: Row | None = await self._sql.rotate_secret(
            self._pool, namespace=namespace, name=name, secret=secret, until_us=until_us
        )
        return row

    async def seal_secrets(self, prefix: str, sealed: Callable[[str, str, str], str]) -> int:
        """Replace secrets without a prefix by `sealed(namespace, name, secret)`; return the number
        of subscriptions.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            rows = [row async for row in self._sql.plain_secrets(connection, prefix=prefix)]
            for row in rows:
                namespace, name = row["namespace"], row["name"]
                await self._sql.replace_secrets(
                    connection,
                    namespace=namespace,
                    name=name,
                    secret=sealed(namespace, name, row["secret"]),
                    previous=sealed(namespace, name, row["previous_secret"]),
                )
            return len(rows)

    async def close_breaker(self, subscription: str) -> None:
        await self._sql.close_breaker(self._pool, id=subscription)

    # --- feeds ---

    async def claim_feeds(self, feeder: str, *, lease_ms: int) -> list[Row]:
        """Renew the feeds of this process, and take over those of dead ones."""
        rows = self._sql.claim_feeds(self._pool, feeder=feeder, lease_ms=lease_ms)
        return [row async for row in rows]

    async def release_feeds(self, feeder: str) -> None:
        await self._sql.release_feeds(self._pool, feeder=feeder)

    async def feed(
        self, subscription: str, feeder: str, cursor: str, found: Sequence[Notification]
    ) -> bool:
        """Store notifications and the position after them; False after a takeover."""
        return bool(
            await self._sql.feed(
                self._pool,
                id=subscription,
                feeder=feeder,
                cursor=cursor,
                ids=[each.id for each in found],
                event_ids=[each.event_id for each in found],
                types=[each.type for each in found],
                events=[each.event for each in found],
                namespaces=[each.namespace for each in found],
                statuses=[each.status for each in found],
            )
        )

    async def add(self, found: Sequence[Notification]) -> None:
        async with self._pool.acquire() as connection:
            await add_notifications(self._sql, connection, found)

    async def is_full(self, subscription: str) -> bool:
        return bool(await self._sql.is_full(self._pool, id=subscription, most=limits.PENDING_MAX))

    async def set_backfill(self, subscription: str, backfill_us: int | None) -> None:
        await self._sql.end_backfill(self._pool, id=subscription, backfill_us=backfill_us)

    async def note_problem(self, subscription: str, problem: str) -> None:
        await self._sql.note_problem(self._pool, id=subscription, last_error=problem)

    @asynccontextmanager
    async def alerting(self, subscription: str) -> AsyncIterator["AlertChange"]:
        """Open a transaction that holds the state of an alert rule."""
        async with self._pool.acquire() as connection, connection.transaction():
            state = await self._sql.lock_alert(connection, id=subscription)
            yield AlertChange(self._sql, connection, subscription, state)

    # --- notifications ---

    async def claim(self, *, busy: Sequence[str], free: int, lease_ms: int) -> list[Due]:
        rows = self._sql.claim_notifications(self._pool, busy=busy, free=free, lease_ms=lease_ms)
        return [Due(**row) async for row in rows]

    async def next_due_ms(self, *, busy: Sequence[str]) -> int | None:
        """Return the time until the next attempt, or None if none is pending."""
        wait_ms = await self._sql.next_notification(self._pool, busy=busy)
        return None if wait_ms is None else max(0, wait_ms)

    async def end(self, due: Due, *, status: str, http_status: int, last_error: str) -> None:
        await self._sql.end_notification(
            self._pool,
            ordinal=due.ordinal,
            subscription=due.subscription,
            status=status,
            http_status=http_status,
            last_error=last_error,
        )

    async def postpone(
        self, due: Due, *, attempts: int, http_status: int, last_error: str, delay_ms: int
    ) -> None:
        await self._sql.postpone_notification(
            self._pool,
            ordinal=due.ordinal,
            attempts=attempts,
            http_status=http_status,
            last_error=last_error,
            delay_ms=delay_ms,
        )

    async def give_back(self, due: Due) -> None:
        await self._sql.give_back_notification(self._pool, ordinal=due.ordinal)

    async def note_failure(
        self, due: Due, policy: pb.DeliveryPolicy, *, last_error: str, gone: bool
    ) -> None:
        """Count a failed attempt of a sink."""
        await self._sql.note_failure(
            self._pool,
            id=due.subscription,
            last_error=last_error,
            gone=gone,
            breaker_failures=policy.breaker_failures,
            open_ms=policy.breaker_open_ms,
            open_max_ms=limits.OPEN_MAX_MS,
            disable_ms=limits.DISABLE_AFTER_MS,
        )

    async def notifications(
        self, subscription: str, *, status: str, before: int, page_size: int
    ) -> list[Row]:
        rows = self._sql.list_notifications(
            self._pool, id=subscription, status=status, before=before, page_size=page_size
        )
        return [row async for row in rows]

    async def resend(self, subscription: str, ids: Sequence[str], since_us: int) -> int:
        count: int = await self._sql.resend(
            self._pool, id=subscription, ids=ids, since_us=since_us, most=limits.RESEND_MAX
        )
        return count

    async def delete_expired(self) -> None:
        """Delete ended notifications past their retention."""
        await self._sql.delete_expired_notifications(self._pool, days=limits.KEPT_DAYS)


class AlertChange:
    """The locked state of an alert rule; None if its subscription is gone."""

    def __init__(self, sql: Any, connection: Any, subscription: str, state: Row | None) -> None:
        self._sql = sql
        self._connection = connection
        self._subscription = subscription
        self.state = state

    async def counted(self, window_ms: int) -> tuple[int, list[bytes]]:
        """Return the number of matching events of the window, and the newest ten."""
        row = await self._sql.counted(self._connection, id=self._subscription, window_ms=window_ms)
        return row["count"], list(row["events"])

    async def set(self, found: Notification | None, *, alerted_until_us: int, raised: bool) -> None:
        """Store the notification of an alert with the state of its rule."""
        if found is not None:
            await add_notifications(self._sql, self._connection, [found])
        await self._sql.set_alert(
            self._connection,
            id=self._subscription,
            alerted_until_us=alerted_until_us,
            raised=raised,
        )


async def add_notifications(sql: Any, connection: Any, found: Sequence[Notification]) -> None:
    """Add notifications; existing ones are unchanged."""
    await sql.add_notifications(
        connection,
        namespaces=[each.namespace for each in found],
        subscriptions=[each.subscription for each in found],
        ids=[each.id for each in found],
        event_ids=[each.event_id for each in found],
        types=[each.type for each in found],
        events=[each.event for each in found],
        statuses=[each.status for each in found],
        most=limits.PENDING_MAX,
    )
