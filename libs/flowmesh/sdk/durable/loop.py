"""The event loop of a durable handler.

It does no I/O and has no clock: callbacks run in order until none is ready, then the handler waits
for its journal. Tasks and futures are ordered in sets by their numbers. Therefore tasks, gather,
wait, timeouts and queues of asyncio behave the same in every run. Timers are durable sleeps.
"""

import asyncio
import logging
from asyncio import events, tasks
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from itertools import count
from typing import Any, NoReturn, Protocol

from flowmesh.sdk.worker.interrupts import raise_ctrl_c

_log = logging.getLogger("flowmesh.sdk")

CALLBACKS_MAX = 1_000_000
"""The limit of callbacks without a wait, which stops a handler in an endless loop."""


@contextmanager
def running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Make `loop` the running loop of this thread, in place of the current loop and task."""
    outer = events._get_running_loop()
    task = asyncio.current_task(outer) if outer is not None else None
    if outer is not None and task is not None:
        tasks._leave_task(outer, task)
    events._set_running_loop(loop)
    try:
        yield
    finally:
        events._set_running_loop(outer)
        if outer is not None and task is not None:
            tasks._enter_task(outer, task)


class Timers(Protocol):
    """The clock and the durable sleeps of the timers of a loop."""

    def now_s(self) -> float: ...
    def sleeps(self, delay_s: float) -> "asyncio.Future[Any]": ...


def _run(handle: asyncio.Handle) -> None:
    """Run a callback; SystemExit and KeyboardInterrupt end only its task, except for Ctrl-C."""
    try:
        handle._run()
    except (SystemExit, KeyboardInterrupt) as error:
        raise_ctrl_c(error)
        _log.debug("a durable handler raised %s", type(error).__name__)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(
        "a durable handler must not do I/O, as it would be repeated in every run;"
        " do it in a function given to ctx.step"
    )


class _Future(asyncio.Future[Any]):
    """A future whose place in a set is the same in every run; an address is not."""

    def __init__(self, number: int, loop: "HandlerLoop") -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class _Task(asyncio.Task[Any]):
    """A task whose place in a set is the same in every run, as in that of a TaskGroup."""

    def __init__(self, number: int, coro: Any, loop: "HandlerLoop", **options: Any) -> None:
        # The base hashes the task.
        self._number = number
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._number


class HandlerLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in order, without I/O."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._ready: deque[asyncio.Handle] = deque()
        # By identity, as two timers of one callback at one time are equal.
        self._timed: dict[int, asyncio.Future[Any]] = {}
        self._running = False
        self._numbers = count()
        # The tasks that have not ended.
        self.tasks: set[asyncio.Task[Any]] = set()

    def run_ready(self) -> None:
        """Run callbacks until none is ready."""
        with running(self):
            self._running = True
            try:
                for _ in range(CALLBACKS_MAX):
                    if not self._ready:
                        return
                    handle = self._ready.popleft()
                    if not handle._cancelled:
                        _run(handle)
                raise RuntimeError(f"the handler ran {CALLBACKS_MAX:,} callbacks without waiting")
            finally:
                self._running = False

    def call_soon(  # type: ignore[override] # callbacks of any kind
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        slept = self._timers.sleeps(max(0.0, when - self.time()))
        self._timed[id(handle)] = slept
        slept.add_done_callback(lambda _: self._fire(handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _fire(self, handle: asyncio.TimerHandle) -> None:
        if self._timed.pop(id(handle), None) is not None and not handle._cancelled:
            handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        slept = self._timed.pop(id(handle), None)
        if slept is not None:
            slept.cancel()

    def time(self) -> float:
        return self._timers.now_s()

    def create_future(self) -> "asyncio.Future[Any]":
        return _Future(next(self._numbers), self)

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        task = _Task(next(self._numbers), coro, self, **options)
        # An abandoned task is not an error of the handler.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        _log.error("durable handler: %s", context.get("message"), exc_info=context.get("exception"))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.default_exception_handler(context)

    async def shutdown_asyncgens(self) -> None:
        return None

    # Calls that do I/O or leave the loop.
    create_connection = create_server = create_datagram_endpoint = getaddrinfo = _refuse
    create_unix_connection = sock_connect = subprocess_exec = subprocess_shell = _refuse
    run_in_executor = _refuse  # type: ignore[assignment]
    call_soon_threadsafe = _refuse  # type: ignore[assignment]
