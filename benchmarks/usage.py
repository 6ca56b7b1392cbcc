"""CPU seconds and memory of process trees, by the name of the program."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

MIB = 1 << 20
PEAK_RESET = "5"
QUIET_CORES = 0.25
QUIET_WINDOW_S = 1.0

PROGRAMS = {"postgres": "postgres", "nats-server": "nats", "redis-server": "redis"}


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def group(name: str, process: psutil.Process) -> str:
    """Return the name of a process: that of a known server, or `name`."""
    program = process.name()
    return next((group for start, group in PROGRAMS.items() if program.startswith(start)), name)


class Meter:
    """The CPU seconds since its creation; `roots` maps a name to the root of a process tree."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._before = self._read()

    def read(self) -> dict[str, float]:
        """Return the seconds by name; servers below a root have their own names."""
        now = self._read()
        return {name: seconds - self._before.get(name, 0.0) for name, seconds in now.items()}

    def _read(self) -> dict[str, float]:
        """Return the total seconds; an ended child counts for the parent that reaped it."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for name, pid in self._roots.items():
            for process in tree(pid):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    used = times.user + times.system + times.children_user + times.children_system
                    seconds[group(name, process)] += used
        return dict(seconds)


class Others:
    """The cores used by processes outside of the run, or withheld by the host."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._own = psutil.Process()
        self._busy_s, self._own_s = _busy_s(), self._measured_s()
        self._began = time.perf_counter()

    def _measured_s(self) -> float:
        return float(sum(self._own.cpu_times()[:2]) + sum(self._meter.read().values()))

    def cores(self) -> float:
        """Return the mean number of cores since its creation."""
        own_s = self._measured_s() - self._own_s
        elapsed_s = time.perf_counter() - self._began
        return max(_busy_s() - self._busy_s - own_s, 0.0) / elapsed_s


def _busy_s() -> float:
    """Return the busy CPU seconds of the machine, including those withheld by the host."""
    times = psutil.cpu_times()
    rest = sum(getattr(times, name, 0) for name in ("irq", "softirq", "steal"))
    return float(times.user + times.system + rest)


def until_quiet(patience_s: float, own: Meter) -> None:
    """Wait at most `patience_s` until processes outside of `own` are quiet."""
    until = time.monotonic() + patience_s
    while True:
        others = Others(own)
        time.sleep(QUIET_WINDOW_S)
        if others.cores() < QUIET_CORES or time.monotonic() > until:
            return


class Peak:
    """The peak memory of a process since its creation."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text(PEAK_RESET)

    def mib(self) -> float:
        """Return the peak in MiB."""
        status = (self._folder / "status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1_024


def resident_mib(pid: int, *, alone: bool = False) -> float:
    """Return the resident memory of a tree or one process; shared pages count in each."""
    total = 0
    for process in tree(pid)[: 1 if alone else None]:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / MIB


def proportional_mib(pid: int) -> float:
    """Return the memory of a tree, with shared pages counted once."""
    total = 0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total / MIB
