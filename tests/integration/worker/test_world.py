"""The HTTP world of the tests itself."""

import asyncio
import sys
from pathlib import Path

from flowmesh.egress import OPEN, Egress
from flowmesh.testing.world import World, read_effects


async def post(client: Egress, url: str, key: str = "k") -> int:
    headers = {"Idempotency-Key": key}
    answer = await client.send("POST", url, headers=headers, body=b"{}", timeout_ms=5_000)
    return answer.status


async def test_scripts_are_used_up_in_order() -> None:
    """`times` counts; what has none stays."""
    async with World() as world, Egress(OPEN) as client:
        world.answers("charge", status=503, times=2)
        world.answers("charge", status=402)
        statuses = [await post(client, world.url("charge")) for _ in range(4)]
        assert statuses == [503, 503, 402, 402]
        assert [call.key for call in world.calls("charge")] == ["k"] * 4


async def test_failures_repeat_with_their_seed() -> None:
    """The same seed fails the same calls."""
    runs = []
    for _ in range(2):
        async with World(failure_rate=0.5, seed=7) as world, Egress(OPEN) as client:
            runs.append([await post(client, world.url("a")) for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


async def test_effects_are_written_once_per_key(tmp_path: Path) -> None:
    """A process of its own: every call is on disk, a repeat marked, also after a kill."""
    effects = tmp_path / "effects"
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "flowmesh.testing.world", "--effects", str(effects),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().strip()
        async with Egress(OPEN) as client:
            assert await post(client, f"{address}/charge", "k1") == 200
        process.kill()
        await process.wait()
    lines = [(e["route"], e["key"], e["applied"]) for e in read_effects(effects)]
    assert lines == [("charge", "k1", True), ("charge", "k1", False)]
