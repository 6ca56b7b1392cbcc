"""Servers that are frozen: their connections stay open, and nothing is answered."""

import signal

import psutil
import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

# A check takes a second at most, and its result is valid for another one.
PATIENCE_S = 15


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@pytest.mark.long
@pytest.mark.feature("S4-82")
@pytest.mark.parametrize("server", ["nats", "postgres", "redis"])
async def test_a_frozen_server_makes_the_process_not_ready(victim: Suite, server: str) -> None:
    """`/ready` names it within seconds, and recovers with it; `/livez` does not change."""

    async def ready() -> bool:
        return (await victim.get("/ready")).status == 200

    async def named() -> bool:
        answer = await victim.get("/ready")
        checks = answer.json["checks"]
        failed = {name.partition(".")[0] for name, result in checks.items() if result != "ok"}
        return answer.status == 503 and failed == {server}

    await until("ready", ready, within_s=PATIENCE_S)
    frozen = family(victim.pids[server])
    try:
        for process in frozen:
            process.send_signal(signal.SIGSTOP)
        await until(f"not ready without {server}", named, within_s=PATIENCE_S)
        assert (await victim.get("/livez")).status == 200
    finally:
        for process in frozen:
            process.send_signal(signal.SIGCONT)
    await until("ready again", ready, within_s=PATIENCE_S)
