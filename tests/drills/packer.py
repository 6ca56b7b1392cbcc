"""A remote worker as a process of its own: packs boxes by calling the receiver. Killed by tests.

python -m tests.drills.packer ADDRESS WORKER_ID
"""

import asyncio
import sys

import aiohttp

from flowmesh.sdk import TaskContext, TaskFailure, Worker

ACTION = "pack"
SLOTS = 120
TRIES = aiohttp.ClientTimeout(total=30.0)
READY = "packing"


async def main(address: str, worker_id: str) -> None:
    """Serves until it is killed."""
    async with aiohttp.ClientSession(
        timeout=TRIES, connector=aiohttp.TCPConnector(limit=SLOTS)
    ) as http:

        async def pack(params: dict[str, str], context: TaskContext) -> object:
            context.heartbeat()
            headers = {"Idempotency-Key": context.idempotency_key}
            body = {"order": int(params["order"])}
            async with http.post(params["url"], json=body, headers=headers) as answer:
                if answer.status >= 500:
                    raise TaskFailure("ServerError", f"the receiver answered {answer.status}")
                return await answer.json()

        async with Worker(address, {ACTION: pack}, slots=SLOTS, worker_id=worker_id):
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
