"""A process that runs a saga and kills itself at a place: ADDRESS SAGA LOG PLACE."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from flowmesh.sdk import NO_EFFECT, Client, Retry, Saga, SagaCall, SagaManager, Step, TaskFailure

LOG, PLACE = Path(), ""
WITHIN_S = 60
OFTEN = Retry(attempts=20, initial="50ms", max="200ms")


def act(name: str, call: SagaCall) -> None:
    """Have an effect once per key, and die before it or after it if this is the place."""
    if f"before {name}" == PLACE:
        os.kill(os.getpid(), signal.SIGKILL)
    done = LOG.read_text().splitlines() if LOG.exists() else []
    if f"{name} {call.key}" not in done:
        with LOG.open("a") as file:
            file.write(f"{name} {call.key}\n")
            file.flush()
            os.fsync(file.fileno())
    if f"after {name}" == PLACE:
        os.kill(os.getpid(), signal.SIGKILL)


def reserve(call: SagaCall) -> None:
    act("reserve", call)


def release(call: SagaCall) -> None:
    act("release", call)


def charge(call: SagaCall) -> None:
    act("charge", call)


def refund(call: SagaCall) -> None:
    act("refund", call)


def ship(call: SagaCall) -> None:
    act("ship", call)
    raise TaskFailure("Refused", "the carrier refuses")


class KilledSaga(Saga):
    steps = (
        Step("reserve", reserve, release, retry=OFTEN),
        Step("charge", charge, refund, retry=OFTEN),
        Step("ship", ship, NO_EFFECT),
    )


async def main(address: str, saga_id: str) -> str:
    async with Client(address) as client, SagaManager(client) as manager:
        handle = await manager.start_saga(KilledSaga(id=saga_id))
        return str((await handle.wait(WITHIN_S)).state)


if __name__ == "__main__":
    LOG, PLACE = Path(sys.argv[3]), "".join(sys.argv[4:])
    print(asyncio.run(main(*sys.argv[1:3])))
