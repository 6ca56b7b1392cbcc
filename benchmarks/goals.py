"""The goals of the first mark, as functions of what was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Values = Mapping[tuple[str, str, str], float]
SUITE = "flowmesh"


@dataclass(frozen=True, slots=True)
class Goal:
    """`value` is None where the run did not measure what it needs."""

    name: str
    bound: float
    at_most: bool
    value: Callable[[Values], float | None]
    unit: str = ""

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


def _of(workload: str, metric: str) -> Callable[[Values], float | None]:
    return lambda values: values.get((SUITE, workload, metric))


def _ratio(
    over: tuple[str, str, str], under: tuple[str, str, str]
) -> Callable[[Values], float | None]:
    def ratio(values: Values) -> float | None:
        if over not in values or not values.get(under):
            return None
        return values[over] / values[under]

    return ratio


def _least(name: str, bound: float, workload: str, metric: str, unit: str = "") -> Goal:
    return Goal(name, bound, False, _of(workload, metric), unit)


def _most(name: str, bound: float, workload: str, metric: str, unit: str = "") -> Goal:
    return Goal(name, bound, True, _of(workload, metric), unit)


RATE = "workflows_per_s"
W1_RATIO = _ratio((SUITE, "W1", RATE), ("temporal-dev", "W1", RATE))
W4_RATIO = _ratio((SUITE, "W4", "last_ms"), (SUITE, "W4", "first_ms"))

FIRST_MARK = (
    Goal("W1, times Temporal's development server", 25, False, W1_RATIO, "×"),
    _most("W1 CPU seconds per 1,000, all processes", 4, "W1", "cpu_s_per_1000", "s"),
    _most("W2 p50", 6, "W2", "latency_p50_ms", "ms"),
    _most("W2 p99", 20, "W2", "latency_p99_ms", "ms"),
    _most("W3 fan-out of 200", 100, "W3", "fan_200_ms", "ms"),
    _most("W3 fan-out of 1,000", 500, "W3", "fan_1000_ms", "ms"),
    _least("W4 steps/s", 300, "W4", "steps_per_s"),
    Goal("W4 last 100 steps ÷ first 100", 1.3, True, W4_RATIO, "×"),
    _least("W6 starts/s by calls", 700, "W6", "starts_per_s"),
    _most("W6 memory per sleeper", 8, "W6", "kib_per_sleeper", "KiB"),
    _most("W6 idle CPU after", 5, "W6", "idle_cpu_percent", "%"),
    _most("W7 p50", 8, "W7", "latency_p50_ms", "ms"),
    _most("W7 p99", 20, "W7", "latency_p99_ms", "ms"),
    _most("W8", 0.2, "W8", "seconds", "s"),
    _most("idle CPU, of one core", 5, "idle", "idle_cpu_percent", "%"),
    _most("idle memory, whole suite", 350, "idle", "rss_mib", "MiB"),
    _most("first start to ready", 5, "first start", "seconds", "s"),
    _most("later start to ready", 3, "later start", "seconds", "s"),
)
