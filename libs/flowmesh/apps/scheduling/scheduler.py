"""The scheduler: fires jobs at their instants, catches up, and bounds what runs at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from flowmesh.apps.data.database import Database
from flowmesh.apps.data.statements import own_statement
from flowmesh.apps.messaging.messages import reason_of
from flowmesh.triggers.schedule import Schedule

Log = Callable[..., None]
CatchUp = Literal["skip", "once", "all"]
Overlap = Literal["skip", "allow"]

CAUGHT_UP_MAX = 1_000
# A job that is late by less than this has not been missed.
LATE_US = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job; `run` gets the instant in microseconds."""

    name: str
    schedule: Schedule
    run: Callable[[int], Awaitable[Any]]
    catch_up: CatchUp = "skip"
    overlap: Overlap = "skip"


class Positions(Protocol):
    """The last fired instant of each job."""

    async def start(self) -> None: ...

    async def last(self, job: str, now_us: int) -> int:
        """Return the last instant of a job; a new job begins now."""

    async def claim(self, job: str, instant_us: int) -> bool:
        """Move the position of a job to an instant; False if it is there or beyond already."""


class MemoryPositions:
    """Positions of this process."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    async def start(self) -> None:
        return None

    async def last(self, job: str, now_us: int) -> int:
        return self._last.setdefault(job, now_us)

    async def claim(self, job: str, instant_us: int) -> bool:
        if self._last.get(job, 0) >= instant_us:
            return False
        self._last[job] = instant_us
        return True


class StoredPositions:
    """Positions in a database: of all hosts, one claims an instant."""

    def __init__(self, database: Database, scheduler: str) -> None:
        self._database = database
        self._scheduler = scheduler

    async def start(self) -> None:
        """Create the table."""
        columns = (
            "(scheduler TEXT NOT NULL, job TEXT NOT NULL, last_us BIGINT NOT NULL, "
            "PRIMARY KEY (scheduler, job))"
        )
        await self._database.script([f"CREATE TABLE IF NOT EXISTS scheduled_jobs {columns}"])

    async def last(self, job: str, now_us: int) -> int:
        insert = (
            "INSERT INTO scheduled_jobs (scheduler, job, last_us) VALUES (?, ?, ?) "
            "ON CONFLICT (scheduler, job) DO NOTHING"
        )
        dialect = self._database.dialect
        await self._database.execute(own_statement(insert, dialect), (self._scheduler, job, now_us))
        select = "SELECT last_us FROM scheduled_jobs WHERE scheduler = ? AND job = ?"
        rows = self._database.query(own_statement(select, dialect), (self._scheduler, job))
        found = rows if isinstance(rows, list) else await rows
        return int(found[0]["last_us"])

    async def claim(self, job: str, instant_us: int) -> bool:
        text = (
            "UPDATE scheduled_jobs SET last_us = ? WHERE scheduler = ? AND job = ? AND last_us < ?"
        )
        values = (instant_us, self._scheduler, job, instant_us)
        statement = own_statement(text, self._database.dialect)
        return (await self._database.execute(statement, values)).count > 0


class Scheduler:
    """Fires jobs between `open` and `close`. It is the service `Scheduler`."""

    def __init__(
        self,
        *,
        name: str,
        positions: Positions,
        log: Log,
        workers: int = 5,
        waiting_max: int = 100,
        check_s: float = 1.0,
        shutdown_s: float = 30.0,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._name = name
        self._positions = positions
        self._log = log
        self._gate = asyncio.Semaphore(workers)
        self._most = workers + waiting_max
        self._check_s = check_s
        self._shutdown_s = shutdown_s
        self._now_us = now_us
        self._jobs: dict[str, Job] = {}
        self._running: dict[asyncio.Task[None], str] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, job: Job) -> None:
        """Add a job before `open`; of one name, the last stays."""
        self._jobs[job.name] = job

    @property
    def jobs(self) -> list[str]:
        return list(self._jobs)

    async def start(self) -> None:
        await self._positions.start()

    async def stop(self) -> None:
        return None

    async def open(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Fire nothing more; running jobs have their time to end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._shutdown_s)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def run_now(self, name: str) -> None:
        """Run a job at once. Raises KeyError for an unknown one."""
        await self._jobs[name].run(self._now_us())

    async def idle(self) -> None:
        """Wait until no job runs."""
        if self._running:
            await asyncio.wait(self._running)

    async def _run(self) -> None:
        for job in self._jobs.values():
            await self._positions.last(job.name, self._now_us())
        while True:
            following = await self.look()
            known = [each for each in following if each is not None]
            pause = (min(known) - self._now_us()) / 1e6 if known else self._check_s
            await asyncio.sleep(min(max(pause, 0.001), self._check_s))

    async def look(self) -> list[int | None]:
        """Fire all instants up to now; return the next one of each job."""
        now = self._now_us()
        return [await self._look(job, now) for job in self._jobs.values()]

    async def _look(self, job: Job, now: int) -> int | None:
        """Fire the instants of a job up to now; return the next one."""
        try:
            last = await self._positions.last(job.name, now)
            for instant in self._due(job, last, now):
                if await self._positions.claim(job.name, instant):
                    self._fire(job, instant)
            following = job.schedule.next_after(max(last, now))
        except Exception as error:  # noqa: BLE001 - the next look may succeed
            self._log("error", f"the position of {job.name} is unknown: {reason_of(error)}")
            return None
        return following

    def _due(self, job: Job, last: int, now: int) -> list[int]:
        if job.catch_up == "all":
            return job.schedule.last_between(last + 1, now + 1, CAUGHT_UP_MAX)
        found = job.schedule.last_between(last + 1, now + 1, 1)
        if job.catch_up == "skip" and found and found[0] < now - LATE_US:
            return []
        return found

    def _fire(self, job: Job, instant: int) -> None:
        if job.overlap == "skip" and job.name in self._running.values():
            self._log("warn", f"{job.name} still runs; {_text(instant)} is skipped")
            return
        if len(self._running) >= self._most:
            self._log("error", f"{self._name} is full; {job.name} at {_text(instant)} is skipped")
            return
        task = asyncio.create_task(self._one(job, instant))
        self._running[task] = job.name
        task.add_done_callback(lambda done: self._running.pop(done, None))

    async def _one(self, job: Job, instant: int) -> None:
        async with self._gate:
            try:
                await job.run(instant)
            except Exception as error:  # noqa: BLE001 - the log is its reader
                text = f"the job {job.name} failed: {reason_of(error)}"
                self._log("error", text, scheduledAt=_text(instant))


def _text(instant_us: int) -> str:
    return datetime.fromtimestamp(instant_us / 1e6, UTC).isoformat()
