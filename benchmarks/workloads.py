"""The workloads of a run and their sizes.

A payload is a JSON object of about 100 bytes. A step does nothing and runs in a separate worker
process. The load generator is a separate process too.
"""

from dataclasses import dataclass

WORKLOADS = {
    "start": "spawn to ready: the first start of a data directory, and a later one",
    "idle": "CPU and memory of the suite and its servers while nothing happens",
    "W1": "workflows of 3 sequential steps, 200 in flight",
    "W1s": "the same over the client's session stream",
    "W1b": "the same with steps that the worker service runs itself",
    "W1l": "W1 with limits, priorities and joins that delay nothing, alternating with W1",
    "W2": "workflows of 1 step, one at a time",
    "W3": "one workflow: a fan-out of n steps and a join",
    "W4": "one workflow of 1,000 sequential steps",
    "W5": "kill -9 of the servers in the middle of 200 workflows, restart at once",
    "W6": "starts of workflows that sleep an hour",
    "W7": "step's end to event received, by a subscriber of 40-step workflows",
    "W8": "one workflow of 40 sequential steps",
    "W4d": "one durable handler of 1,000 steps",
    "W8d": "one durable handler of 40 steps",
    "W4r": "W4 with repeatable steps",
    "W8r": "W8 with repeatable steps",
    "W4dr": "W4d with repeatable steps",
    "W8dr": "W8d with repeatable steps",
    "W10": "workflows of 5 steps of 100 ms, 200 in flight: the overhead of orchestration",
    "W4-10000": "one workflow of 10,000 sequential steps",
    "W6-100000": "100,000 sleeping executions",
    "W9": "500 starts/s of W1, an open loop",
    "timers": "10,000 timers due in one second",
    "timers-500": "500 timers due in each of ten seconds",
    "payloads": "a step that returns its input of 1 KiB, 64 KiB, 1 MiB, 16 MiB",
    "definitions": "validation of 1,000 and 10,000 nodes, analysis of 20,000 edges, a million rows",
    "processes": "W1 and W1s with one and with two orchestrator processes",
    "closed": "W1 of a closed installation, alternating with an open and an encrypted one",
}
ONCE = (
    "W4-10000",
    "W6-100000",
    "W9",
    "timers",
    "timers-500",
    "payloads",
    "processes",
    "closed",
    "definitions",
)
"""Workloads of the first round only: they take long, and no ratio depends on them."""

CHAIN, REPEATED = "chain", "repeated"
"""The names of workflows of sequential steps, and of repeatable ones, less their number."""

PAYLOAD = {"customer": "c-1042", "note": "v" * 70}
IN_FLIGHT = 200
MAP_ITEMS = 100_000
"""A fan-out above the node limit of a graph: a map over a list, `MAP_AT_ONCE` at a time."""

MAP_AT_ONCE = 1_000
FAN_OUTS = (200, 1_000, 10_000, MAP_ITEMS)
FAN_OUTS_PEER = (200, 1_000)
FAN_OUT_ONCE = 10_000
"""From this width, a fan-out runs once, after a smaller one as warm-up."""
TURNS = 20
"""The number of alternations of W1 and W1l, so that a drift of speed affects both equally."""
STEPS_W8 = 40
EDGE_STEPS = 100
"""The number of first and last steps whose means W4 compares."""

OPEN_LOOP_PER_S = 500
WORK_MS = 100
STEPS_W10 = 5
RECORDED_MS = 200
STEPS_W5 = 3
KILL_AFTER_S = 0.3
"""At this time the first of three steps has ended and the second runs."""
RECOVERED_WITHIN_S = 60.0
"""An execution without a result after this time counts as lost."""
TIMERS_WITHIN_S = 1.0
TIMERS_STEADY_S = 10.0
PAYLOAD_BYTES = (1 << 10, 64 << 10, 1 << 20, 16 << 20)

PATIENCE_S = 5.0
"""The maximum wait of a measurement for a quiet machine."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of workloads. A slow peer has smaller ones, so that it takes as long."""

    workloads: tuple[str, ...]
    w1: int = 6_000
    w1_stream: int = 10_000
    w1_builtin: int = 6_000
    w2: int = 500
    w4_steps: int = 1_000
    w4_many_steps: int = 10_000
    w5: int = 200
    w9_s: float = 60.0
    w10: int = 1_600
    fan_outs: tuple[int, ...] = FAN_OUTS
    repeats: int = 5
    """The repetitions of W3 and W8, of which the median counts."""
    sleepers: int = 4_000
    many_sleepers: int = 100_000
    timers: int = 10_000
    idle_s: float = 8.0
    w1_peer: int = 400
    w2_peer: int = 50
    w4_steps_peer: int = 200
    w1_fast_peer: int = 1_500
    w2_fast_peer: int = 200
    repeats_peer: int = 3
    patience_s: float = PATIENCE_S


FULL = Sizes(workloads=tuple(WORKLOADS))
QUICK = Sizes(
    workloads=("W1", "W1s", "W2"), w1=4_000, w1_stream=6_000, w2=300, w1_peer=200, w2_peer=20
)
