"""Ctrl-C stops a worker program, a KeyboardInterrupt of a handler does not."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.unit.sdk.stand_ins import StandIn
from tests.unit.sdk.worker.test_worker import error_class, output

PROGRAM = str(Path(__file__).with_name("interrupted.py"))


@asynccontextmanager
async def program(server: StandIn, how: str) -> AsyncIterator[Process]:
    """The worker program, connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, server.address, how, stdout=PIPE
    )
    try:
        await server.workers.until(lambda: bool(server.workers.hellos))
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def interrupted(process: Process) -> None:
    """Returns when Ctrl-C has ended the program."""
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(10):
        await process.wait()


@pytest.mark.parametrize("how", ["run", "beside"])
async def test_a_handler_that_raises_it_fails_and_ctrl_c_stops_the_program(
    server: StandIn, how: str
) -> None:
    """The worker serves the next task after each; the program ends when it is asked to."""
    async with program(server, how) as process:
        for token in ("raises", "raises-in-a-thread"):
            server.workers.task(token, token)
            assert error_class(await server.workers.result(token)) == "KeyboardInterrupt"
        server.workers.task("echo", "echo", 7)
        assert output(await server.workers.result("echo")) == 7
        await interrupted(process)


async def test_ctrl_c_in_a_handler_stops_a_program_without_a_runner(server: StandIn) -> None:
    """Python raises KeyboardInterrupt in the running code, here in the handler."""
    async with program(server, "bare loop") as process:
        server.workers.task("t", "spins")
        assert process.stdout is not None
        assert await process.stdout.readline() == b"spins\n"
        await interrupted(process)
