"""The process side of `Child.request`: it handles requests, one JSON object per line.

It ends with its standard input, so it never outlives the process that started it.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

READY = "ready"
ANSWER = "answer "
LINE_BYTES_MAX = 1 << 20

Handlers = dict[str, Callable[..., Awaitable[Any]]]


async def stdin_lines() -> asyncio.StreamReader:
    """Return a reader of the lines of standard input."""
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def report_ready(address: str = "") -> None:
    """Print the line that reports readiness."""
    print(f"{READY} {address}", flush=True)


async def wait_for_stop() -> None:
    """Report readiness and wait until the parent closes the standard input."""
    reader = await stdin_lines()
    report_ready()
    await reader.read()


async def answer(handlers: Handlers) -> None:
    """Handle requests until the end of input: `do` names the handler, the rest its arguments."""
    reader = await stdin_lines()
    report_ready()
    while line := await reader.readline():
        request = json.loads(line)
        try:
            response = {"ok": await handlers[request.pop("do")](**request)}
        except Exception:  # noqa: BLE001 the response reports the error
            response = {"failed": traceback.format_exc()}
        print(ANSWER + json.dumps(response), flush=True)
