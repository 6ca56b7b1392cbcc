"""The size of a deployment for a load, from the measured costs of a workflow.

`costs.json` is written by `python -m benchmarks.scale.costs`: what a workflow, a step and a byte
of payload cost on the machine that it names. All formulae of `flowmesh size` are here.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

MS_PER_S = 1_000
CORES_OF_A_PROCESS = 1.0
"""A process of Python uses one core."""

BUSY_SHARE = 0.6
"""The share of a core that is planned for; the rest is for peaks and recovery."""

WAL_BYTES_PER_S_MAX = 50 << 20
"""Log that one PostgreSQL with a synchronous standby writes without becoming the limit."""

STORED_BYTES_MAX = 1 << 40
"""Rows above which vacuum and backups of one database take hours."""

ENDS = 2
"""Values that are recorded beside those of steps: the input and the output of the workflow."""

Step = Literal["one process", "more processes", "strong stores", "archive or more databases"]


class Cost(msgspec.Struct, frozen=True):
    """CPU time, log, commits, rows and bus of one unit."""

    cpu_ms: float = 0.0
    wal_bytes: float = 0.0
    commits: float = 0.0
    stored_bytes: float = 0.0
    bus_bytes: float = 0.0


class Machine(msgspec.Struct, frozen=True):
    """The machine of the measurement."""

    cores: int
    python: str
    load_1m: float


class Costs(msgspec.Struct, frozen=True):
    """Measured costs."""

    commit: str
    at: str
    machine: Machine
    workflow: Cost
    step: Cost
    payload_byte: Cost
    sleeper: Cost


@dataclass(frozen=True, slots=True)
class Load:
    """A load: executions that are started, their size, and how long they are kept."""

    starts_per_second: float
    steps: int
    payload_bytes: int
    retention_s: float
    sleeping: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """The resources for a load. `stored_bytes` are tables and indexes after a whole retention."""

    step: Step
    cores: float
    processes: int
    commits_per_second: float
    wal_bytes_per_second: float
    bus_bytes_per_second: float
    stored_bytes_per_workflow: float
    stored_bytes: float


@cache
def measured_costs() -> Costs:
    """Return the costs that this version was measured with."""
    text = files("flowmesh.cli.operations").joinpath("costs.json").read_bytes()
    return msgspec.json.decode(text, type=Costs)


def copies_of_payload(steps: int) -> int:
    """Return how often a workflow records a payload that its steps pass on."""
    return steps + ENDS


def cost_of(costs: Costs, steps: int, payload_bytes: int) -> Cost:
    """Return the cost of a workflow of sequential steps that pass a payload on."""
    recorded = payload_bytes * copies_of_payload(steps)

    def total(name: str) -> float:
        base, step, byte = (
            float(getattr(part, name)) for part in (costs.workflow, costs.step, costs.payload_byte)
        )
        return base + steps * step + recorded * byte

    return Cost(**{name: total(name) for name in Cost.__struct_fields__})


def size_of(costs: Costs, load: Load) -> Size:
    """Return what a load needs."""
    cost = cost_of(costs, load.steps, load.payload_bytes)
    rate = load.starts_per_second
    kept = rate * load.retention_s * cost.stored_bytes
    stored = kept + load.sleeping * costs.sleeper.stored_bytes
    cores = rate * cost.cpu_ms / MS_PER_S / BUSY_SHARE
    wal = rate * cost.wal_bytes
    return Size(
        step=_step(cores, wal, stored),
        cores=cores,
        processes=max(-int(-cores // CORES_OF_A_PROCESS), 1),
        commits_per_second=rate * cost.commits,
        wal_bytes_per_second=wal,
        bus_bytes_per_second=rate * cost.bus_bytes,
        stored_bytes_per_workflow=cost.stored_bytes,
        stored_bytes=stored,
    )


def _step(cores: float, wal_bytes_per_second: float, stored_bytes: float) -> Step:
    if stored_bytes > STORED_BYTES_MAX:
        return "archive or more databases"
    if wal_bytes_per_second > WAL_BYTES_PER_S_MAX / 2:
        return "strong stores"
    return "more processes" if cores > CORES_OF_A_PROCESS else "one process"
