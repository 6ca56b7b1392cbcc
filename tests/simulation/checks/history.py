"""The records of a run, in the form that the invariants read. Data only.

`tick` orders everything that was recorded by one observer; records of a run on real servers, where
the whole order is unknown, have 0.
"""

from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """The outcome of a call as its client knows it: `UNKNOWN` may have happened or not."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client as it saw it. `content` tells other content under the same key."""

    kind: str
    request_id: str
    outcome: Outcome
    execution_id: str = ""
    reason: str = ""
    content: str = ""
    begun_us: int = 0
    ended_us: int = 0
    tick: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that the database applied: the epochs it was held to, the rows it inserted."""

    at_us: int
    incarnation: int
    position: int
    epochs: dict[int, int]
    rows: tuple[tuple[str, int], ...]
    started: frozenset[str]
    tick: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """One task that reached a worker: what the outside world saw of it."""

    execution_id: str
    node: str
    attempt: int
    key: str
    worker: str
    at_us: int
    tick: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events of one execution as a durable subscriber stored them, in the order it did."""

    execution_id: str
    first_sequence: int
    events: bytes


@dataclass(slots=True)
class Stored:
    """One execution as its rows say. `rows` maps first sequences to encoded events."""

    execution_id: str
    namespace: str
    request_id: str
    partition: int
    status: int
    wake_at_us: int
    plan: bytes
    rows: dict[int, bytes]
    # Encoded states of it: the snapshot, and the memory of its owner.
    states: list[bytes] = field(default_factory=list)
    # Its search values: text or number by name; None if not recorded.
    values: dict[str, tuple[str | None, float | None]] | None = None


@dataclass(slots=True)
class Record:
    """Everything that is known of a run. What was not recorded is left empty."""

    calls: list[Call] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    executions: dict[str, Stored] = field(default_factory=dict)
    # Durable subscribers by name.
    deliveries: dict[str, list[Delivery]] = field(default_factory=dict)
    # True if nothing was broken in the run, so that nothing may be repeated.
    calm: bool = False
    # True if everything ended within its time.
    settled: bool = False
