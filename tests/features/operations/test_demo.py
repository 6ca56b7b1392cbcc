"""The demo, in a short form, as `make demo` runs it."""

import asyncio
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 170


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S + 10)
async def test_the_demo_ends_well() -> None:
    """Two kills, every check of the proof held, no process left; the exit code says so."""
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / "demo" / "main.py"), "--executions", "80"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.kill()
    told = output.decode()
    assert demo.returncode == 0, told
    assert told.count("kill -9 ") == 2
    assert "every check held" in told
