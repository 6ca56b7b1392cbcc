"""What a sampling profiler saw: stacks by thread, counted."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.profiling.stages import stage_of, waits

THREAD = re.compile(r"^thread \((\d+)\)(?:: (.*))?$")
OURS = re.compile(r"(?:libs|services)/flowmesh/(.*)|(benchmarks/.*)")
MAIN = "MainThread"
ENTRY = re.compile(r"/(main|commands|dev|command_line|answering)\.py|^<module> ")
LIBRARY = "libraries, called by the loop"


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames from the outermost to the innermost, and how often they were seen."""

    thread: str
    frames: tuple[str, ...]
    count: int


def read(path: Path) -> list[Stack]:
    """The lines of py-spy's raw format: frames between semicolons, a space, a count."""
    found = []
    for line in path.read_text(errors="replace").splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        named = THREAD.match(thread)
        name = (named.group(2) or "") if named else ""
        found.append(Stack(name, tuple(frames), int(count)))
    return found


def busy(stacks: Sequence[Stack]) -> list[Stack]:
    """What the main thread did while it did something."""
    return [one for one in stacks if one.thread == MAIN and not waits(one.frames)]


def by_stage(stacks: Sequence[Stack]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stack in stacks:
        counts[stage_of(stack.frames)] += stack.count
    return counts


def by_function(stacks: Sequence[Stack]) -> Counter[tuple[str, str]]:
    """Stage and innermost function of this repository, with the libraries that it called."""
    counts: Counter[tuple[str, str]] = Counter()
    for stack in stacks:
        counts[stage_of(stack.frames), _own(stack.frames)] += stack.count
    return counts


def _own(frames: Sequence[str]) -> str:
    """`Committer._commit (orchestrator/committer.py)`, the innermost one of ours."""
    for frame in reversed(frames):
        function, _, place = frame.partition(" (")
        file = place.rpartition(":")[0]
        if (ours := OURS.search(file)) and not ENTRY.search(frame):
            return f"{function} ({ours.group(1) or ours.group(2)})"
    return LIBRARY
