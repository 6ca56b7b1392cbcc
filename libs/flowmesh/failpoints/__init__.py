"""Failpoints: places at which a test kills, stops, delays or fails a process.

`failpoint("orchestrator.committed")` does nothing unless `arm` was called. A process calls it for
the setting `failpoints`: a comma-separated list of `name=action` with the actions

    kill9      SIGKILL, as if the machine had lost the process
    stop       SIGSTOP, until a test sends SIGCONT
    delay:50   blocks the whole process for 50 milliseconds
    error      raises `Injected`

The suffix `@3` restricts an action to the third hit, `/20` to every twentieth hit. `@path` in place
of the list names a file with it, which is read and deleted at the start of the process and on each
SIGUSR2; the name of a failpoint is appended to `path.hit` before its action.
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
    """The failure of the action `error`."""


@dataclass(slots=True)
class Armed:
    """The action of a failpoint: at hit number `once`, else at every `every`th hit."""

    act: Callable[[str], None]
    once: int = 0
    every: int = 1
    hits: int = 0

    def hit(self) -> bool:
        self.hits += 1
        return self.hits == self.once if self.once else self.hits % self.every == 0


_armed: dict[str, Armed] | None = None
_hits: Path | None = None


def failpoint(name: str) -> None:
    """Perform the armed action, if any. Unarmed it costs the read of one variable."""
    if _armed is not None:
        _hit(name)


def arm(text: str) -> None:
    """Replace the armed failpoints; an empty text disarms all."""
    global _armed
    _armed = parse(text) or None


def arm_from(path: Path) -> None:
    """Arm the failpoints listed in a file and delete it, so that a restart runs undisturbed."""
    global _hits
    with suppress(FileNotFoundError):
        text = path.read_text()
        path.unlink()
        _hits = path.with_name(f"{path.name}.hit")
        arm(text.strip())


def parse(text: str) -> dict[str, Armed]:
    """Parse a list of failpoints with actions. Raises ValueError."""
    armed = {}
    for part in filter(None, text.split(",")):
        name, equals, action = part.strip().partition("=")
        if name not in POINTS or not equals:
            raise ValueError(f"{part!r} names no failpoint; known are {', '.join(POINTS)}")
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
        raise ValueError(f"{text!r} is not a positive integer")
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
    raise ValueError(f"{text!r} is not an action; expected kill9, stop, delay:MS or error")


def _fail(name: str) -> None:
    raise Injected(name)


def _hit(name: str) -> None:
    one = (_armed or {}).get(name)
    if one is None or not one.hit():
        return
    if _hits is not None:
        with _hits.open("a") as file:
            file.write(f"{name}\n")
    one.act(name)
