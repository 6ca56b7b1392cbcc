"""The tables of the schema `orchestrator`, and what the statement of a commit does to them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from flowmesh.orchestrator.model.concurrency_groups import ENDED
from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from flowmesh.orchestrator.storage.statements import PARAMETERS, PARTS
from tests.simulation.checks.history import Commit

_STARTS = (
    "id partition namespace workflow_id workflow_name version plan_digest request_id start_digest"
    " status started_at ended_at wake_at ready_since queue priority"
)
_CHANGES = "id partition status ended_at wake_at ready_since queue priority"
_MESSAGES = "partition id target command execution_id is_start"
_WAITS = "namespace name execution_id partition is_start waits"
_PLACES = (
    "execution_id partition namespace workflow_id key phase place concurrency replaces debounces"
    " answers_until at is_start"
)
_JOINS = "namespace request_id execution_id start_digest partition is_start"
_LANES = "execution_id partition namespace queue priority ready_since is_start"
_VALUES = "execution_id partition namespace name text number is_start"

Row = dict[str, Any]


@dataclass(slots=True)
class Incarnation:
    address: str
    data_dir_id: str
    lease_until: float
    position: int = 0
    workers: list[str] | None = None


@dataclass(slots=True)
class OutboxRow:
    execution_ids: list[str]
    seqs: list[int]
    after: bytes | None
    partitions: list[int]


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


def _holding(fence: set[int], started: set[str]) -> Callable[[Row], bool]:
    """Return a test for rows in owned partitions and of applied starts."""

    def holds(row: Row) -> bool:
        begun = not row["is_start"] or row["execution_id"] in started
        return row["partition"] in fence and begun

    return holds


def _besides(parts: Sequence[str], parameters: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """The parameters of each part; of one that is not there empty columns."""
    found: dict[str, Sequence[Any]] = {name: [()] * width for name, width in PARTS.items()}
    for name in parts:
        found[name], parameters = parameters[: PARTS[name]], parameters[PARTS[name] :]
    return found


def _rows(names: str, columns: Sequence[Sequence[Any]]) -> list[Row]:
    return [dict(zip(names.split(), row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass
class Rows:
    """Rows as a committed transaction sees them, and the statement of a commit."""

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
    messages: dict[tuple[int, str], Row] = field(default_factory=dict)
    waits: set[tuple[str, str, str]] = field(default_factory=set)
    starts: dict[str, Row] = field(default_factory=dict)
    joins: dict[tuple[str, str], Row] = field(default_factory=dict)
    snapshots: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    values: dict[tuple[str, str], Row] = field(default_factory=dict)
    outbox: dict[int, dict[int, OutboxRow]] = field(default_factory=dict)
    payloads: dict[tuple[str, str], Payload] = field(default_factory=dict)
    references: set[tuple[str, str, str]] = field(default_factory=set)
    limits: dict[tuple[str, int, str], Row] = field(default_factory=dict)
    stops: dict[tuple[str, str], Row] = field(default_factory=dict)
    limits_moved: int = 0
    commits: list[Commit] = field(default_factory=list)
    # Records that give a reader of histories the order of events.
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

    def commit(self, parts: Sequence[str], *p: Any) -> Row:
        """`sql/commit.sql` with some parts; `p[n - 1]` is its parameter $n."""
        incarnation, position = p[0], p[1]
        me = self.incarnations.get(incarnation)
        if me is None or me.position != position:
            return self._answer(applied=False)
        fence = self.fence(incarnation, p[2], p[3])
        besides = _besides(parts, p[PARAMETERS:])
        starts = [s for s in _rows(_STARTS, besides["starts"][2:]) if s["partition"] in fence]
        lanes = _rows(_LANES, besides["lanes_and_values"][:7])
        self._check(starts, fence, p[4:10], lanes)
        me.position += 1
        if fence:
            for digest, body in zip(*besides["starts"][:2], strict=True):
                self.plans.setdefault(digest, body)
        started = self._start(starts)
        for change in _rows(_CHANGES, besides["changes"]):
            if change["partition"] in fence and change["id"] in self.executions:
                self.executions[change["id"]].update(change)
        self._lanes(lanes, fence, started)
        self._values(_rows(_VALUES, besides["lanes_and_values"][7:]), fence, started)
        appended = self._append(p[4:10], fence, started)
        self.outbox.setdefault(incarnation, {})[position + 1] = OutboxRow(
            [i for i, _ in appended], [seq for _, seq in appended], p[10], sorted(fence)
        )
        self._serve(*besides["served"])
        self._refer(besides["payloads"][:5], fence, started)
        for execution_id, seq, body, partition, is_start in zip(
            *besides["payloads"][5:], strict=True
        ):
            if partition in fence and (not is_start or execution_id in started):
                self.snapshots[execution_id] = (seq, body)
        self._tell(besides["messages"], fence, started)
        self._begin(besides["group_entries"], fence, started)
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
        self,
        starts: list[Row],
        fence: set[int],
        history: Sequence[Any],
        lanes: list[Row],
    ) -> None:
        """Raises what a broken constraint raises, before anything has changed."""
        if any(s["id"] in self.executions for s in starts):
            raise asyncpg.UniqueViolationError("executions_pkey")
        taken = {
            s["id"]
            for s in starts
            if s["request_id"] and (s["namespace"], s["request_id"]) in self.requests
        }
        for _, execution_id, seq, _, partition, is_start in zip(*history, strict=True):
            if partition not in fence or (is_start and execution_id in taken):
                continue
            if seq in self.history.get(execution_id, ()):
                raise asyncpg.UniqueViolationError("history_pkey")
        for lane in lanes:
            if lane["partition"] not in fence or lane["ready_since"] is None:
                continue
            key = (lane["execution_id"], lane["queue"], lane["priority"])
            if not (lane["is_start"] and key[0] in taken) and key in self.ready:
                raise asyncpg.UniqueViolationError("ready_pkey")

    def _start(self, starts: list[Row]) -> set[str]:
        started = set()
        for start in sorted(starts, key=lambda s: (s["namespace"], s["request_id"])):
            key = (start["namespace"], start["request_id"])
            if start["request_id"] and key in self.requests:
                continue
            self.executions[start["id"]] = {**start, "request_id": start["request_id"] or None}
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

    def _values(self, values: list[Row], fence: set[int], started: set[str]) -> None:
        for value in values:
            key = (value["execution_id"], value["name"])
            if value["partition"] not in fence:
                continue
            if value["text"] is None and value["number"] is None:
                self.values.pop(key, None)
            elif not value["is_start"] or value["execution_id"] in started:
                self.values[key] = value

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

    def _refer(self, columns: Sequence[Sequence[Any]], fence: set[int], started: set[str]) -> None:
        for namespace, digest, execution_id, partition, is_start in zip(*columns, strict=True):
            if partition not in fence:
                continue
            if (namespace, digest) in self.payloads:
                self.payloads[namespace, digest].used_at = self.now_us()
            if not is_start or execution_id in started:
                self.references.add((namespace, digest, execution_id))

    def _tell(self, p: Sequence[Any], fence: set[int], started: set[str]) -> None:
        """`sql/messages.sql`."""
        holds = _holding(fence, started)
        # Parts of one statement do not see each other's rows: what is deleted was there before.
        answered = [key for key in zip(*p[6:8], strict=True) if key[0] in fence]
        for key in answered:
            self.messages.pop(key, None)
        for message in filter(holds, _rows(_MESSAGES, p[0:6])):
            self.messages[message["partition"], message["id"]] = message
        for wait in _rows(_WAITS, p[8:14]):
            key = (wait["namespace"], wait["name"], wait["execution_id"])
            if wait["waits"] and holds(wait):
                self.waits.add(key)
            elif not wait["waits"] and wait["partition"] in fence:
                self.waits.discard(key)

    def _begin(self, p: Sequence[Any], fence: set[int], started: set[str]) -> None:
        """`sql/group_entries.sql`."""
        holds = _holding(fence, started)
        for place in filter(holds, _rows(_PLACES, p[:13])):
            self._place(place)
        for join in filter(holds, _rows(_JOINS, p[13:])):
            self.joins.setdefault((join["namespace"], join["request_id"]), join)

    def _place(self, place: Row) -> None:
        execution_id = place["execution_id"]
        row = place if place["is_start"] else self.starts.get(execution_id)
        if row is None:
            return
        if place["phase"] < ENDED or row["answers_until"] > place["at"]:
            self.starts[execution_id] = row | {"phase": place["phase"]}
        else:
            self.starts.pop(execution_id, None)

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
