"""The other end of `Child.ask`: a process that answers questions, a JSON object a line.

It ends when its standard input does, so it never outlives the process that started it.
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


async def lines_in() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say_ready(where: str = "") -> None:
    print(f"{READY} {where}", flush=True)


async def until_told() -> None:
    """Says that it is ready and returns when the process that started it has let go."""
    reader = await lines_in()
    say_ready()
    await reader.read()


async def answer(handlers: Handlers) -> None:
    """Calls the handler that a question's `do` names with the rest of it, until there are none."""
    reader = await lines_in()
    say_ready()
    while line := await reader.readline():
        question = json.loads(line)
        try:
            answered = {"ok": await handlers[question.pop("do")](**question)}
        except Exception:  # noqa: BLE001 whoever asked is told, and may ask something else
            answered = {"failed": traceback.format_exc()}
        print(ANSWER + json.dumps(answered), flush=True)
