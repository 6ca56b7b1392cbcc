"""What is measured and how much of it: the workloads of one run, for each system.

A payload is a JSON object of about 100 bytes. A step does nothing, in a worker process of its
own. The load generator is a process of its own too.
"""

from dataclasses import dataclass

WORKLOADS = {
    "start": "spawn to ready: the first start of a data directory, and a later one",
    "idle": "CPU and memory of the suite and its servers while nothing happens",
    "W1": "workflows of 3 sequential steps, 200 in flight",
    "W1s": "the same over the client's session stream",
    "W2": "workflows of 1 step, one at a time",
    "W3": "one workflow: a fan-out of n steps and a join",
    "W4": "one workflow of many sequential steps",
    "W6": "starts of workflows that sleep an hour",
    "W7": "step's end to event received, by a subscriber of 40-step workflows",
    "W8": "one workflow of 40 sequential steps",
}
PAYLOAD = {"customer": "c-1042", "note": "v" * 70}
IN_FLIGHT = 200
FAN_OUTS = (200, 1_000)
STEPS_W8 = 40
EDGE_STEPS = 100
"""W4 compares the mean of so many steps at its beginning and at its end."""

PATIENCE_S = 5.0
"""How long a measurement waits for other processes to leave the machine alone."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many of each. A peer that is slow gets fewer, so that it takes as long, not longer."""

    workloads: tuple[str, ...]
    w1: int = 6_000
    w1_stream: int = 10_000
    w2: int = 500
    w4_steps: int = 1_000
    fan_outs: tuple[int, ...] = FAN_OUTS
    repeats: int = 5
    """Of W3 and W8; the median counts."""
    sleepers: int = 4_000
    idle_s: float = 8.0
    w1_peer: int = 400
    w2_peer: int = 50
    w4_steps_peer: int = 200
    patience_s: float = PATIENCE_S


FULL = Sizes(workloads=tuple(WORKLOADS))
QUICK = Sizes(workloads=("W1", "W1s", "W2"), w1=4_000, w1_stream=6_000, w1_peer=300, w2_peer=30)
