"""The outbox of webhooks: rows that are sent, retried, and kept as dead letters."""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flowmesh.apps.data.database import Database, Row
from flowmesh.apps.data.statements import own_statement
from flowmesh.apps.http.messages import json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.messages import new_id, reason_of
from flowmesh.apps.modules.http_client import HttpClient
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry
from flowmesh.jsontext.integers import is_whole

SENDING_MAX = 16
POLL_S = 0.5
HOLD_S = 120.0
_TABLE = (
    "CREATE TABLE IF NOT EXISTS webhook_outbox (sender TEXT NOT NULL, id TEXT NOT NULL, "
    "url TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL, "
    "due_at DOUBLE PRECISION NOT NULL, dead INTEGER NOT NULL, reason TEXT NOT NULL, "
    "PRIMARY KEY (sender, id))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The form of requests, and their retries."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: str = ""
    timeout_s: float = 30.0
    retry: Retry = field(default_factory=Retry)

    def pause(self, attempts: int, retry_after: str = "") -> float:
        """Return the time before the next attempt."""
        pause = self.retry.delay_s(attempts)
        if is_whole(retry_after):
            pause = max(pause, min(float(retry_after), self.retry.most_s))
        return pause

    def signed(self, id: str, body: bytes) -> dict[str, str]:
        """Return the headers of a request, with a signature where there is a secret."""
        headers = {"Content-Type": "application/json", "webhook-id": id, **self.headers}
        if self.secret:
            from standardwebhooks.webhooks import Webhook

            now = datetime.now(UTC)
            headers["webhook-timestamp"] = str(int(now.timestamp()))
            headers["webhook-signature"] = Webhook(_key(self.secret)).sign(
                id, now, body.decode("utf-8", "replace")
            )
        return headers


class Outbox:
    """Sends what it holds, at least once; a row ends as sent or as a dead letter."""

    def __init__(
        self,
        *,
        name: str,
        database: Callable[[], Database | None],
        folder: Path,
        client: HttpClient,
        target: Target,
        log: Callable[..., None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._find = database
        self._folder = folder
        self._client = client
        self._target = target
        self._log = log
        self._now = now
        self._database: Database | None = None
        self._own: Database | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        found = self._find()
        if found is None:
            from flowmesh.apps.data.sqlite import SqliteDatabase

            found = self._own = SqliteDatabase(
                name=self._name, path=":memory:", folder=self._folder
            )
            await found.start()
        self._database = found
        await found.script([_TABLE])
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End after the requests on their way; the others stay in the outbox."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._target.timeout_s)

    async def stop(self) -> None:
        if self._own is not None:
            await self._own.stop()

    async def add(self, url: str, body: bytes) -> str:
        """Store a request and return its id, once it is committed."""
        id = f"msg_{new_id()}"
        text = (
            "INSERT INTO webhook_outbox (sender, id, url, body, attempts, due_at, dead, reason) "
            "VALUES (?, ?, ?, ?, 0, ?, 0, '')"
        )
        await self._change(text, (self._name, id, url, body.decode(), self._now()))
        self._wake.set()
        return id

    async def dead(self) -> list[Json]:
        """Return the dead letters, the oldest first."""
        text = (
            "SELECT id, url, body, attempts, reason FROM webhook_outbox "
            "WHERE sender = ? AND dead = 1 ORDER BY due_at LIMIT 1000"
        )
        rows = await self._rows(text, (self._name,))
        return [
            {"sender": self._name, **row, "body": json_or_text(row["body"].encode())}
            for row in rows
        ]

    async def revive(self, id: str) -> bool:
        """Send a dead letter again, with all its attempts."""
        text = (
            "UPDATE webhook_outbox SET dead = 0, attempts = 0, due_at = ? "
            "WHERE sender = ? AND id = ? AND dead = 1"
        )
        found = await self._change(text, (self._now(), self._name, id)) > 0
        self._wake.set()
        return found

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._send_due()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                self._log("error", f"the outbox cannot be read: {reason_of(error)}")
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _send_due(self) -> None:
        text = (
            "SELECT id, url, body, attempts, due_at FROM webhook_outbox "
            "WHERE sender = ? AND dead = 0 AND due_at <= ? ORDER BY due_at LIMIT ?"
        )
        room = SENDING_MAX - len(self._sending)
        if room <= 0:
            return
        for row in await self._rows(text, (self._name, self._now(), room)):
            # Held for this process; another one takes it over when it is not settled in time.
            hold = (
                "UPDATE webhook_outbox SET due_at = ? "
                "WHERE sender = ? AND id = ? AND due_at = ? AND dead = 0"
            )
            until = self._now() + HOLD_S
            if not await self._change(hold, (until, self._name, row["id"], row["due_at"])):
                continue
            task = asyncio.create_task(self._send(row))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()

    async def _send(self, row: Row) -> None:
        target, body = self._target, row["body"].encode()
        reason, after = "", ""
        try:
            answer = await self._client.send(
                target.method, row["url"], target.signed(row["id"], body), body, target.timeout_s
            )
            if not 200 <= answer.status < 300:
                reason, after = f"answered {answer.status}", answer.headers.get("retry-after", "")
        except Exception as error:  # noqa: BLE001 - any failure is a failed attempt
            reason = reason_of(error)
        await self._settle(row, reason, after)

    async def _settle(self, row: Row, reason: str, after: str) -> None:
        id, attempts = row["id"], row["attempts"] + 1
        if not reason:
            text = "DELETE FROM webhook_outbox WHERE sender = ? AND id = ?"
            await self._change(text, (self._name, id))
            return
        dead = attempts >= self._target.retry.attempts
        due = self._now() + (0.0 if dead else self._target.pause(attempts, after))
        text = (
            "UPDATE webhook_outbox SET attempts = ?, due_at = ?, dead = ?, reason = ? "
            "WHERE sender = ? AND id = ?"
        )
        await self._change(text, (attempts, due, int(dead), reason, self._name, id))
        level, what = ("error", "gave up") if dead else ("warn", "will retry")
        self._log(
            level, f"{row['url'].partition('?')[0]} {reason}; {what}", id=id, attempt=attempts
        )

    async def _rows(self, text: str, values: tuple[Json, ...]) -> list[Row]:
        database = self._opened()
        rows = database.query(own_statement(text, database.dialect), values)
        return rows if isinstance(rows, list) else await rows

    async def _change(self, text: str, values: tuple[Json, ...]) -> int:
        database = self._opened()
        return (await database.execute(own_statement(text, database.dialect), values)).count

    def _opened(self) -> Database:
        if self._database is None:
            raise HttpProblem(503, "OUTBOX_CLOSED", f"{self._name} is not open")
        return self._database


def _key(secret: str) -> bytes:
    """Return the key of a secret: the bytes of `whsec_…`, else those of the text."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"))
    return secret.encode()
