"""One virtual clock and one queue of steps for everything that is simulated. No threads, no I/O.

The code under test runs on asyncio; here asyncio runs on time that only passes when nothing can
happen at the present moment. What one process does is known by the context its steps run in: a
process that is killed runs no further step, one that is paused runs its steps after its resume.
"""

import asyncio
import gc
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVarTuple
from weakref import WeakSet

from flowmesh.sdk.durable.loop import running

_Ts = TypeVarTuple("_Ts")

STEPS_MAX = 2_000_000
"""Steps of one run; more of them mean that something goes round in circles."""

WIND_UP_ROUNDS = 20
WIND_UP_S = 0.01

_PROCESS: "ContextVar[Process | None]" = ContextVar("process", default=None)


class Stuck(Exception):
    """Nothing is left that could happen, or things happen without end."""


class Step:
    """A scheduled callback, as a handle for its caller; lighter than that of asyncio."""

    __slots__ = ("_when", "args", "callback", "context", "is_cancelled")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        when: float = 0.0,
    ) -> None:
        self.callback, self.args = callback, args
        self.context = copy_context() if context is None else context
        self.is_cancelled = False
        self._when = when

    def cancel(self) -> None:
        self.is_cancelled = True
        self.args = ()

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self._when


class Process:
    """A process that dies, pauses and resumes as a whole. `loop` runs its steps."""

    def __init__(self, loop: "VirtualLoop", name: str) -> None:
        self.loop = loop
        self.name = name
        self.alive = True
        self.paused = False
        self.held: list[Step] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.on_death: list[Callable[[], None]] = []
        self._context = copy_context()
        self._context.run(_PROCESS.set, self)
        loop.processes.append(self)

    @property
    def context(self) -> Context:
        """A context of its own for one more callback or task of this process."""
        return self._context.copy()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Runs a coroutine as part of this process. What fails here is a failure of the run."""
        task = self.loop.create_task(work, context=self.context)
        self.tasks.append(task)
        task.add_done_callback(self._ended, context=self.loop._outside)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self.loop.failures.append(f"{self.name}: {task.exception()!r}")

    def call(self, callback: Callable[..., object], *args: object) -> None:
        """Calls back at the next step of this process."""
        self.loop.call_soon(callback, *args, context=self.context)

    @property
    def runs(self) -> bool:
        return self.alive and not self.paused

    def kill(self) -> None:
        """End the process; connected peers notice."""
        if self.alive:
            self.alive = False
            for died in self.on_death:
                died()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        if self.paused and self.alive:
            self.paused = False
            held, self.held = self.held, []
            self.loop.take_back(held)


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time is a number."""

    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._soon: deque[Step] = deque()
        self._later: list[tuple[float, int, Step]] = []
        self._count = 0
        self.steps = 0
        self._steps_max = STEPS_MAX
        self.failures: list[str] = []
        self.processes: list[Process] = []
        self._begun: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._winding_up = False
        self._outside = Context()

    def time(self) -> float:
        return self._now

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = super().create_task(coro, **options)
        self._begun.add(task)
        return task

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> Any:
        step = Step(callback, args, context)
        self._soon.append(step)
        return step

    call_soon_threadsafe: Any = call_soon

    def call_later(
        self, delay: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Any = None
    ) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Any = None
    ) -> Any:
        step = Step(callback, args, context, when)
        self._count += 1
        heapq.heappush(self._later, (when, self._count, step))
        return step

    def outside(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        """Calls back later, as part of no process: on a wire, in a server."""
        return self.call_at(self._now + delay, callback, *args, context=self._outside)

    def take_back(self, steps: list[Step]) -> None:
        """Run the steps of a resumed process."""
        self._soon.extend(steps)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report exceptions that no task awaits; those of a dead process are no failure."""
        error = context.get("exception")
        if error is not None and not self._winding_up:
            self.failures.append(f"{context.get('message')}: {error!r}")

    def wind_up(self) -> None:
        """Ends every task, those of dead processes too, so that none is left half-way."""
        self._winding_up = True
        self._steps_max = self.steps + STEPS_MAX
        self._later.clear()
        for process in self.processes:
            held, process.held = process.held, []
            self.take_back(held)
        for _ in range(WIND_UP_ROUNDS):
            tasks = [task for task in self._begun if not task.done()]
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            self.run_until_complete(elapsed(WIND_UP_S))

    def _run_once(self) -> None:
        """Runs all that can happen now, or lets time pass; asyncio calls it until it is to stop."""
        soon = self._soon
        if not soon:
            self._pass_time()
        while soon:
            step = soon.popleft()
            if step.is_cancelled:
                continue
            process = step.context.get(_PROCESS)
            if process is not None and not process.runs and not self._winding_up:
                # Those of a dead one are kept as well: what they hold must not end half-way.
                process.held.append(step)
                continue
            self.steps += 1
            if self.steps > self._steps_max:
                raise Stuck(f"{self._steps_max} steps and no end at {self._now:.3f} s")
            try:
                step.context.run(step.callback, *step.args)
            except Exception as error:  # noqa: BLE001 (no task awaits it)
                self.call_exception_handler({"message": repr(step.callback), "exception": error})
            if self._stopping:
                return

    def _pass_time(self) -> None:
        later, soon = self._later, self._soon
        while later and later[0][2].is_cancelled:
            heapq.heappop(later)
        if not later:
            raise Stuck(f"nothing can happen any more at {self._now:.3f} s")
        self._now = max(self._now, later[0][0])
        while later and later[0][0] <= self._now:
            step = heapq.heappop(later)[2]
            if not step.is_cancelled:
                soon.append(step)


async def elapsed(seconds: float) -> None:
    """Returns when so much virtual time has passed."""
    loop = asyncio.get_running_loop()
    passed: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _pass, passed)
    try:
        await passed
    finally:
        timer.cancel()


def _pass(passed: "asyncio.Future[None]") -> None:
    if not passed.done():
        passed.set_result(None)


def process_of_step() -> Process | None:
    """The process that the present step belongs to."""
    return _PROCESS.get()


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """A loop for one run; another one that is running meanwhile in this thread is set aside.

    Garbage is collected between runs: a call that is dropped is canceled then, at a moment that no
    seed has drawn.
    """
    with running(None), _no_garbage_collected():
        loop = VirtualLoop()
        try:
            yield loop
        finally:
            loop.wind_up()
            loop.close()
