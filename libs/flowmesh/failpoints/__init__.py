"""Points at which a process breaks when a test asks for it: killed, stopped, delayed, failed.

`failpoint("orchestrator.committed")` does nothing until `arm` was called, which a process does
when the setting `failpoints` names some: `name=action` with commas between, where an action is

    kill9      SIGKILL, as if the machine had lost the process
    stop       SIGSTOP, until a test sends SIGCONT
    delay:50   blocks the whole process for so many milliseconds
    error      raises `Injected`

`@3` behind it means the third time only, `/20` every twentieth time. Without either a process
is broken every time. `@path` instead of names is a file of such a text, read and deleted when the
process starts and on each SIGUSR2; the name of a point is added to `path.hit` before it breaks.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flowmesh.failpoints.points import POINTS

__all__ = ["POINTS", "Injected", "arm", "arm_from", "failpoint", "parse"]


class Injected(Exception):
    """A failure that was asked for."""


@dataclass(slots=True)
class Armed:
    """What happens at a point: `once` at that hit only, else at every `every`th."""

    act: Callable[[str], None]
    once: int = 0
    every: int = 1
    hits: int = 0

    def hit(self) -> bool:
        self.hits += 1
        return self.hits == self.once if self.once else self.hits % self.every == 0


_armed: dict[str, Armed] | None = None
_told: Path | None = None


def failpoint(name: str) -> None:
    """Breaks the process here if it is asked to; costs one look at a variable otherwise."""
    if _armed is not None:
        _hit(name)


def arm(text: str) -> None:
    """Arms the named points instead of those armed before; none for an empty text."""
    global _armed
    _armed = parse(text) or None


def arm_from(path: Path) -> None:
    """Arms what a file says and deletes it, so that the next start is a whole one."""
    global _told
    with suppress(FileNotFoundError):
        text = path.read_text()
        path.unlink()
        _told = path.with_name(f"{path.name}.hit")
        arm(text.strip())


def parse(text: str) -> dict[str, Armed]:
    """What a text asks for; raises ValueError where it is wrong."""
    armed = {}
    for part in filter(None, text.split(",")):
        name, equals, action = part.strip().partition("=")
        if name not in POINTS or not equals:
            raise ValueError(f"{part!r} names no failpoint; there are {', '.join(POINTS)}")
        action, once, count = action.partition("@")
        action, every, nth = action.partition("/")
        one = Armed(_action(action))
        if once:
            one.once = _count(count)
        if every:
            one.every = _count(nth)
        armed[name] = one
    return armed


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number of times")
    return int(text)


def _action(text: str) -> Callable[[str], None]:
    kind, _, value = text.partition(":")
    if kind == "kill9":
        return lambda _: os.kill(os.getpid(), signal.SIGKILL)
    if kind == "stop":
        return lambda _: os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "delay":
        seconds = _count(value) / 1_000
        return lambda _: time.sleep(seconds)
    if kind == "error":
        return _fail
    raise ValueError(f"{text!r} is no action; there are kill9, stop, delay:MS, error")


def _fail(name: str) -> None:
    raise Injected(name)


def _hit(name: str) -> None:
    one = (_armed or {}).get(name)
    if one is None or not one.hit():
        return
    if _told is not None:
        with _told.open("a") as file:
            file.write(f"{name}\n")
    one.act(name)
