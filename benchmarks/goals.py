"""The goals of the suite, as functions of the values of one run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Values = Mapping[tuple[str, str, str], float]
Value = Callable[[Values], float | None]

SUITE, STREAM = "flowmesh", "flowmesh-stream"
ROOFLINE, ROOFLINE_STREAM = "roofline", "roofline-stream"
TEMPORAL = "temporal-dev"
DBOS = ("dbos", "dbos-enqueued", "dbos-queued-steps")
RESTATE_CALLS = ("restate-call-ts", "restate-call-py")
RESTATE = (*RESTATE_CALLS, "restate-inline-ts", "restate-inline-py")
RATE, CPU = "workflows_per_s", "cpu_s_per_1000"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal with its bound; `value` returns None if the run did not measure it."""

    name: str
    bound: float
    at_most: bool
    value: Value
    unit: str = ""

    def met(self, value: float) -> bool:
        """Return whether a value reaches the goal."""
        return value <= self.bound if self.at_most else value >= self.bound


def of(workload: str, metric: str, *, system: str = SUITE) -> Value:
    """Return the function that reads a metric."""
    return lambda values: values.get((system, workload, metric))


def best(systems: tuple[str, ...], workload: str, metric: str) -> Value:
    """Return the highest value of the measured peers."""

    def highest(values: Values) -> float | None:
        found = [values[key] for name in systems if (key := (name, workload, metric)) in values]
        return max(found, default=None)

    return highest


def ratio(over: Value, under: Value) -> Value:
    """Return the function that divides two metrics."""

    def quotient(values: Values) -> float | None:
        upper, lower = over(values), under(values)
        return upper / lower if upper is not None and lower else None

    return quotient


def at_least(name: str, bound: float, value: Value, unit: str = "") -> Goal:
    return Goal(name, bound, False, value, unit)


def at_most(name: str, bound: float, value: Value, unit: str = "") -> Goal:
    return Goal(name, bound, True, value, unit)


W1 = of("W1", RATE)
W1S = of("W1s", RATE, system=STREAM)
W1_OF_ROOFLINE = ratio(W1, of("W1", RATE, system=ROOFLINE))
W1S_OF_ROOFLINE = ratio(W1S, of("W1s", RATE, system=ROOFLINE_STREAM))
W1_OF_TEMPORAL = ratio(W1, of("W1", RATE, system=TEMPORAL))
W2_OF_ROOFLINE = ratio(of("W2", "latency_p50_ms"), of("W2", "latency_p50_ms", system=ROOFLINE))
W4_SLOPE = ratio(of("W4", "last_ms"), of("W4", "first_ms"))
W4_MANY_SLOPE = ratio(of("W4-10000", "last_ms"), of("W4-10000", "first_ms"))
W1_CLOSED = ratio(of("closed", "closed_per_s"), of("closed", "open_per_s"))
W1_ENCRYPTED = ratio(of("closed", "encrypted_per_s"), of("closed", "closed_per_s"))

GOALS = (
    at_least("W1, times Temporal's development server", 80, W1_OF_TEMPORAL, "×"),
    at_least("W1, times Restate by calls", 3, ratio(W1, best(RESTATE_CALLS, "W1", RATE)), "×"),
    at_least("W1, times Restate's best row", 1.5, ratio(W1, best(RESTATE, "W1", RATE)), "×"),
    at_least("W1, times DBOS", 8, ratio(W1, best(DBOS, "W1", RATE)), "×"),
    at_least("W1s, times Restate's best row", 2.5, ratio(W1S, best(RESTATE, "W1", RATE)), "×"),
    at_least("W1, share of the roofline", 0.5, W1_OF_ROOFLINE),
    at_least("W1s, share of the roofline", 0.5, W1S_OF_ROOFLINE),
    at_most("W1 CPU seconds per 1,000, all processes", 1.1, of("W1", CPU), "s"),
    at_most("W1s CPU seconds per 1,000, all processes", 0.6, of("W1s", CPU, system=STREAM), "s"),
    at_least("W1 closed, share of open", 0.97, W1_CLOSED),
    at_least("W1 encrypted at rest, share of plain", 0.9, W1_ENCRYPTED),
    at_most("W1 with limits, priorities and joins, CPU", 5, of("W1l", "cpu_overhead_percent"), "%"),
    at_most("W2 p50", 2.8, of("W2", "latency_p50_ms"), "ms"),
    at_most("W2 p99", 7, of("W2", "latency_p99_ms"), "ms"),
    at_most("W3 fan-out of 200", 25, of("W3", "fan_200_ms"), "ms"),
    at_most("W3 fan-out of 1,000", 80, of("W3", "fan_1000_ms"), "ms"),
    at_most("W3 fan-out of 10,000", 800, of("W3", "fan_10000_ms"), "ms"),
    at_most("W3 fan-out of 100,000", 20_000, of("W3", "fan_100000_ms"), "ms"),
    at_least("W4 steps/s", 700, of("W4", "steps_per_s")),
    at_most("W4 last 100 steps ÷ first 100", 1.1, W4_SLOPE, "×"),
    at_most("W4 of 10,000, last 100 steps ÷ first 100", 1.1, W4_MANY_SLOPE, "×"),
    at_most("W5 recovery", 2, of("W5", "recovery_s"), "s"),
    at_most("W5 lost", 0, of("W5", "lost")),
    at_most("W5 steps run twice", 0, of("W5", "repeated")),
    at_least("W6 starts/s by calls", 1_800, of("W6", "starts_per_s")),
    at_least("W6 starts/s by the stream", 4_000, of("W6", "starts_per_s", system=STREAM)),
    at_most("W6 memory per sleeper", 1, of("W6", "kib_per_sleeper"), "KiB"),
    at_most("W6 idle CPU after", 2, of("W6", "idle_cpu_percent"), "%"),
    at_most("W6 of 100,000, memory per sleeper", 1, of("W6-100000", "kib_per_sleeper"), "KiB"),
    at_most("W6 of 100,000, idle CPU after", 2, of("W6-100000", "idle_cpu_percent"), "%"),
    at_most("W7 p50", 3, of("W7", "latency_p50_ms"), "ms"),
    at_most("W7 p99", 8, of("W7", "latency_p99_ms"), "ms"),
    at_most("W8", 0.07, of("W8", "seconds"), "s"),
    at_most("W9 start p50", 4, of("W9", "start_p50_ms"), "ms"),
    at_most("W9 start p99", 12, of("W9", "start_p99_ms"), "ms"),
    at_most("W10 overhead", 5, of("W10", "overhead_percent"), "%"),
    at_most("10,000 timers in a second, early", 0, of("timers", "early")),
    at_most("10,000 timers in a second, drained within", 10, of("timers", "drained_s"), "s"),
    at_most("500 timers/s, p99 late", 200, of("timers-500", "late_p99_ms"), "ms"),
    at_most("validation of 1,000 nodes", 150, of("definitions", "validate_1000_ms"), "ms"),
    at_most("validation of 10,000 nodes", 2_000, of("definitions", "validate_10000_ms"), "ms"),
    at_most("analysis of 10,000 nodes", 50, of("definitions", "analyse_10000_ms"), "ms"),
    at_most("a million rows, four operations", 3, of("definitions", "million_rows_s"), "s"),
    at_most("idle CPU, of one core", 2, of("idle", "idle_cpu_percent"), "%"),
    at_most("idle memory, whole suite, shared pages once", 250, of("idle", "pss_mib"), "MiB"),
    at_most("first start to ready", 3, of("first start", "seconds"), "s"),
    at_most("later start to ready", 1.5, of("later start", "seconds"), "s"),
)
