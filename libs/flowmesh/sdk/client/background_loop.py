"""An event loop in a background thread, through which blocking code uses async code."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines on its own loop and blocks the caller until they end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="flowmesh-sdk", daemon=True
        )
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result; an interrupt of the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def invoke(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on the thread of the loop and return its result."""

        async def invoked() -> T:
            return function(*args, **kwargs)

        return self.call(invoked())

    def iterate(self, create: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Iterate over an async iterator; leaving the iteration early closes it."""
        items = self.invoke(create)
        try:
            while True:
                try:
                    yield self.call(_awaited(anext(items)))
                except StopAsyncIteration:
                    return
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                self.call(_awaited(close()))

    @contextmanager
    def enter(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter an async context manager for the duration of a `with` block."""
        value = self.call(_awaited(manager.__aenter__()))
        try:
            yield value
        except BaseException as error:
            if not self.call(_awaited(manager.__aexit__(type(error), error, error.__traceback__))):
                raise
        else:
            self.call(_awaited(manager.__aexit__(None, None, None)))

    def close(self) -> None:
        """Stop the loop; calls that wait in other threads raise CancelledError."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._loop.stop()


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
