"""The effects of the statements of `sql/queries.sql` on the tables. No time passes here.

With `commit_sql.py` the one place that says in Python what the orchestrator says in SQL; a test
runs the same statements on a real database and compares (`test_tables.py`).
"""

import math
from collections.abc import Iterable

import orjson

from flowmesh.orchestrator.model.concurrency_groups import ENDED as LAST_PHASE
from flowmesh.orchestrator.storage.batch import DAY_US
from tests.simulation.servers.commit_sql import Incarnation, OutboxRow, Partition, Payload, Row
from tests.simulation.servers.limit_tables import LimitTables

RUNNING = 2
PAYLOAD_KEPT_US = DAY_US


class Tables(LimitTables):
    """Every method is one statement."""

    # --- ownership ---

    def register_incarnation(self, address: str, data_dir_id: str, lease_ms: int) -> int:
        now = self.now_us()
        for one in self.incarnations.values():
            if data_dir_id and one.data_dir_id == data_dir_id and one.lease_until > now:
                one.lease_until = -math.inf
        number = len(self.incarnations) + 1
        lease_until = now + lease_ms * 1_000
        self.incarnations[number] = Incarnation(address, data_dir_id, lease_until)
        return number

    def renew_lease(self, incarnation: int, lease_ms: int) -> Row:
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
            me.lease_until = now + lease_ms * 1_000
        return {
            "now_us": now,
            "renewed": me is not None,
            "alive": orjson.dumps(alive),
            "partitions": orjson.dumps(owned),
            "limits_version": self.limits_moved,
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
                before = self.incarnations.get(row.incarnation or 0)
                rows.append(
                    {
                        "id": number,
                        "epoch": row.epoch + 1,
                        "previous": row.incarnation,
                        "workers": before.workers if before is not None else None,
                    }
                )
        return rows

    def note_workers(self, incarnation: int, workers: list[str] | None) -> None:
        now, owners = self.now_us(), {row.incarnation for row in self.partitions}
        for number, one in self.incarnations.items():
            if one.lease_until < now and number not in owners:
                one.workers = None
        if incarnation in self.incarnations:
            self.incarnations[incarnation].workers = workers

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
        if row is None:
            return None
        return {"execution_ids": row.execution_ids, "partitions": row.partitions}

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
        return [
            {"relname": f"history_{day}", "attached": True, "pending": False, "today": today}
            for day in range(today - 3, today + 14)
        ]

    def plan_bodies(self, digests: list[str]) -> list[Row]:
        return [{"digest": d, "body": self.plans[d]} for d in digests if d in self.plans]

    def _open(self, partitions: list[int]) -> Iterable[Row]:
        wanted = set(partitions)
        return (row for row in self.executions.values() if row["partition"] in wanted)

    def ready_lanes(self, partitions: list[int]) -> list[Row]:
        wanted = set(partitions)
        further = (row for row in self.ready.values() if row["partition"] in wanted)
        first = (row for row in self._open(partitions) if row["ready_since"] is not None)
        lanes = {(-r["priority"], r["namespace"], r["queue"]) for r in (*first, *further)}
        return [{"namespace": n, "queue": q, "priority": -p} for p, n, q in sorted(lanes)]

    def ready_executions(
        self,
        partitions: list[int],
        namespace: str,
        queue: str,
        priority: int,
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
        self, partitions: list[int], after: int, after_id: str, until: int, rows_max: int
    ) -> list[Row]:
        due = sorted(
            (row["wake_at"], row["id"])
            for row in self._open(partitions)
            if row["wake_at"] is not None and row["wake_at"] <= until
            if (row["wake_at"], row["id"]) > (after, after_id)
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
            if key in self.joins:
                rows.append({**self.joins[key], "id": self.joins[key]["execution_id"]})
        return rows

    def starts_of(self, partitions: list[int], now_us: int) -> list[Row]:
        return [
            row
            for row in self.starts.values()
            if row["partition"] in partitions
            and (row["phase"] < LAST_PHASE or row["answers_until"] > now_us)
        ]

    def stranded_executions(self, partitions: list[int]) -> list[Row]:
        return [
            {"id": row["id"]}
            for row in self._open(partitions)
            if row["status"] == RUNNING and row["ready_since"] is None and row["wake_at"] is None
        ]

    # --- between executions ---

    def pending_messages(self, partitions: list[int], rows_max: int) -> list[Row]:
        found = [row for key, row in sorted(self.messages.items()) if key[0] in set(partitions)]
        return [
            {name: row[name] for name in ("partition", "id", "target", "command")}
            for row in found[:rows_max]
        ]

    def pending_outward(self, partitions: list[int], rows_max: int, each_max: int) -> list[Row]:
        """Return nothing: no plan of the simulation names another project."""
        return []

    def linked_under(self, namespace: str, request_id: str) -> Row | None:
        execution_id = self.requests.get((namespace, request_id))
        if execution_id is None:
            return None
        row = self.executions[execution_id]
        return {"id": row["id"], "workflow_version": row["version"], "status": row["status"]}

    def last_run(self, namespace: str, execution_id: str, runs_max: int) -> Row | None:
        last = None
        for _ in range(runs_max):
            run = self.requests.get((namespace, f"{last or execution_id}/next"))
            if run is None:
                break
            last = run
        return {"id": last} if last else None

    def waiting_under(self, namespace: str, signal: str, rows_max: int) -> list[Row]:
        found = sorted(i for space, key, i in self.waits if (space, key) == (namespace, signal))
        return [{"execution_id": one} for one in found[:rows_max]]

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
