"""CPU seconds and memory of process trees, by the name of the program."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress

import psutil

MIB = 1 << 20

PROGRAMS = {"postgres": "postgres", "nats-server": "nats", "redis-server": "redis"}


def tree(pid: int) -> list[psutil.Process]:
    """The process and everything below it."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _group(name: str, process: psutil.Process) -> str:
    program = process.name()
    return next((group for start, group in PROGRAMS.items() if program.startswith(start)), name)


class Meter:
    """CPU seconds since it was made. `roots` maps a name to the root of a tree of processes."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._before = self._read()

    def read(self) -> dict[str, float]:
        """Seconds by name; the servers below a root under their own names."""
        now = self._read()
        return {name: seconds - self._before.get(name, 0.0) for name, seconds in now.items()}

    def _read(self) -> dict[str, float]:
        """A child that has ended counts with the parent that waited for it."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for name, pid in self._roots.items():
            for process in tree(pid):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    used = times.user + times.system + times.children_user + times.children_system
                    seconds[_group(name, process)] += used
        return dict(seconds)


def resident_mib(pid: int, *, alone: bool = False) -> float:
    """Resident memory of the tree, or of the process alone; shared pages count in each of it."""
    total = 0
    for process in tree(pid)[: 1 if alone else None]:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / MIB


def proportional_mib(pid: int) -> float:
    """Memory of the tree with shared pages counted once."""
    total = 0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total / MIB
