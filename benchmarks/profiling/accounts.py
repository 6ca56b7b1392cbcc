"""CPU seconds from the accounting of the kernel, by process and for the main thread."""

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.usage import group, tree

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MAIN = "main thread"
OTHERS = "other threads"


@dataclass(slots=True)
class Spent:
    """CPU seconds, in total and in the kernel."""

    all_s: float = 0.0
    kernel_s: float = 0.0

    def less(self, before: "Spent") -> "Spent":
        return Spent(self.all_s - before.all_s, self.kernel_s - before.kernel_s)

    def add(self, other: "Spent") -> None:
        self.all_s += other.all_s
        self.kernel_s += other.kernel_s


class Accounts:
    """The CPU seconds of the process trees below `roots` since its creation.

    Keys are a process and its part: the thread of a root, or the kind of a PostgreSQL process.
    """

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._before = self._read()

    def spent(self) -> dict[tuple[str, str], Spent]:
        now = self._read()
        return {key: value.less(self._before.get(key, Spent())) for key, value in now.items()}

    def _read(self) -> dict[tuple[str, str], Spent]:
        found: defaultdict[tuple[str, str], Spent] = defaultdict(Spent)
        for name, root in self._roots.items():
            for process in tree(root):
                with suppress(psutil.NoSuchProcess, FileNotFoundError):
                    whole = _stat(Path(f"/proc/{process.pid}/stat"))
                    if process.pid != root:
                        owner = group(name, process)
                        found[owner, _kind(process)].add(whole)
                        continue
                    main = _stat(Path(f"/proc/{root}/task/{root}/stat"))
                    found[name, MAIN].add(main)
                    found[name, OTHERS].add(whole.less(main))
        return dict(found)


def _stat(path: Path) -> Spent:
    """Read fields 14 and 15 of proc(5): ticks in user mode and in the kernel."""
    fields = path.read_text().rpartition(")")[2].split()
    user, kernel = int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S
    return Spent(user + kernel, kernel)


def _kind(process: psutil.Process) -> str:
    """Return the kind of a PostgreSQL process from its title."""
    title = " ".join(process.cmdline())
    if not title.startswith("postgres: "):
        return ""
    words = title.removeprefix("postgres: ").split()
    return "connections" if "@" in title or len(words) > 3 else " ".join(words[:2]).strip()
