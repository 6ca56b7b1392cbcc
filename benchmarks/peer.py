"""The workloads of the faster peers that are comparable with those of the suite.

This module also runs in the environment of the peers and imports nothing of the suite.
"""

import abc
from functools import partial

from benchmarks.answering import Handlers
from benchmarks.load import Metrics, latencies, median, one_by_one, throughput, warm_seconds
from benchmarks.workloads import IN_FLIGHT

WARM_COUNT = 200
WARM_W2 = 20


class PeerLoad(abc.ABC):
    """A load generator; each peer implements the start and the wait."""

    @abc.abstractmethod
    async def run(self, flow: str, size: int) -> None:
        """Run a "chain" or a "fan" of this size to its completion."""

    async def warm(self, workload: str) -> None:
        del workload
        await throughput(lambda: self.run("chain", 3), WARM_COUNT, IN_FLIGHT)

    async def w1(self, count: int) -> Metrics:
        return await throughput(lambda: self.run("chain", 3), count, IN_FLIGHT)

    async def w2(self, count: int) -> Metrics:
        await one_by_one(lambda: self.run("chain", 1), WARM_W2)
        return latencies(await one_by_one(lambda: self.run("chain", 1), count))

    async def w3(self, widths: list[int], repeats: int) -> Metrics:
        found: Metrics = {}
        for width in widths:
            fan = partial(self.run, "fan", width)
            await fan()
            found[f"fan_{width}_ms"] = median(await one_by_one(fan, repeats))
        return found

    async def w4(self, steps: int) -> Metrics:
        (taken_ms,) = await one_by_one(lambda: self.run("chain", steps), 1)
        return {"steps_per_s": steps / (taken_ms / 1_000)}

    async def w8(self, steps: int, repeats: int) -> Metrics:
        return await warm_seconds(lambda: self.run("chain", steps), repeats)

    def handlers(self) -> Handlers:
        return {
            "warm": self.warm,
            "W1": self.w1,
            "W2": self.w2,
            "W3": self.w3,
            "W4": self.w4,
            "W8": self.w8,
        }
