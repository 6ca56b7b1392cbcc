"""The connections of a connector, which its process keeps between calls."""

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flowmesh.plugins import limits
from flowmesh.sdk import NonRetryable

CREDENTIAL = "credential"
Function = Callable[..., Any]


class Connections:
    """Opens a connection for each credential; calls of all tasks follow one another."""

    def __init__(self, opens: Function, closes: Function | None) -> None:
        self._opens, self._closes = opens, closes
        self._held = OrderedDict[str, Any]()
        self._turn = asyncio.Lock()

    def handler(self, function: Function) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
        """Return a handler of tasks that gives an open connection to a function."""

        async def run(input: Mapping[str, Any]) -> Any:
            given = {name: each for name, each in input.items() if name != CREDENTIAL}
            async with self._turn:
                return await self._called(function, str(input.get(CREDENTIAL) or ""), given)

        return run

    async def _called(self, function: Function, credential: str, given: dict[str, Any]) -> Any:
        if credential not in self._held:
            while len(self._held) >= limits.CONNECTIONS_MAX:
                await self._drop(next(iter(self._held)))
            self._held[credential] = await result_of(self._opens, credential)
        self._held.move_to_end(credential)
        try:
            return await result_of(function, self._held[credential], given)
        except NonRetryable:
            raise
        except Exception:
            # The next attempt gets another connection.
            await self._drop(credential)
            raise

    async def _drop(self, credential: str) -> None:
        connection = self._held.pop(credential)
        if self._closes is not None:
            await asyncio.gather(result_of(self._closes, connection), return_exceptions=True)


async def result_of(function: Function, *values: Any) -> Any:
    """Call a function of a plugin; one that is not asynchronous runs in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*values)
    return await asyncio.to_thread(function, *values)
