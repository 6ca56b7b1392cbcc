"""The pictures of the README, taken in a browser from a real run: `make console-pictures`.

`python -m tests.console.pictures pages` takes all pages instead, to be looked at.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import aiohttp

from flowmesh.sdk import Client, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.console.calls import called
from tests.console.records import seed_records
from tests.console.seeds import HANDLERS, Seeded, seed
from tools import console

# Each execution with a status that it reaches and keeps.
SETTLED = {"completed": "completed", "failed": "failed", "parent": "completed", "map": "completed"}


async def main() -> None:
    """Seed a suite, wait until its executions have settled, and run the browser."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Suite(Path(folder) / "data") as suite,
            aiohttp.ClientSession() as http,
            Client(suite.grpc_address) as client,
            Worker(client, HANDLERS),
            called(client),
        ):
            seeded = Seeded(suite.http_url, http)
            await seed(seeded)
            await seed_records(seeded)
            for name, status in SETTLED.items():
                settled = partial(_has, seeded, name, status)
                await until(f"{name}: {status}", settled, within_s=30)
            environ = {"FLOWMESH_URL": suite.http_url, "SEEDED": json.dumps(seeded.ids)}
            code = await asyncio.to_thread(_taken, environ)
    sys.exit(code)


async def _has(seeded: Seeded, name: str, status: str) -> bool:
    found = await seeded.get(f"/api/v1/executions/{seeded.ids[name]}")
    return bool(found["status"] == status)


def _taken(environ: dict[str, str]) -> int:
    console.install()
    taken = subprocess.run(
        ["npx", "playwright", "test", "-c", "pictures.config.ts", *(sys.argv[1:] or ["readme"])],
        cwd=console.SOURCE,
        env=console.environment() | environ,
        check=False,
    )
    return taken.returncode


if __name__ == "__main__":
    asyncio.run(main())
