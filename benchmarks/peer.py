"""What the faster peers are asked: the workloads that mean the same for them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks.system import Stand
from benchmarks.workloads import FAN_OUTS_PEER, STEPS_W8, Sizes


async def measure_peer(
    stand: Stand,
    system: str,
    workloads: Sequence[str],
    sizes: Sizes,
    *,
    restart: Callable[[], Awaitable[object]],
) -> None:
    """`restart` starts the server again after it was killed."""
    if "W1" in workloads:
        await stand.ask_metered("W1", system, count=sizes.w1_fast_peer)
    questions: dict[str, dict[str, Any]] = {
        "W2": {"count": sizes.w2_fast_peer},
        "W3": {"widths": list(FAN_OUTS_PEER), "repeats": sizes.repeats_peer},
        "W4": {"steps": sizes.w4_steps},
        "W8": {"steps": STEPS_W8, "repeats": sizes.repeats_peer},
    }
    for workload, question in questions.items():
        if workload in workloads:
            await stand.ask(workload, system, **question)
    if "W5" in workloads:
        await stand.recover(system, count=sizes.w5, start=restart)
