"""The tables of the schema `orchestrator`, and what each statement does. No time passes here.

The one place that says in Python what `sql/commit.sql` and `sql/queries.sql` say in SQL; a test
runs the same statements on a real database and compares (`test_tables.py`).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from flowmesh.orchestrator.batch import DAY_US
from flowmesh.orchestrator.ids import PARTITION_COUNT
from tests.simulation.history import Commit

LEASE_US = 3_000_000
RUNNING = 2
PAYLOAD_KEPT_US = DAY_US
_STARTS = "id partition namespace workflow_id workflow_name version plan_digest request_id digest"
_STATES = "id partition status started_at ended_at wake_at ready_since queue priority"
_LANES = "execution_id partition namespace queue priority ready_since is_start"

Row = dict[str, Any]


@dataclass(slots=True)
class Incarnation:
    address: str
    data_dir_id: str
    lease_until: float
    position: int = 0


@dataclass(slots=True)
class OutboxRow:
    execution_ids: list[str]
    seqs: list[int]
    after: bytes | None


@dataclass(slots=True)
class Payload:
    encoding: str
    data: bytes
    used_at: int


@dataclass(slots=True)
class Partition:
    epoch: int = 0
    incarnation: int | None = None
    # The transaction that has locked the row.
    locked_by: object = None


def _rows(names: str, columns: Sequence[Sequence[Any]]) -> list[Row]:
    return [dict(zip(names.split(), row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass
class Tables:
    """Rows as a committed transaction sees them; every method is one statement."""

    now_us: Callable[[], int]
    incarnations: dict[int, Incarnation] = field(default_factory=dict)
    partitions: list[Partition] = field(
        default_factory=lambda: [Partition() for _ in range(PARTITION_COUNT)]
    )
    plans: dict[str, bytes] = field(default_factory=dict)
    executions: dict[str, Row] = field(default_factory=dict)
    requests: dict[tuple[str, str], str] = field(default_factory=dict)
    history: dict[str, dict[int, bytes]] = field(default_factory=dict)
    ready: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    snapshots: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    outbox: dict[int, dict[int, OutboxRow]] = field(default_factory=dict)
    payloads: dict[tuple[str, str], Payload] = field(default_factory=dict)
    references: set[tuple[str, str, str]] = field(default_factory=set)
    commits: list[Commit] = field(default_factory=list)
    # What tells a reader of histories in which order things happened.
    tick: Callable[[], int] = lambda: 0
    told: Callable[[Commit], None] = lambda commit: None

    # --- the commit ---

    def fence(self, incarnation: int, partitions: list[int], epochs: list[int]) -> set[int]:
        """Partitions of a commit that are the incarnation's at this epoch."""
        held = set()
        for partition, epoch in zip(partitions, epochs, strict=True):
            row = self.partitions[partition]
            if row.incarnation == incarnation and row.epoch == epoch:
                held.add(partition)
        return held

    def commit(self, *p: Any) -> Row:
        """`sql/commit.sql`; `p[n - 1]` is its parameter $n."""
        incarnation, position = p[0], p[1]
        me = self.incarnations.get(incarnation)
        if me is None or me.position != position:
            return self._answer(applied=False)
        fence = self.fence(incarnation, p[2], p[3])
        starts = _rows(_STARTS, p[6:15])
        states = {s["id"]: s for s in _rows(_STATES, p[15:24]) if s["partition"] in fence}
        self._check(starts, states, fence, p)
        me.position += 1
        if fence:
            for digest, body in zip(p[4], p[5], strict=True):
                self.plans.setdefault(digest, body)
        started = self._start(starts, states)
        for state, is_start in zip(_rows(_STATES, p[15:24]), p[41], strict=True):
            if not is_start and state["partition"] in fence and state["id"] in self.executions:
                self.executions[state["id"]].update(
                    (name, state[name])
                    for name in (
                        "status",
                        "ended_at",
                        "wake_at",
                        "ready_since",
                        "queue",
                        "priority",
                    )
                )
        self._lanes(_rows(_LANES, p[42:49]), fence, started)
        appended = self._append(p[24:30], fence, started)
        self.outbox.setdefault(incarnation, {})[position + 1] = OutboxRow(
            [i for i, _ in appended], [seq for _, seq in appended], p[30]
        )
        self._serve(p[31], p[32])
        self._refer(p[33:37], fence)
        for execution_id, seq, body, partition in zip(*p[37:41], strict=True):
            if partition in fence:
                self.snapshots[execution_id] = (seq, body)
        self._record(incarnation, position + 1, p, fence, appended, started)
        return self._answer(applied=True, partitions=sorted(fence), started=sorted(started))

    def _answer(
        self, *, applied: bool, partitions: Iterable[int] = (), started: Iterable[str] = ()
    ) -> Row:
        return {
            "applied": applied,
            "partitions": list(partitions),
            "started": list(started),
            "now_us": self.now_us(),
        }

    def _check(
        self, starts: list[Row], states: dict[str, Row], fence: set[int], p: Sequence[Any]
    ) -> None:
        """Raises what a broken constraint raises, before anything has changed."""
        if any(s["id"] in self.executions for s in starts if s["id"] in states):
            raise asyncpg.UniqueViolationError("executions_pkey")
        taken = {
            s["id"]
            for s in starts
            if s["request_id"] and (s["namespace"], s["request_id"]) in self.requests
        }
        for _, execution_id, seq, _, partition, is_start in zip(*p[24:30], strict=True):
            if partition not in fence or (is_start and execution_id in taken):
                continue
            if seq in self.history.get(execution_id, ()):
                raise asyncpg.UniqueViolationError("history_pkey")
        for lane in _rows(_LANES, p[42:49]):
            if lane["partition"] not in fence or lane["ready_since"] is None:
                continue
            key = (lane["execution_id"], lane["queue"], lane["priority"])
            if not (lane["is_start"] and key[0] in taken) and key in self.ready:
                raise asyncpg.UniqueViolationError("ready_pkey")

    def _start(self, starts: list[Row], states: dict[str, Row]) -> set[str]:
        started = set()
        for start in sorted(starts, key=lambda s: (s["namespace"], s["request_id"])):
            state = states.get(start["id"])
            key = (start["namespace"], start["request_id"])
            if state is None or (start["request_id"] and key in self.requests):
                continue
            self.executions[start["id"]] = {
                **start,
                **state,
                "request_id": start["request_id"] or None,
                "start_digest": start["digest"],
            }
            if start["request_id"]:
                self.requests[key] = start["id"]
            started.add(start["id"])
        return started

    def _lanes(self, lanes: list[Row], fence: set[int], started: set[str]) -> None:
        for lane in lanes:
            key = (lane["execution_id"], lane["queue"], lane["priority"])
            if lane["partition"] not in fence:
                continue
            if lane["ready_since"] is None:
                self.ready.pop(key, None)
            elif not lane["is_start"] or lane["execution_id"] in started:
                self.ready[key] = lane

    def _append(
        self, columns: Sequence[Sequence[Any]], fence: set[int], started: set[str]
    ) -> list[tuple[str, int]]:
        appended = []
        for _, execution_id, seq, events, partition, is_start in zip(*columns, strict=True):
            if partition in fence and (not is_start or execution_id in started):
                self.history.setdefault(execution_id, {})[seq] = events
                appended.append((execution_id, seq))
        return sorted(appended)

    def _serve(self, incarnations: list[int], positions: list[int]) -> None:
        for incarnation, position in zip(incarnations, positions, strict=True):
            rows = self.outbox.get(incarnation, {})
            for served in [p for p in rows if p <= position]:
                del rows[served]

    def _refer(self, columns: Sequence[Sequence[Any]], fence: set[int]) -> None:
        for namespace, digest, execution_id, partition in zip(*columns, strict=True):
            if partition in fence:
                if (namespace, digest) in self.payloads:
                    self.payloads[namespace, digest].used_at = self.now_us()
                self.references.add((namespace, digest, execution_id))

    def _record(
        self,
        incarnation: int,
        position: int,
        p: Sequence[Any],
        fence: set[int],
        appended: list[tuple[str, int]],
        started: set[str],
    ) -> None:
        epochs = {n: e for n, e in zip(p[2], p[3], strict=True) if n in fence}
        commit = Commit(
            tick=self.tick(),
            at_us=self.now_us(),
            incarnation=incarnation,
            position=position,
            epochs=epochs,
            rows=tuple(appended),
            started=frozenset(started),
        )
        self.commits.append(commit)
        self.told(commit)

    # --- ownership ---

    def register_incarnation(self, address: str, data_dir_id: str) -> int:
        now = self.now_us()
        for one in self.incarnations.values():
            if data_dir_id and one.data_dir_id == data_dir_id and one.lease_until > now:
                one.lease_until = -math.inf
        number = len(self.incarnations) + 1
        self.incarnations[number] = Incarnation(address, data_dir_id, now + LEASE_US)
        return number

    def renew_lease(self, incarnation: int) -> Row:
        # As SQL has it: the answer is what was true before the statement's own update.
        now = self.now_us()
        alive = [
            (number, one.address, int((one.lease_until - now) // 1000))
            for number, one in self.incarnations.items()
            if one.lease_until > now
        ]
        owned = [(n, row.epoch, row.incarnation) for n, row in enumerate(self.partitions)]
        me = self.incarnations.get(incarnation)
        if me is not None:
            me.lease_until = now + LEASE_US
        return {
            "now_us": now,
            "renewed": me is not None,
            "alive": orjson.dumps(alive),
            "partitions": orjson.dumps(owned),
        }

    def end_lease(self, incarnation: int) -> None:
        if incarnation in self.incarnations:
            self.incarnations[incarnation].lease_until = -math.inf

    def _is_free(self, row: Partition) -> bool:
        owner = self.incarnations.get(row.incarnation or 0)
        return owner is None or owner.lease_until < self.now_us()

    def lock_free_partitions(self, partitions_max: int, transaction: object) -> list[Row]:
        free = [
            number
            for number, row in enumerate(self.partitions)
            if self._is_free(row) and row.locked_by is None
        ][:partitions_max]
        for number in free:
            self.partitions[number].locked_by = transaction
        return [{"id": number} for number in free]

    def claim_partitions(self, incarnation: int, locked: list[int]) -> list[Row]:
        rows = []
        for number in locked:
            row = self.partitions[number]
            if self._is_free(row):
                rows.append({"id": number, "epoch": row.epoch + 1, "previous": row.incarnation})
        return rows

    def claimed(self, incarnation: int, rows: Iterable[Row]) -> None:
        """The transaction of a claim commits."""
        for row in rows:
            self.partitions[row["id"]].epoch = row["epoch"]
            self.partitions[row["id"]].incarnation = incarnation

    def unlock(self, transaction: object) -> None:
        for row in self.partitions:
            if row.locked_by is transaction:
                row.locked_by = None

    def hand_over_partition(
        self, partition: int, epoch: int, incarnation: int, receiver: int
    ) -> int | None:
        row = self.partitions[partition]
        if row.epoch != epoch or row.incarnation != incarnation:
            return None
        row.epoch += 1
        row.incarnation = receiver
        return row.epoch

    def raise_epoch(self, partition: int, epoch: int, incarnation: int) -> int | None:
        row = self.partitions[partition]
        if row.incarnation != incarnation:
            return None
        row.epoch = max(row.epoch, epoch) + 1
        return row.epoch

    def release_partitions(self, incarnation: int) -> None:
        for row in self.partitions:
            if row.incarnation == incarnation:
                row.incarnation, row.epoch = None, row.epoch + 1

    # --- the outbox ---

    def position_of(self, incarnation: int) -> int | None:
        one = self.incarnations.get(incarnation)
        return one.position if one is not None else None

    def outbox_row(self, incarnation: int, position: int) -> Row | None:
        row = self.outbox.get(incarnation, {}).get(position)
        return None if row is None else {"execution_ids": row.execution_ids, "seqs": row.seqs}

    def unpublished_incarnations(self, incarnation: int) -> list[Row]:
        return [
            {"incarnation": number, "position": max(rows)}
            for number, rows in sorted(self.outbox.items())
            if number != incarnation and rows
        ]

    def read_outbox(self, incarnation: int, after: int, rows_max: int, bytes_max: int) -> list[Row]:
        rows: list[Row] = []
        size = 0
        outbox = self.outbox.get(incarnation, {})
        for position in sorted(p for p in outbox if p > after)[:rows_max]:
            row = outbox[position]
            found = [
                self._outbox_event(position, row, execution_id, seq)
                for execution_id, seq in zip(row.execution_ids, row.seqs, strict=True)
            ]
            size += sum(len(one["events"] or b"") for one in found)
            if rows and size > bytes_max:
                break
            rows += found or [self._outbox_event(position, row, None, None)]
        return rows

    def _outbox_event(
        self, position: int, row: OutboxRow, execution_id: str | None, seq: int | None
    ) -> Row:
        execution = self.executions.get(execution_id or "", {})
        return {
            "position": position,
            "after": row.after,
            "execution_id": execution_id,
            "seq": seq,
            "events": self.history.get(execution_id or "", {}).get(seq or 0),
            "namespace": execution.get("namespace"),
            "workflow_id": execution.get("workflow_id"),
            "plan_digest": execution.get("plan_digest"),
        }

    # --- reading executions ---

    def execution_rows(self, ids: list[str]) -> list[Row]:
        rows = []
        for execution_id in dict.fromkeys(ids):
            row = self.executions.get(execution_id)
            if row is not None:
                seq, body = self.snapshots.get(execution_id, (None, None))
                day = row["started_at"] // DAY_US
                rows.append({**row, "start_day": day, "snapshot_seq": seq, "snapshot": body})
        return rows

    def history_rows(self, days: list[int], ids: list[str], afters: list[int]) -> list[Row]:
        return [
            {"execution_id": execution_id, "seq": seq, "events": events}
            for execution_id, after in sorted(zip(ids, afters, strict=True))
            for seq, events in sorted(self.history.get(execution_id, {}).items())
            if seq > after
        ]

    def history_days(self) -> list[Row]:
        today = self.now_us() // DAY_US
        return [{"relname": f"history_{day}"} for day in range(today - 3, today + 14)]

    def plan_bodies(self, digests: list[str]) -> list[Row]:
        return [{"digest": d, "body": self.plans[d]} for d in digests if d in self.plans]

    def _open(self, partitions: list[int]) -> Iterable[Row]:
        wanted = set(partitions)
        return (row for row in self.executions.values() if row["partition"] in wanted)

    def ready_lanes(self, partitions: list[int]) -> list[Row]:
        lanes = {
            (-row["priority"], row["namespace"], row["queue"])
            for row in self._open(partitions)
            if row["ready_since"] is not None
        }
        return [{"namespace": n, "queue": q, "priority": -p} for p, n, q in sorted(lanes)]

    def ready_executions(
        self,
        partitions: list[int],
        namespace: str,
        queue: str,
        priority: int,
        further: bool,
        after_since: int,
        after_id: str,
        rows_max: int,
    ) -> list[Row]:
        lane = (namespace, queue, priority)
        found = [
            (row["ready_since"], row["id"])
            for row in self._open(partitions)
            if row["ready_since"] is not None
            and (row["namespace"], row["queue"], row["priority"]) == lane
        ]
        if further:
            wanted = set(partitions)
            found += [
                (row["ready_since"], row["execution_id"])
                for row in self.ready.values()
                if row["partition"] in wanted
                and (row["namespace"], row["queue"], row["priority"]) == lane
            ]
        later = sorted(one for one in found if one > (after_since, after_id))
        return [{"id": i, "ready_since": since} for since, i in later[:rows_max]]

    def due_executions(
        self, partitions: list[int], after: int, until: int, rows_max: int
    ) -> list[Row]:
        due = sorted(
            (row["wake_at"], row["id"])
            for row in self._open(partitions)
            if row["wake_at"] is not None and after < row["wake_at"] <= until
        )
        return [{"id": i, "wake_at": at} for at, i in due[:rows_max]]

    def next_wake(self, partitions: list[int], after: int) -> int | None:
        wakes = (row["wake_at"] for row in self._open(partitions) if row["wake_at"] is not None)
        return min((at for at in wakes if at > after), default=None)

    def started_under(self, namespaces: list[str], request_ids: list[str]) -> list[Row]:
        rows = []
        for key in dict.fromkeys(zip(namespaces, request_ids, strict=True)):
            if key in self.requests:
                row = self.executions[self.requests[key]]
                rows.append({**row, "namespace": key[0], "request_id": key[1]})
        return rows

    def stranded_executions(self, partitions: list[int]) -> list[Row]:
        return [
            {"id": row["id"]}
            for row in self._open(partitions)
            if row["status"] == RUNNING and row["ready_since"] is None and row["wake_at"] is None
        ]

    # --- payloads ---

    def put_payload(
        self, namespace: str, digest: str, encoding: str, size_bytes: int, data: bytes
    ) -> None:
        known = self.payloads.setdefault((namespace, digest), Payload(encoding, data, 0))
        known.used_at = self.now_us()

    def get_payload(self, namespace: str, digest: str) -> Row | None:
        known = self.payloads.get((namespace, digest))
        return None if known is None else {"encoding": known.encoding, "data": known.data}

    def renew_payload(self, namespace: str, digest: str) -> bool | None:
        known = self.payloads.get((namespace, digest))
        if known is None:
            return None
        known.used_at = self.now_us()
        return True

    def collect_payloads(self) -> int:
        referred = {(namespace, digest) for namespace, digest, _ in self.references}
        oldest = self.now_us() - PAYLOAD_KEPT_US
        gone = [
            key
            for key, one in self.payloads.items()
            if one.used_at < oldest and key not in referred
        ]
        for key in gone:
            del self.payloads[key]
        return len(gone)
