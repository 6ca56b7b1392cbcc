"""A network in which every address is this machine: whatever is asked for, a canary answers.

Runs in a network namespace of its own (`unshare --net`), so no real address is ever reached. Takes
the hosts to try as JSON on standard input and answers what became of each, as JSON.
"""

import asyncio
import json
import subprocess
import sys

from flowmesh.egress import OPEN, PUBLIC, Egress, EgressBlocked, RequestInvalid
from tests.integration.egress.test_guard import Canary

ALL_IS_HERE = (
    ("link", "set", "lo", "up"),
    ("route", "add", "local", "0.0.0.0/0", "dev", "lo"),
    ("-6", "route", "add", "local", "::/0", "dev", "lo"),
)
INNER = ("169.254.169.254", "10.0.0.5", "[fd00:ec2::254]")
TIMEOUT_MS = 2_000


async def main(hosts: list[str]) -> dict[str, object]:
    async with Canary("0.0.0.0", "::") as canary:
        async with Egress(PUBLIC) as guarded:
            outcomes = {host: await tried(guarded, canary, host) for host in hosts}
        reached = canary.connections
        async with Egress(OPEN) as unguarded:
            for host in INNER:
                await tried(unguarded, canary, host)
    control = canary.connections - reached
    return {"outcomes": outcomes, "reached": reached, "asked": len(INNER), "control": control}


async def tried(client: Egress, canary: Canary, host: str) -> str:
    try:
        await client.send("GET", f"http://{host}:{canary.port}/", headers={}, timeout_ms=TIMEOUT_MS)
    except (EgressBlocked, RequestInvalid) as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001 (what it is, the test judges)
        return f"{type(error).__name__}: {error}"
    return "answered"


if __name__ == "__main__":
    for words in ALL_IS_HERE:
        subprocess.run(("ip", *words), check=True)
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
